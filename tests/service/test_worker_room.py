"""How many workers of `--engine ray` fit onto machines, without a cluster."""

import pytest

from darling_service.ray_data.room import Room, largest, workers_that_fit


@pytest.mark.parametrize(
    ("machine", "worker", "count"),
    [
        (Room(4), Room(1), 4),
        (Room(4), Room(8), 0),
        (Room(4), Room(0.5), 8),
        (Room(0), Room(1), 0),
        (Room(16, 2), Room(2, 1), 2),
        (Room(2, 8), Room(1, 1), 2),
        (Room(16, 2), Room(1, 0.25), 8),
        (Room(16, 2), Room(1, 0.6), 2),  # a part of each GPU; 0.8 remain, and of no one GPU
        (Room(16, 4), Room(1, 2), 2),
        (Room(16), Room(1, 0.25), 0),
    ],
)
def test_workers_fit_by_what_one_machine_has(machine: Room, worker: Room, count: int) -> None:
    assert workers_that_fit(machine, worker) == count


def test_the_largest_machine_is_the_one_with_the_most_of_what_a_worker_takes() -> None:
    machines = [Room(64), Room(8, 4), Room(16, 4)]
    assert largest(machines, Room(1)) == Room(64)
    assert largest(machines, Room(1, 1)) == Room(16, 4)
