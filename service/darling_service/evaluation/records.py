"""Files of rollout groups, with the field names that trainers and benchmarks use.

Each line is a JSON object. Its rollouts are in `rollouts`, `generations` or `responses` (texts,
chat messages, or objects as in /v1/rewards). Columns with one value per rollout may stand beside
them: `quality` (or `reward_model_scores`), `correct`, `answers`, and NoveltyBench's `partition` and
`generation_scores`. A missing answer is an answer that is wrong; any other value that is missing in
a column is an error, since leaving its record out would flatter the figures. Only
`generation_scores` may be null as a whole, as in NoveltyBench's files: utility is then of the other
records, and says of how many.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from darling_models import fields, json_lines
from darling_models.fields import FieldFault, each, named
from darling_models.texts.group import group_texts
from darling_models.texts.rule import TextRule
from darling_service import storage
from darling_service.evaluation.answers import same
from darling_service.file_sets import files_of

TEXTS = ("rollouts", "generations", "responses")
PROMPTS = ("prompt", "question", "problem")
QUALITY = ("quality", "reward_model_scores", "rewards")
REFERENCES = ("reference", "ground_truth")

Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class Record:
    """One prompt's rollouts and their columns; None for a column that the record does not have."""

    name: str
    """Tells prompts apart, as what the user last said may not."""
    prompt: str
    """The prompt as it is compared."""
    texts: list[str]
    """What of each rollout is compared, by the option `text`."""
    reasoned: int
    """Rollouts of which reasoning was left out."""
    unfinished: int
    """Rollouts whose reasoning does not end, so that they count as the empty text."""
    quality: list[float] | None
    correct: list[bool] | None
    answers: list[str | None] | None
    """Final answers; None for a rollout that has none."""
    partition: list[int] | None
    generation_scores: list[float] | None
    """NoveltyBench's scores: the quality of the first rollout of each class, 0 for repeats."""


def read(name: str | Path, rule: TextRule = "answer") -> list[Record]:
    """The records of a file, or of all files of a folder, a pattern or a URL, one at least.

    `rule` says what of a rollout is compared. Raises `OSError`, and `ValueError` naming the file,
    the line, the field, the fault and the cure.
    """
    files = files_of(str(name))
    several = len(files) > 1
    records = [
        record
        for file in files
        for record in json_lines.read(
            file,
            lambda row: record_of(row, rule),
            may_be_empty=several,
            opened=storage.open_read if storage.is_url(file) else None,
        )
    ]
    if not records:
        raise ValueError(f"the files of {name} are empty; write one JSON object a line")
    return records


def record_of(row: Mapping[str, Any], rule: TextRule) -> Record:
    """The record on a line. Raises `ValueError` naming the field, the fault and the cure."""
    prompt, said = _required(row, PROMPTS), _required(row, TEXTS)
    rollouts = named(said, fields.rollouts, row[said])
    columns = Columns(row, [rollout.known for rollout in rollouts])
    answers = columns.read(("answers",), "answer", fields.answer, may_be_missing=True)
    correct = columns.read(("correct",), "correct", fields.verdict)
    if correct is None and answers is not None and (name := _name(row, REFERENCES)):
        reference = named(name, _reference, row[name])
        correct = [answer is not None and same(answer, reference) for answer in answers]
    asked = named(prompt, fields.prompt, row[prompt])
    compared = group_texts(asked, [rollout.response for rollout in rollouts], rule)
    return Record(
        name=compared.prompt_name,
        prompt=compared.prompt,
        texts=compared.texts,
        reasoned=compared.reasoning_dropped + compared.reasoning_unfinished,
        unfinished=compared.reasoning_unfinished,
        quality=columns.read(QUALITY, "quality", _score),
        correct=correct,
        answers=answers,
        partition=columns.read(("partition",), "class", fields.class_number),
        generation_scores=columns.read(("generation_scores",), "", _score, may_be_null=True),
    )


@dataclass(frozen=True, slots=True)
class Columns:
    """What a record says of each of its rollouts: in a list beside them, or in each of them."""

    row: Mapping[str, Any]
    rollouts: Sequence[Mapping[str, Any]]

    def read(
        self,
        names: Sequence[str],
        own: str,
        value: Callable[[Any], Value],
        *,
        may_be_missing: bool = False,
        may_be_null: bool = False,
    ) -> list[Value] | None:
        """A value for each rollout; None if there is neither a list nor the field `own`.

        `names`: what the list may be called. `own`: "" for a value that stands only there. Raises
        `FieldFault` if a value is wrong, or missing in some rollouts unless it `may_be_missing`, or
        if the list is null unless it `may_be_null`.
        """
        name = _name(self.row, names)
        held = [own != "" and own in rollout for rollout in self.rollouts]
        if name is None:
            if not may_be_null:
                self._refuse_null(names)
            return self._own(own, value, held, may_be_missing) if any(held) else None
        if any(held):
            raise FieldFault(name, f"stands here and as {own} in the rollouts; drop one of them")
        values = self.row[name]
        if not isinstance(values, list) or len(values) != len(self.rollouts):
            raise FieldFault(name, f"must hold one value for each of the {len(held)} rollouts")
        return named(name, lambda column: each(value, column), values)

    def _refuse_null(self, names: Sequence[str]) -> None:
        """Raises `FieldFault` for a list that is null: no value is known, and one is expected."""
        for name in names:
            if name in self.row:
                message = "is null; write one value for each rollout, or leave the field out"
                raise FieldFault(name, message)

    def _own(
        self,
        own: str,
        value: Callable[[Any], Value],
        held: Sequence[bool],
        may_be_missing: bool,
    ) -> list[Value]:
        if not may_be_missing and not all(held):
            place = f"rollouts[{held.index(False)}].{own}"
            raise FieldFault(place, "missing; give it in every rollout, or in none")
        return [
            named(f"rollouts[{index}].{own}", value, rollout.get(own))
            for index, rollout in enumerate(self.rollouts)
        ]


def _required(row: Mapping[str, Any], names: Sequence[str]) -> str:
    """The first of the names to which the row gives a value. Raises `FieldFault`."""
    name = _name(row, names)
    if name is None:
        raise FieldFault(names[0], f"missing; add it, or one of {', '.join(names[1:])}")
    return name


def _name(row: Mapping[str, Any], names: Sequence[str]) -> str | None:
    """The first of the names to which the row gives a value."""
    return next((name for name in names if row.get(name) is not None), None)


def _score(value: Any) -> float:
    """A number; the published maths files hold each score in a list of one."""
    return fields.number(value[0] if isinstance(value, list) and len(value) == 1 else value)


def _reference(value: Any) -> str:
    reference = fields.answer(value)
    if reference is None:
        raise ValueError("is blank; write the right answer, or leave the field out")
    return reference
