"""What the trainers' adapters do without their trainer; tests/trainers has the tests with it."""

import asyncio
import inspect
import multiprocessing
import pickle
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from darling_client import AsyncClient, BadRequest, Client, Unreachable
from darling_client.trainers import areal, slime
from darling_client.trainers._batch import Batch, Row, Score, logged, whole
from darling_client.trainers._cohort import Cohorts
from darling_client.trainers._quality import Judgement
from darling_client.trainers._ranks import together
from darling_client.trainers._request import Request
from darling_client.trainers.nemo_rl import environment, groups
from darling_client.trainers.trl import AsyncDarlingReward, DarlingReward, group_rows
from tests.client.trainer_shapes import stand_ins
from tests.conftest import running

TEXTS = ["Blue sea", "Blue sea", "Red wine", "Old stone"]


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with running(tmp_path_factory.mktemp("unigram") / "log", "--model", "unigram") as service:
        yield service.url


def half(completions: Any, **columns: Any) -> list[float | None]:
    return [0.5] * len(completions)


def test_trl_conversations_and_metrics(url: str) -> None:
    prompts = [[{"role": "user", "content": "Name a thing."}]] * 4
    completions = [[{"role": "assistant", "content": text}] for text in TEXTS]
    logged: dict[str, float] = {}
    with Client(url) as client:
        reward = DarlingReward(half, 4, client=client)
        rewards = reward(prompts=prompts, completions=completions, log_metric=logged.__setitem__)
    assert rewards == pytest.approx([1 / 3, 1 / 3, 1 / 2, 1 / 2])
    assert logged == pytest.approx(
        {
            "darling/quality": 0.5,
            "darling/diversity": 5 / 6,
            "darling/num_classes": 3,
            "darling/collapsed": 0,
            "darling/unanswered": 0,
        }
    )


@pytest.mark.parametrize(
    ("texts", "collapsed"), [(["a", "a"], 1.0), (["a", "b"], 0.0), (["a"], 0.0), (["a"] * 4, 1.0)]
)
def test_a_group_of_one_class_has_collapsed(url: str, texts: list[str], collapsed: float) -> None:
    """And a rollout alone has not."""
    with Client(url) as client:
        batch = Batch(
            [Row("p", text, Judgement(1.0)) for text in texts], whole(len(texts)), Request({})
        )
        scores = batch.scores(client.try_rewards(batch.groups))
    assert logged(scores)["collapsed"] == collapsed


def test_means_of_a_batch() -> None:
    scores = [Score(0.5, 0.5, 1.0, 3, False), None, Score(0.0, None, 0.0, 1, True), None]
    expected = {"quality": 0.5, "diversity": 0.5, "num_classes": 2, "collapsed": 0.5}
    assert logged(scores) == {**expected, "unanswered": 0.5}
    assert logged([None]) == {"unanswered": 1.0}
    assert logged([]) == {"unanswered": 0.0}


def test_rows_without_quality_take_no_part(url: str) -> None:
    def quality(completions: Any, **columns: Any) -> list[float | None]:
        return [1.0, None, float("nan"), 1.0]

    with Client(url) as client:
        reward = DarlingReward(quality, 4, client=client)
        assert reward(prompts=["p"] * 4, completions=TEXTS) == [1.0, None, None, 1.0]


def test_columns_reach_an_async_quality(url: str) -> None:
    async def quality(prompts: Any, completions: Any, wanted: list[str], **more: Any) -> list[bool]:
        await asyncio.sleep(0)
        return [w in c for w, c in zip(wanted, completions, strict=True)]

    with Client(url) as client:
        reward = DarlingReward(quality, 4, client=client)
        rewards = reward(prompts=["p"] * 4, completions=TEXTS, wanted=["Blue"] * 4)
    assert rewards == pytest.approx([2 / 3, 2 / 3, 0, 0])


def test_an_async_reward_leaves_the_loop_to_its_async_quality(url: str) -> None:
    """Two groups whose qualities wait for each other, in the trainer's own event loop."""

    async def both() -> list[list[float | None]]:
        come, loop = asyncio.Barrier(2), asyncio.get_running_loop()

        async def quality(completions: Any, **more: Any) -> list[float]:
            assert asyncio.get_running_loop() is loop
            await asyncio.wait_for(come.wait(), timeout=60)
            return [1.0] * len(completions)

        with Client(url) as client:
            reward = AsyncDarlingReward(quality, 4, client=client)
            return await asyncio.gather(*(reward([p] * 4, TEXTS) for p in ("p", "q")))

    assert asyncio.run(both()) == [pytest.approx([2 / 3, 2 / 3, 1, 1])] * 2


