"""Odd input through every door: each group of tests/corpus comes to the same classes in all.

The model is `exact`, so that two rollouts share a class if and only if the same words of them are
compared. With quality 1 a reward is the diversity, which tells the classes where a door does not.
"""

import asyncio
import json
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any
from uuid import uuid4

import httpx
import pytest

from darling_client import AsyncClient, BadRequest, Client, CohortRollout, Group, Rollout
from darling_client.trainers import areal, slime, verifiers
from darling_client.trainers.trl import DarlingReward
from darling_models.labelled_data import read_groups, read_pairs, read_texts
from darling_models.labelling.candidates import read_questions
from darling_models.texts.group import prompt_of
from darling_service.cli.main import main
from darling_service.schemas.requests import PromptGroup
from tests.conftest import Service

FOLDER = Path(__file__).parent / "corpus"
FILES = sorted(path.name for path in FOLDER.glob("*.jsonl"))


@dataclass(frozen=True)
class Case:
    name: str
    prompt: Any
    rollouts: list[Any]
    text: str | None = None
    partition: list[int] | None = None
    asks: str | None = None
    refused: str | None = None

    @property
    def diversity(self) -> list[float]:
        assert self.partition is not None
        sizes, n = Counter(self.partition), len(self.partition)
        return [(n - sizes[c]) / (n - 1) for c in self.partition]

    @property
    def options(self) -> dict[str, Any]:
        return {} if self.text is None else {"partition": {"text": self.text}}

    @property
    def responses(self) -> list[Any]:
        """Each rollout's text or messages. Raises `CannotSayError` where one has both."""
        if any(isinstance(r, dict) and len(r) > 1 for r in self.rollouts):
            raise CannotSayError
        return [
            r.get("messages", r.get("text")) if isinstance(r, dict) else r for r in self.rollouts
        ]

    @property
    def is_text(self) -> bool:
        return all(isinstance(words, str) for words in [self.prompt, *self.rollouts])

    @property
    def query(self) -> str:
        text = "" if self.text is None else f"&text={self.text}"
        return f"n={len(self.rollouts)}&run={uuid4().hex}&deadline_s={self.deadline_s}{text}"

    @property
    def deadline_s(self) -> int:
        """Seconds that a rollout waits for siblings, of which some may be refused."""
        return 60 if self.refused is None else 1


class CannotSayError(Exception):
    """The door has no form for the group."""


class RefusedError(Exception):
    """The door refuses the group; the message says why."""


def read(file: str) -> list[Case]:
    return [Case(**json.loads(line)) for line in (FOLDER / file).read_text("utf-8").splitlines()]


def posted(exact: Service, path: str, *bodies: Any) -> list[Any]:
    async def send() -> list[httpx.Response]:
        async with httpx.AsyncClient(base_url=exact.url, timeout=60) as http:
            return await asyncio.gather(*(http.post(path, json=body) for body in bodies))

    answers = asyncio.run(send())
    for answer in answers:
        if answer.status_code == 422:
            raise RefusedError(answer.text)
        assert answer.status_code == 200, answer.text
    return [answer.json() for answer in answers]


def grouped(path: str, **more: Any) -> Callable[[Service, Case], list[float]]:
    def door(exact: Service, case: Case) -> list[float]:
        group = {"prompt": case.prompt, "rollouts": case.rollouts}
        if more:
            group["quality"] = [1.0] * len(case.rollouts)
        (answer,) = posted(exact, path, {"groups": [group], **case.options})
        assert answer["groups"][0]["partition"] == case.partition, case.name
        found: list[float] = answer["groups"][0]["diversity"]
        return found

    return door


def rollouts(exact: Service, case: Case) -> list[float]:
    """The members in an order that their ids keep."""
    shared = {
        "group_id": uuid4().hex,
        "group_size": len(case.rollouts),
        "prompt": case.prompt,
        "deadline_s": case.deadline_s,
    }
    bodies = [
        shared | as_object(words) | case.options | {"member_id": member, "quality": 1.0}
        for member, words in enumerate(case.rollouts)
    ]
    return [answer["reward"] for answer in posted(exact, "/v1/rollouts", *bodies)]


