"""The answer of `darling-reward size`: a question's numbers, and what they come to."""

from dataclasses import asdict, dataclass
from typing import Any

from darling_service.sizing.cost import GIB, Memory, PairCost, Processor, seconds
from darling_service.sizing.fleet import Fleet, Plan, fleet
from darling_service.sizing.work import Groups, PairReader, Work, work_of

EMBEDDED, CROSS_ENCODER, CASCADE = "embedded", "cross-encoder", "cascade"


@dataclass(frozen=True, slots=True)
class Question:
    groups: Groups
    model: str
    """`embedded`, `cross-encoder:NAME` or `cascade:NAME`."""
    plan: Plan
    share: float | None = None
    """Share of the pairs that a cascade hands to its second model."""
    pair_tokens: int = 512
    """Tokens of a pair that a cross-encoder reads at most."""

    @property
    def kind(self) -> str:
        return self.model.partition(":")[0]

    @property
    def checkpoint(self) -> str | None:
        """The cross-encoder's name; None without one."""
        return self.model.partition(":")[2] or None

    @property
    def encoded(self) -> bool:
        """Whether the default classifier describes the texts."""
        return self.kind != CROSS_ENCODER

    def check(self) -> None:
        """Raises `ValueError` for a model of another form, and for a share that has no meaning."""
        if self.kind not in (EMBEDDED, CROSS_ENCODER, CASCADE) or (
            (self.kind == EMBEDDED) != (self.checkpoint is None)
        ):
            raise ValueError(
                f"--model is {self.model!r}; it is embedded, cross-encoder:NAME or cascade:NAME"
            )
        if self.kind == CASCADE and self.share is None:
            raise ValueError(
                "--share is missing: the share of the pairs, from 0 to 1, that the cascade hands "
                "to its second model"
            )
        if self.kind != CASCADE and self.share is not None:
            raise ValueError(f"--share belongs to a cascade; leave it out for {self.model}")


@dataclass(frozen=True, slots=True)
class Answer:
    question: Question
    processor: Processor
    work: Work
    core_seconds: float
    """Seconds that one core (or GPU) takes for a step."""
    fleet: Fleet
    notes: tuple[str, ...]
    """What the reader must know beside the numbers."""

    def document(self) -> dict[str, Any]:
        """The answer for programs."""
        return {
            "groups": asdict(self.question.groups),
            "model": self.question.model,
            "processor": self.processor.description,
            "unit": self.processor.unit,
            "work": asdict(self.work),
            "seconds_on_one": self.core_seconds,
            "cores": self.fleet.cores,
            "replicas": self.fleet.replicas,
            "cores_per_replica": self.question.plan.cores_per_replica,
            "spare_replicas": self.question.plan.spare,
            "seconds_of_a_group": self.fleet.group_seconds,
            "replica_bytes": self.fleet.replica_bytes,
            "total_bytes": self.fleet.total_bytes,
            "notes": list(self.notes),
        }

    def lines(self) -> list[str]:
        """The answer for people."""
        groups, plan, unit = self.question.groups, self.question.plan, self.processor.unit
        own, total = self.fleet.replica_bytes, self.fleet.total_bytes
        memory = "not measured"
        if own is not None and total is not None:
            memory = f"up to {own / GIB:.1f} GiB a replica, {total / GIB:,.1f} GiB in all"
        spare = f", {plan.spare} of them spare" if plan.spare else ""
        return [
            f"step      {groups.count:,} groups of {groups.rollouts} rollouts of "
            f"{groups.tokens:,g} tokens, scored within {plan.step_seconds:g} s",
            f"work      {_work(self.work)}",
            f"one {unit:5s} {self.core_seconds:,.4g} s a step",
            f"{unit + 's':9s} {self.fleet.cores:,}, busy for {plan.busy:.0%} of the time",
            f"replicas  {self.fleet.replicas:,} of {plan.cores_per_replica} "
            f"{unit}{'s' * (plan.cores_per_replica > 1)}{spare}",
            f"one group {self.fleet.group_seconds:,.3g} s on a replica that has nothing else to do",
            f"memory    {memory}",
            f"measured  {self.processor.description}",
            *(f"note      {note}" for note in self.notes),
        ]


def answer(question: Question, name: str, processor: Processor, memory: Memory | None) -> Answer:
    """Sizes a fleet of processors of this kind. `name`: as the table calls it, for messages.

    Raises `ValueError` for a question that `Question.check` refuses, and for a model that was not
    measured on this processor.
    """
    question.check()
    pairs = None if question.checkpoint is None else _measured(question.checkpoint, name, processor)
    if question.encoded and processor.encoder is None:
        raise ValueError(
            f"{EMBEDDED} was not measured on {name}; choose another --processor, or run --measure "
            "on such a machine"
        )
    reader = None
    if pairs is not None:
        share = 1.0 if question.share is None else question.share
        reader = PairReader(share, question.pair_tokens)
    work = work_of(question.groups, question.encoded, reader)
    taken = seconds(work, processor.encoder if question.encoded else None, pairs)
    known = memory if processor.unit == "core" else None
    sized = fleet(question.groups, taken, question.plan, known)
    return Answer(
        question, processor, work, taken, sized, tuple(_notes(question, processor, pairs))
    )


def _measured(checkpoint: str, name: str, processor: Processor) -> PairCost:
    known = dict(processor.cross_encoders)
    if checkpoint not in known:
        listed = ", ".join(known) or "no cross-encoder"
        raise ValueError(
            f"the cross-encoder {checkpoint!r} was not measured on {name}, but {listed}; "
            "--measure measures the checkpoint in a folder"
        )
    return known[checkpoint]


def _notes(question: Question, processor: Processor, pairs: PairCost | None) -> list[str]:
    notes = []
    if pairs is not None:
        read = min(2 * question.groups.tokens + 3, question.pair_tokens)
        if read > pairs.longest:
            notes.append(
                f"pairs of {read:,g} tokens are longer than those measured ({pairs.longest:,}), "
                "and cost more by token"
            )
        if processor.unit == "core":
            notes.append("the cross-encoder's weights come on top of the memory")
        else:
            notes.append("a GPU needs CPU cores beside it that tokenise")
    return notes


def _work(work: Work) -> str:
    parts = []
    if work.texts:
        parts.append(f"{work.texts:,.0f} texts of {work.tokens / 1e6:,.3g} M tokens")
        parts.append(f"{work.pairs:,.0f} pairs compared")
    if work.read_pairs:
        parts.append(f"{work.read_pairs:,.0f} pairs of {work.pair_tokens / 1e6:,.3g} M tokens read")
    return ", ".join(parts) or f"{work.groups:,.0f} groups with nothing to compare"
