"""NeMo-RL: an environment for synchronous rollouts, which step a whole batch at once.

my_module.py, which holds the two environments:

    import ray
    from darling_client.trainers.nemo_rl import environment

    Darling = ray.remote(environment(quality))   # register_env("darling", "my_module.Darling")
    Validation = ray.remote(environment(quality, validation=True))
"""

from __future__ import annotations

import json
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from itertools import groupby
from math import gcd
from typing import TYPE_CHECKING, Any

from darling_client import Client
from darling_client._grouping import Grouping, consecutive, regroup
from darling_client._messages import messages_body
from darling_client.trainers._batch import Batch, Row
from darling_client.trainers._quality import judgements
from darling_client.trainers._request import Request

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from darling_client.trainers._request import AdapterParams

Messages = Sequence[Mapping[str, Any]]

IDS = (
    *("_ng_group_id", "group_id", "uid", "prompt_id"),
    *("_ng_task_index", "task_index", "idx", "index", "id"),
)
"""Names under which the metadata of a dataset's row may hold an id that its rollouts share."""


def environment(
    quality: Callable[[Messages, Any], Any],
    *,
    validation: bool = False,
    num_generations: int | None = None,
    client: Client | None = None,
    **params: Unpack[AdapterParams],
) -> type:
    """Returns an `EnvironmentInterface` class for one turn; wrap it with `ray.remote`.

    `quality(messages, metadata)` is the quality of one conversation: a number, or a mapping with
    some of the fields of `Judgement`. `validation`: reward the quality alone, as validation has one
    rollout per prompt. `num_generations`: `grpo.num_generations_per_prompt`; each so many
    consecutive rows are then a group. Without it, `groups` finds them. `client`: by default one for
    the environment's `DARLING_URL`. `params`: see `AdapterParams`.

    Its `step` raises `DarlingError` when there is no answer within `patience_s`, and `ValueError`
    for a group of one, which has no diversity: asynchronous rollouts step each rollout alone.
    """
    request = Request(params)
    if num_generations is not None and num_generations < 2:
        raise ValueError(f"num_generations is {num_generations}; give at least 2")
    import torch
    from nemo_rl.environments.interfaces import EnvironmentInterface, EnvironmentReturn

    class Darling(EnvironmentInterface):  # type: ignore[misc]
        def __init__(self, config: Any = None) -> None:
            self._client = client or Client()

        def step(self, message_log_batch: Sequence[Messages], metadata: Sequence[Any]) -> Any:
            judged = judgements(
                [quality(*row) for row in zip(message_log_batch, metadata, strict=True)],
                len(message_log_batch),
            )
            rows = [
                Row(messages[:-1], messages[-1:], known)
                for messages, known in zip(message_log_batch, judged, strict=True)
            ]
            rewards = _qualities(rows) if validation else self._rewards(rows, metadata)
            return EnvironmentReturn(
                observations=[{"role": "environment", "content": ""} for _ in rewards],
                metadata=list(metadata),
                next_stop_strings=[None] * len(rewards),
                # One tensor, as NeMo-RL adds up the tensors of a dict.
                rewards=torch.tensor(rewards),
                terminateds=torch.ones(len(rewards)),
                answers=[None] * len(rewards),
            )

        def _rewards(self, rows: Sequence[Row], metadata: Sequence[Any]) -> list[float]:
            if num_generations is None:
                grouping = groups([row.prompt for row in rows], metadata)
            else:
                grouping = consecutive(len(rows), num_generations)
            batch = Batch(rows, grouping, request)
            scores = batch.scores(self._client.rewards(batch.groups, **request.params()))
            rewards = [score.reward for score in scores if score is not None]
            if len(rewards) < len(scores):
                raise ValueError(NO_QUALITY)
            return rewards

        def global_post_process_and_metrics(self, batch: Any) -> Any:
            return batch, {}

    return Darling


NO_QUALITY = "quality returned None, NaN or infinity for a rollout; return a finite number"


def _qualities(rows: Sequence[Row]) -> list[float]:
    """The quality alone: a verdict counts 1 or 0 where there is no number."""
    qualities = []
    for row in rows:
        quality = None if row.judgement is None else row.judgement.quality
        if quality is None and row.judgement is not None and row.judgement.correct is not None:
            quality = float(row.judgement.correct)
        if quality is None:
            raise ValueError(NO_QUALITY)
        qualities.append(quality)
    return qualities


def groups(prompts: Sequence[Any], metadata: Sequence[Any]) -> Grouping:
    """The groups of a batch, in which NeMo-RL repeats each row of the dataset n times in a row.

    Rollouts with an equal label are siblings; `_labels` says which labels there are, and the first
    that leaves no rollout alone is taken. Neighbouring dataset rows with equal labels are told
    apart by n, which divides the length of every run of a label. Raises `ValueError` where every
    label leaves some rollout alone.
    """
    for labels in _labels(prompts, metadata):
        runs = [len(list(run)) for _, run in groupby(labels)]
        size = gcd(*runs)
        grouping = consecutive(len(labels), size) if size > 1 else regroup(labels)
        if all(len(group) > 1 for group in grouping.rows):
            return grouping
    raise ValueError(
        "a prompt has one rollout in this batch, so there is no diversity: use synchronous "
        "rollouts with several generations per prompt, environment(quality, validation=True) for "
        "validation, or the service's /verify for NeMo-Gym. Where the rollouts of one dataset row "
        "have different prompts, give environment(quality, num_generations=n)"
    )


def _labels(prompts: Sequence[Any], metadata: Sequence[Any]) -> Iterator[Sequence[Hashable]]:
    """Labels of the rollouts, from fine to coarse: prompt and metadata, prompt and an id of `IDS`,
    the id, the prompt. NeMo-RL copies the metadata for each rollout, so that the identity of the
    object says nothing."""
    texts = [json.dumps(messages_body(prompt)) for prompt in prompts]
    ids = [
        column for name in IDS if None not in (column := [_text(about, name) for about in metadata])
    ]
    yield list(zip(texts, map(_text, metadata), strict=True))
    yield from (list(zip(texts, column, strict=True)) for column in ids)
    # One id for a whole batch of different prompts may be no id at all.
    yield from (list(column) for column in ids if len(set(column)) > 1)
    yield list(texts)


def _text(about: Any, name: str | None = None) -> str | None:
    """The metadata of a rollout, or what it holds under a name, as a text; None for nothing."""
    if name is not None:
        about = about.get(name) if isinstance(about, Mapping) else None
    if about is None:
        return None
    try:
        return json.dumps(about, default=str, sort_keys=True)
    except (TypeError, ValueError, RecursionError):
        return str(about)