def as_object(rollout: Any) -> dict[str, Any]:
    if isinstance(rollout, dict):
        return rollout
    return {"text" if isinstance(rollout, str) else "messages": rollout}


def openrlhf(exact: Service, case: Case) -> list[float]:
    if not case.is_text:
        raise CannotSayError
    bodies = [
        {"query": [case.prompt + text], "prompts": [case.prompt], "labels": [None]}
        for text in case.rollouts
    ]
    answers = posted(exact, f"/get_reward?{case.query}", *bodies)
    return [answer["rewards"] for answer in answers]


def slime_rm(exact: Service, case: Case) -> list[float]:
    if not all(isinstance(words, str) for words in case.rollouts):
        raise CannotSayError
    bodies = [{"prompt": case.prompt, "response": text, "label": None} for text in case.rollouts]
    return posted(exact, f"/trainers/slime/rm?{case.query}", *bodies)


def nemo_gym(exact: Service, case: Case) -> list[float]:
    """A text is the content of the one message that the policy wrote."""
    bodies = [
        {
            "responses_create_params": {"input": case.prompt},
            "response": {"output": as_messages(words)},
            "_ng_group_id": case.name,
            "_ng_rollout_index": place,
        }
        for place, words in enumerate(case.responses)
    ]
    answers = posted(exact, f"/trainers/nemo-gym/verify?{case.query}", *bodies)
    return [answer["reward"] for answer in answers]


def as_messages(words: Any) -> Any:
    return [{"role": "assistant", "content": words}] if isinstance(words, str) else words


def client(exact: Service, case: Case) -> list[float]:
    with Client(exact.url) as own, refusals():
        return own.partitions([Group(case.prompt, case.responses)], **case.options)[0].diversity


def client_rollouts(exact: Service, case: Case) -> list[float]:
    group = uuid4().hex

    async def send() -> list[float]:
        async with AsyncClient(exact.url) as own:
            members = (
                own.rollout(
                    CohortRollout(
                        group_id=group,
                        member_id=member,
                        group_size=len(case.rollouts),
                        deadline_s=case.deadline_s,
                        prompt=case.prompt,
                        rollout=Rollout(words, quality=1.0),
                    ),
                    **case.options,
                )
                for member, words in enumerate(case.responses)
            )
            return [answer.reward for answer in await asyncio.gather(*members)]

    with refusals():
        return asyncio.run(send())


def trl(exact: Service, case: Case) -> list[float | None]:
    n = len(case.rollouts)
    with Client(exact.url) as own, refusals():
        reward = DarlingReward(ones, n, client=own, gather=False, **case.options)
        return reward(prompts=[case.prompt] * n, completions=case.responses)


def ones(completions: Any, **columns: Any) -> list[float | None]:
    return [1.0] * len(completions)


def in_a_client(
    score: Callable[[AsyncClient, Case], Any],
) -> Callable[[Service, Case], list[float]]:
    def door(exact: Service, case: Case) -> list[float]:
        async def send() -> Any:
            async with AsyncClient(exact.url) as own:
                return await score(own, case)

        with refusals():
            found: list[float] = asyncio.run(send())
        return found

    return door


def verifiers_group(own: AsyncClient, case: Case) -> Any:
    reward = verifiers.group_reward(lambda completion: 1.0, client=own, **case.options)
    n = len(case.rollouts)
    blank: list[Any] = [None] * n
    return reward([case.prompt] * n, case.responses, blank, blank, blank, blank)


def areal_group(own: AsyncClient, case: Case) -> Any:
    reward = areal.group_reward(lambda *sample: 1.0, client=own, **case.options)
    return reward(case.prompt, case.responses, {})


def slime_group(own: AsyncClient, case: Case) -> Any:
    reward = slime.group_reward(lambda sample: 1.0, client=own, **case.options)
    samples = [
        SimpleNamespace(prompt=case.prompt, response=words, metadata=None)
        for words in case.responses
    ]
    return reward(SimpleNamespace(), samples)