def test_an_async_reward_has_the_bits_of_the_blocking_one_also_after_a_pickle(url: str) -> None:
    """AsyncGRPOTrainer sends it to another process."""
    given: Any = ["p"] * 8, [*TEXTS, *TEXTS]
    columns: Any = {"loop": [1] * 8}
    with Client(url) as client:
        reward = pickle.loads(pickle.dumps(AsyncDarlingReward(half, 4, client=client)))
        assert inspect.iscoroutinefunction(reward.__call__)
        with reward.client:
            told = asyncio.run(reward(*given, **columns))
        assert told == DarlingReward(half, 4, client=client)(*given, **columns)


def test_an_outage_gives_no_signal_and_a_refusal_raises(url: str) -> None:
    dead = Client("http://127.0.0.1:9", patience_s=0.3)
    assert DarlingReward(half, 2, client=dead)(["p"] * 4, TEXTS) == [None] * 4
    with Client(url) as client, pytest.raises(BadRequest, match="elsewhere"):
        DarlingReward(half, 4, client=client, model="elsewhere")(["p"] * 4, TEXTS)


def test_training_and_evaluation_sizes_are_told_apart_by_position() -> None:
    assert group_rows(["a", "a", "b", "b"], [2, 1]).rows == [[0, 1], [2, 3]]
    assert group_rows(["a", "a", "a", "a"], [2, 1]).rows == [[0, 1], [2, 3]], "equal neighbours"
    assert group_rows(["a", "b", "c", "d"], [2, 1]).rows == [[0], [1], [2], [3]]
    with pytest.raises(ValueError, match="groups of 2 or 3 equal"):
        group_rows(["a", "b", "b", "a"], [2, 3])


@pytest.mark.parametrize("training", [True, False])
def test_the_trainers_mode_tells_the_size(training: bool) -> None:
    """Evaluation groups of 4 would divide into training groups of 2."""

    class Trainer:
        args = SimpleNamespace(num_generations_eval=4)
        model = SimpleNamespace(training=training)

        def log_metric(self, name: str, value: float) -> None: ...

    sent: list[int] = []

    class Recorder(Client):
        def try_rewards(self, groups: Any, **params: Any) -> Any:
            sent.extend(len(group.rollouts) for group in groups)
            return [Unreachable("not sent")] * len(groups)

    for reward in (
        DarlingReward(half, 2, num_generations_eval=4, client=Recorder()),
        DarlingReward(half, 2, client=Recorder()),
    ):
        sent.clear()
        reward(["p"] * 8, ["a"] * 8, log_metric=Trainer().log_metric)
        assert sent == ([2] * 4 if training else [4] * 2)


def _rank(rank: int, store: str, fails: str, send: Any) -> None:
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{store}", rank=rank, world_size=3
    )

    def local() -> list[int]:
        if fails == f"local {rank}":
            raise KeyError("no quality")
        return list(range(rank, 2 * rank + 1))

    def score(rows: list[int]) -> list[tuple[int, int]]:
        if fails == "score":
            raise BadRequest("wrong field", 422, [])
        return [(row, sum(rows)) for row in rows]

    try:
        send.send(together(local, score))
    except Exception as error:
        send.send(f"{type(error).__name__}: {error}")
    torch.distributed.destroy_process_group()


@pytest.mark.parametrize("fails", ["", "local 1", "score"])
def test_ranks_score_together_and_fail_together(tmp_path: Path, fails: str) -> None:
    context = multiprocessing.get_context("fork")
    pipes = [context.Pipe(duplex=False) for _ in range(3)]
    ranks = [
        context.Process(target=_rank, args=(rank, str(tmp_path / "store"), fails, send))
        for rank, (_, send) in enumerate(pipes)
    ]
    for rank in ranks:
        rank.start()
    outcomes = [receive.recv() for receive, _ in pipes if receive.poll(120)]
    for rank in ranks:
        rank.join()
    assert (
        outcomes
        == {
            "": [[(0, 12)], [(1, 12), (2, 12)], [(2, 12), (3, 12), (4, 12)]],
            "local 1": ["RuntimeError: KeyError: 'no quality'"] * 3,
            "score": ["BadRequest: wrong field"] * 3,
        }[fails]
    )


def test_siblings_meet_however_many_and_leave() -> None:
    scored: list[list[int]] = []

    async def score(rows: list[int]) -> list[int]:
        scored.append(sorted(rows))
        return [row * 10 for row in rows]

    async def sibling(cohorts: Cohorts[int, int], row: int) -> int | None:
        cohort = cohorts.join("key")
        await asyncio.sleep(0.01 * (row % 3))
        if row == 5:
            cohort.leave()
            return None
        return await cohort.arrive(row)

    async def main() -> list[Any]:
        cohorts: Cohorts[int, int] = Cohorts(score)
        first = await asyncio.gather(*(sibling(cohorts, row) for row in range(7)))
        return [first, await asyncio.gather(*(sibling(cohorts, row) for row in (1, 2)))]

    first, second = asyncio.run(main())
    assert first == [0, 10, 20, 30, 40, None, 60]
    assert second == [10, 20]
    assert scored == [[0, 1, 2, 3, 4, 6], [1, 2]]


