"""Pairs of recorded rollouts for a person to judge, and the marks that the person has set.

A pair is known by the question that is asked of it, its prompt and its two texts, in any order: one
that came up in several groups is judged once. Its id names a group and two of its rollouts. A mark
keeps the texts, so that it lasts when its group has been dropped.
"""

import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any, NamedTuple

import numpy as np
import orjson
from sqlalchemy import RowMapping, func, select

from darling_models.keys import content_key, pair_key
from darling_models.labelled_data import COMPARED, CRITERION, MIN_PROMPTS, NOTION, TRAINED
from darling_models.protocol import Notion, all_pairs
from darling_service.history import reading
from darling_service.history.recorded import RunKey
from darling_service.history.store import Store
from darling_service.history.tables import GROUPS, MARKS

MAX_GROUPS = 200
"""Groups of a run, the newest, whose pairs are looked at: of 64 rollouts they are read in 1 s."""
MAX_OF_GROUP = 5
"""Pairs of one group among those that are offered at a time. A classifier learns more from many
prompts, and needs ten with similar pairs and ten with different ones."""
LABELER = "console"
"""The labeler of marks where the API key has no name."""
ID = re.compile(r"([0-9a-f]{32})-(\d{1,5})-(\d{1,5})")


class Question(NamedTuple):
    """What a person judges a pair by: what its classifier was asked. Labels of two questions are
    not to be trained on together."""

    notion: Notion | None = TRAINED
    """None where a criterion takes its place."""
    criterion: str | None = None

    @classmethod
    def of(cls, group: Mapping[str, Any]) -> "Question":
        """The question of a recorded group. A classifier without a notion gives none; whether two
        texts say the same is what people are asked then."""
        if group["criterion"] is not None:
            return cls(None, group["criterion"])
        return cls(group["notion"] or TRAINED)

    @property
    def key(self) -> str:
        return content_key(self.notion or "", self.criterion or "").hex()


@dataclass(frozen=True, slots=True)
class Pair:
    """Two rollouts of a recorded group whose texts differ."""

    id: str
    step: int
    prompt: str
    a: str
    b: str
    compared: str
    """What of each rollout the texts are: the option `text`."""
    notion: Notion | None
    criterion: str | None
    model: str
    probability: float
    threshold: float

    @property
    def key(self) -> str:
        return f"{self.question.key}{pair_key(self.prompt, self.a, self.b).hex()}"

    @property
    def question(self) -> Question:
        return Question(self.notion, self.criterion)

    @property
    def distance(self) -> float:
        """How far the probability is from the threshold."""
        return abs(self.probability - self.threshold)


def candidates(store: Store, run: RunKey, count: int) -> list[Pair]:
    """Pairs of the run's newest groups without a mark, those nearest the threshold first.

    There are at most `count`, and `MAX_OF_GROUP` of one group.
    """
    with store.connect() as connection:
        marked = set(connection.scalars(select(MARKS.c.pair).where(MARKS.c.caller == run.caller)))
        rows = reading.newest(connection, reading.of_run(run), MAX_GROUPS)
    pairs: dict[str, Pair] = {}
    for row in rows:
        keyed = ((pair.key, pair) for pair in _pairs(row))
        unmarked = (one for one in keyed if one[0] not in marked and one[0] not in pairs)
        pairs.update(islice(unmarked, MAX_OF_GROUP))
    return sorted(pairs.values(), key=lambda pair: (pair.distance, pair.id))[:count]


def mark(store: Store, caller: str, pair_id: str, same: bool | None) -> Question | None:
    """Keeps what a person says of a pair: None where the person cannot tell.

    Returns the question that was asked of it; None if the caller has no such pair.
    """
    pair, run = _pair_of(store, caller, pair_id)
    if pair is None:
        return None
    label = {
        "prompt": pair.prompt,
        "generation_0": pair.a,
        "generation_1": pair.b,
        COMPARED: pair.compared,
        NOTION: pair.notion,
        CRITERION: pair.criterion,
        "similar": None if same is None else int(same),
        "labeler": caller or LABELER,
        "probability": pair.probability,
    }
    store.mark(
        {
            "caller": caller,
            "pair": pair.key,
            "run": run,
            "at": time.time(),
            "prompt": content_key(pair.prompt).hex(),
            "question": pair.question.key,
            "same": label["similar"],
            "body": orjson.dumps(label),
        }
    )
    return pair.question