def swift_orm(exact: Service, case: Case) -> list[float | None]:
    """Whole conversations, of which `num_turns` tells where the rollout begins."""
    conversations = [as_chat(case, words) for words in case.responses]
    with Client(exact.url) as own, refusals(), swift_package():
        from darling_client.trainers.swift import darling_orm

        orm = darling_orm(
            ones, num_generations=len(conversations), client=own, gather=False, **case.options
        )
        rewards: list[float | None] = orm()(
            completions=[""] * len(conversations),
            messages=conversations,
            rollout_infos=[
                {"num_turns": sum(message["role"] == "assistant" for message in as_messages(words))}
                for words in case.responses
            ],
        )
    return rewards


@contextmanager
def swift_package() -> Iterator[None]:
    """A stand-in for what the adapter imports of ms-swift."""

    class ORM:
        def __init__(self, args: Any) -> None:
            pass

    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "swift", ModuleType("swift"))
        rewards = ModuleType("swift.rewards")
        rewards.__dict__["ORM"] = ORM
        patch.setitem(sys.modules, "swift.rewards", rewards)
        yield


def nemo_rl(exact: Service, case: Case) -> list[float]:
    """One turn each: the last message is the rollout."""
    if len(case.rollouts) < 2 or any(len(as_messages(words)) != 1 for words in case.responses):
        raise CannotSayError
    logs = [as_chat(case, words) for words in case.responses]
    with Client(exact.url) as own, refusals(), pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(FOLDER.parent / "trainers/shapes")
        from darling_client.trainers.nemo_rl import environment

        step = environment(lambda *about: 1.0, client=own, **case.options)().step
        rewards: list[float] = step(logs, [{}] * len(logs)).rewards.tolist()
    return rewards


def as_chat(case: Case, words: Any) -> list[Any]:
    """The prompt and the rollout as one conversation."""
    chat = [*as_prompt(case.prompt), *as_messages(words)]
    if not all("role" in message for message in chat):
        raise CannotSayError
    return chat


def as_prompt(prompt: Any) -> Any:
    return [{"role": "user", "content": prompt}] if isinstance(prompt, str) else prompt


@contextmanager
def refusals() -> Iterator[None]:
    """Turns a client's refusal into ours."""
    try:
        yield
    except (BadRequest, ValueError) as error:
        raise RefusedError(str(error)) from None


DOORS: dict[str, Callable[[Service, Case], Any]] = {
    "/v1/rewards": grouped("/v1/rewards", quality=True),
    "/v1/partitions": grouped("/v1/partitions"),
    "/v1/preferences": grouped("/v1/preferences", quality=True),
    "/v1/rollouts": rollouts,
    "/get_reward": openrlhf,
    "/trainers/slime/rm": slime_rm,
    "/trainers/nemo-gym/verify": nemo_gym,
    "Client.partitions": client,
    "AsyncClient.rollout": client_rollouts,
    "TRL": trl,
    "ms-swift": swift_orm,
    "NeMo-RL": nemo_rl,
    "verifiers": in_a_client(verifiers_group),
    "AReaL": in_a_client(areal_group),
    "slime": in_a_client(slime_group),
}


def outcome(door: str, exact: Service, case: Case) -> Any:
    """The diversities that the door finds, or why it refuses; None if it cannot say the case."""
    try:
        return DOORS[door](exact, case)
    except CannotSayError:
        return None
    except RefusedError as refusal:
        return str(refusal)


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("file", FILES)
def test_every_door_finds_the_same(exact: Service, file: str, door: str) -> None:
    for case in read(file):
        told = outcome(door, exact, case)
        if told is None:
            continue
        if case.refused is None:
            assert told == pytest.approx(case.diversity), case.name
        else:
            assert case.refused in told, case.name