@pytest.mark.parametrize(
    ("prompts", "metadata", "sizes"),
    [
        ("aaabbb", [{}] * 6, [3, 3]),
        ("aaaaaabbb", [{}] * 9, [3, 3, 3]),  # two dataset rows with one prompt
        ("aaaaaa", [{"answer": "1"}] * 3 + [{"answer": "2"}] * 3, [3, 3]),
        ("aaaaaa", [{"idx": i // 3, "seed": i} for i in range(6)], [3, 3]),
        ("abcdef", [{"idx": i // 3} for i in range(6)], [3, 3]),  # a path of each rollout
        ("abcdef", [{"_ng_task_index": i // 2, "id": i} for i in range(6)], [2, 2, 2]),
        ("aaabbb", [{"id": i} for i in range(6)], [3, 3]),  # an id of each rollout
        ("aaabbb", [{"idx": 0}] * 6, [3, 3]),  # an id that is none
        ("aaabbb", [None] * 6, [3, 3]),
        ("aaabbb", [{"tensor": torch.ones(2)}] * 6, [3, 3]),
        ("aaabb", [{}] * 5, [3, 2]),
        ("ababab", [{}] * 6, [3, 3]),
        ("aaaa", [{}] * 4, [4]),
        ("abcd", [{}] * 4, None),
        ("aab", [{}] * 3, None),
        ("abcd", [{"idx": 0}] * 4, None),
        ("a", [{}], None),
    ],
)
def test_nemo_rl_finds_groups(prompts: str, metadata: list[Any], sizes: list[int] | None) -> None:
    logs = [[{"role": "user", "content": prompt}] for prompt in prompts]
    if sizes is None:
        with pytest.raises(ValueError, match="num_generations=n"):
            groups(logs, metadata)
    else:
        assert [len(rows) for rows in groups(logs, metadata).rows] == sizes


def test_nemo_rl_is_told_the_size(url: str) -> None:
    """Prompts with a path of each rollout, and nothing in the metadata."""
    with stand_ins(), Client(url) as client:
        kind = environment(lambda log, about: 0.5, num_generations=4, client=client)
        logs = [
            [{"role": "user", "content": f"in {i}"}, {"role": "assistant", "content": text}]
            for i, text in enumerate(TEXTS * 2)
        ]
        rewards = kind().step(logs, [{}] * 8).rewards.tolist()
        assert rewards == pytest.approx([1 / 3, 1 / 3, 1 / 2, 1 / 2] * 2)
        with pytest.raises(ValueError, match="6 rows, which do not divide into groups of size 4"):
            kind().step(logs[:6], [{}] * 6)
        with pytest.raises(ValueError, match="num_generations is 1"):
            environment(lambda log, about: 0.5, num_generations=1)


def samples() -> list[Any]:
    return [SimpleNamespace(prompt="p", response=text, metadata=None) for text in TEXTS]


@pytest.mark.parametrize("key", [None, "rewards"])
def test_slime_rewards_one_group(url: str, key: str | None) -> None:
    async def main() -> Any:
        async with AsyncClient(url) as client:
            darling = slime.group_reward(lambda sample: 0.5, client=client)
            group = samples()
            return group, await darling(SimpleNamespace(reward_key=key), group)

    group, rewards = asyncio.run(main())
    numbers = [reward[key] for reward in rewards] if key else rewards
    assert numbers == pytest.approx([1 / 3, 1 / 3, 1 / 2, 1 / 2])
    parts = {"quality": 0.5, "diversity": 1.0, "num_classes": 3, "collapsed": 0.0}
    assert group[2].metadata["darling"] == parts


def test_slime_has_no_number_for_an_outage() -> None:
    client = AsyncClient("http://127.0.0.1:9", patience_s=0.3)
    darling = slime.group_reward(lambda sample: 0.5, client=client)
    with pytest.raises(Unreachable):
        asyncio.run(darling(SimpleNamespace(), samples()))


def test_areal_rewards_a_group_or_rejects_it(url: str) -> None:
    def quality(prompt: str, completion: str, ids: Any, more: Any, answer: str) -> float:
        return float(answer in completion)

    async def ask(client: AsyncClient) -> list[float] | None:
        async with client:
            return await areal.group_reward(quality, client=client)("p", TEXTS, {"answer": "e"})

    assert asyncio.run(ask(AsyncClient(url))) == pytest.approx([2 / 3, 2 / 3, 1, 1])
    assert asyncio.run(ask(AsyncClient("http://127.0.0.1:9", patience_s=0.3))) is None
