"""How many workers fit onto the machines of a cluster."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Room:
    """What a machine has, or what a worker takes of one."""

    cpus: float
    gpus: float = 0

    def __str__(self) -> str:
        return f"{self.cpus:g} CPUs and {self.gpus:g} GPUs"


def workers_that_fit(machine: Room, worker: Room) -> int:
    """How many workers a machine holds. A part of a GPU is always of one GPU."""
    by_cpus = int(machine.cpus / worker.cpus)
    if worker.gpus == 0:
        return by_cpus
    if worker.gpus < 1:
        return min(by_cpus, int(machine.gpus) * int(1 / worker.gpus))
    return min(by_cpus, int(machine.gpus / worker.gpus))


def largest(machines: Sequence[Room], worker: Room) -> Room:
    """The machine with the most of what the worker takes, GPUs first."""
    return max(machines, key=lambda machine: (machine.gpus if worker.gpus else 0, machine.cpus))