@pytest.mark.parametrize("file", FILES)
def test_score_finds_the_same(tmp_path: Path, file: str) -> None:
    for text, cases in by_text(file).items():
        lines, out = tmp_path / f"{text}.jsonl", tmp_path / f"{text}.out.jsonl"
        lines.write_text("".join(as_line(case) for case in cases))
        options = "{}" if text is None else json.dumps({"partition": {"text": text}})
        if text == "everything":
            assert main(["score", str(lines), str(out), "--model", "exact", "--options", options])
            continue
        command = ["score", str(lines), str(out), "--model", "exact", "--options", options]
        assert main(command) == int(any(case.refused for case in cases))
        for case, line in zip(cases, out.read_text().splitlines(), strict=True):
            answer = json.loads(line)
            if case.refused is None:
                assert answer["partition"] == case.partition, case.name
            else:
                assert case.refused in answer["error"]["detail"], case.name


@pytest.mark.parametrize("file", FILES)
def test_evaluate_finds_the_same(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], file: str
) -> None:
    for text, cases in by_text(file).items():
        for case in cases:
            lines = tmp_path / "case.jsonl"
            lines.write_text(as_line(case))
            command = ["evaluate", str(lines), "--model", "exact", "--linkage", "single", "--json"]
            status = main([*command, *(() if text is None else ("--text", text))])
            said = capsys.readouterr()
            if case.refused is not None:
                assert status != 0, case.name
                assert case.refused in said.err, case.name
                continue
            assert status == 0, said.err
            metrics = json.loads(said.out)["metrics"]
            distinct = metrics[f"distinct_{len(case.rollouts)}"]["mean"]
            assert distinct == max(case.partition or ()) + 1, case.name


READERS: dict[str, Callable[[Path, Any], list[str]]] = {
    "label": lambda path, rule: list(read_questions(path, "prompt", "rollouts", rule)[0].texts),
    "pairs": lambda path, rule: [
        text for pair in read_pairs(path, rule) for text in (pair.a, pair.b)
    ],
    "groups": lambda path, rule: list(read_groups(path, rule)[0].texts),
    "solutions": lambda path, rule: read_texts(path, "prompt", "rollouts", rule)[0].texts,
}
"""The texts of a line that a command reads: `label`, and those that train and measure."""


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("file", FILES)
def test_labelled_files_hold_the_same_texts(tmp_path: Path, file: str, reader: str) -> None:
    for case in read(file):
        if case.text == "everything":
            continue
        path = tmp_path / "case.jsonl"
        path.write_text(as_labelled(case))
        if case.refused is not None:
            with pytest.raises(ValueError, match=re.escape(case.refused)):
                READERS[reader](path, case.text or "answer")
            continue
        assert case.partition is not None
        texts = READERS[reader](path, case.text or "answer")
        if reader == "label":
            assert len(texts) == max(case.partition) + 1, case.name
            continue
        if reader == "pairs":
            texts = [texts[0], *texts[1::2]][: len(case.rollouts)]
        first_of_class = [case.partition.index(number) for number in case.partition]
        assert [texts.index(text) for text in texts] == first_of_class, case.name


def as_labelled(case: Case) -> str:
    """The case as a group of rollouts, as a group of a teacher, and as pairs with its first."""
    rows: list[dict[str, Any]] = [
        {
            **{"prompt": case.prompt, "similar": 0},
            **{"generation_0": case.rollouts[0], "generation_1": rollout},
            **{"rollouts": case.rollouts, "generations": case.rollouts},
            "partition": [0] * len(case.rollouts),
        }
        for rollout in case.rollouts[1:] or case.rollouts
    ]
    return "".join(json.dumps(row) + "\n" for row in rows)


@pytest.mark.parametrize("file", FILES)
def test_prompts_are_read_out_of_their_templates(file: str) -> None:
    for case in read(file):
        if case.asks is not None:
            group = PromptGroup.model_validate({"prompt": case.prompt, "rollouts": [""]})
            assert prompt_of(group.prompt).text == case.asks, case.name


def by_text(file: str) -> dict[str | None, list[Case]]:
    cases: dict[str | None, list[Case]] = {}
    for case in read(file):
        cases.setdefault(case.text, []).append(case)
    return cases


def as_line(case: Case) -> str:
    quality = [1.0] * len(case.rollouts)
    return json.dumps({"prompt": case.prompt, "rollouts": case.rollouts, "quality": quality}) + "\n"