def labels(store: Store, caller: str, run: RunKey | None, question: Question | None) -> list[bytes]:
    """The marked pairs in the form that `darling-reward train --pairs` reads, one JSON object each,
    in the order of marking; None: those of all runs, or questions. Pairs that nobody could judge
    are left out."""
    wanted = select(MARKS.c.body).where(MARKS.c.caller == caller, MARKS.c.same.is_not(None))
    if run is not None:
        wanted = wanted.where(MARKS.c.run == run.run)
    if question is not None:
        wanted = wanted.where(MARKS.c.question == question.key)
    with store.connect() as connection:
        return list(connection.scalars(wanted.order_by(MARKS.c.at, MARKS.c.pair)))


def question_of(store: Store, run: RunKey) -> Question:
    """What the newest recorded group of a run was asked."""
    with store.connect() as connection:
        rows = reading.newest(connection, reading.of_run(run), 1)
    return Question.of(orjson.loads(rows[0]["body"])) if rows else Question()


def progress(store: Store, caller: str, question: Question) -> Mapping[str, Any]:
    """How many pairs of all runs are marked by a question, and on how many prompts, of those that
    training needs."""
    counted = (
        select(MARKS.c.same, func.count(), func.count(MARKS.c.prompt.distinct()))
        .where(MARKS.c.caller == caller, MARKS.c.question == question.key)
        .group_by(MARKS.c.same)
    )
    with store.connect() as connection:
        counts = {same: (pairs, prompts) for same, pairs, prompts in connection.execute(counted)}
    (same, same_prompts), (different, different_prompts) = (counts.get(k, (0, 0)) for k in (1, 0))
    return {
        **question._asdict(),
        "same": same,
        "different": different,
        "unsure": counts.get(None, (0, 0))[0],
        "prompts_same": same_prompts,
        "prompts_different": different_prompts,
        "prompts_needed": MIN_PROMPTS,
    }


def _pairs(row: RowMapping) -> Iterator[Pair]:
    """The pairs of a recorded group, those nearest its threshold first."""
    group = orjson.loads(row["body"])
    if group["probabilities"] is None:
        return
    matrix = np.asarray(group["probabilities"])
    pairs = all_pairs(len(matrix))
    distances = np.abs(matrix[tuple(pairs.T)] - group["threshold"])
    for i, j in pairs[np.argsort(distances, kind="stable")].tolist():
        if group["rollouts"][i]["text"] != group["rollouts"][j]["text"]:
            yield _pair(row["id"], row["step"], group, i, j)


def _pair(group_id: str, step: int, group: Mapping[str, Any], i: int, j: int) -> Pair:
    return Pair(
        **Question.of(group)._asdict(),
        id=f"{group_id}-{i}-{j}",
        step=step,
        prompt=group["prompt"],
        a=group["rollouts"][i]["text"],
        b=group["rollouts"][j]["text"],
        compared=group["text"],
        model=group["model"],
        probability=group["probabilities"][i][j],
        threshold=group["threshold"],
    )


def _pair_of(store: Store, caller: str, pair_id: str) -> tuple[Pair | None, str]:
    """(the pair of an id, its run); None if the caller has none of that id."""
    name = ID.fullmatch(pair_id)
    if name is None:
        return None, ""
    i, j = int(name[2]), int(name[3])
    wanted = select(GROUPS).where(GROUPS.c.caller == caller, GROUPS.c.id == name[1])
    with store.connect() as connection:
        row = connection.execute(wanted).mappings().first()
    if row is None:
        return None, ""
    group = orjson.loads(row["body"])
    if group["probabilities"] is None or not i < j < len(group["rollouts"]):
        return None, ""
    return _pair(row["id"], row["step"], group, i, j), row["run"]
