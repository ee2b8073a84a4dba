"""What a reader of the figures must know: what they leave out, and how the files differ."""

from collections.abc import Iterator, Mapping, Sequence

from darling_service.evaluation.partitioning import Classes
from darling_service.evaluation.records import Record

SUCCESS = "pass@k, auc@k, maj@k and cov@k"
"""Figures that always need `correct`."""
JUDGED = f"effective_diversity, effective_diversity_pairwise, {SUCCESS}"
"""Figures that need `correct` where other records have it and there is no quality threshold."""
COLUMNS: Mapping[str, str] = {
    "correct": SUCCESS,
    "answers": "maj@k",
    "quality": "quality and utility_k",
    "generation_scores": "figures of utility_k without quality",
}
"""Columns that a record may lack, and the figures that need them."""
MAX_QUOTED = 60
"""Characters of a prompt that an error quotes."""


def about_file(
    name: str, records: Sequence[Record], classes: Sequence[Classes], model: str
) -> Iterator[str]:
    """What to know of one file's figures."""
    stored = sum(each.stored for each in classes)
    if stored:
        yield f"{name}: {stored} of {len(records)} records have a partition in the file"
    if stored < len(records):
        yield f"{name}: {len(records) - stored} of {len(records)} records partitioned by {model}"
    if reasoned := sum(record.reasoned for record in records):
        unfinished = sum(record.unfinished for record in records)
        yield (
            f"{name}: the reasoning of {reasoned} of {sum(len(r.texts) for r in records)} rollouts "
            f"is left out of all figures of classes and wording; that of {unfinished} does not end"
        )
    unknown = any(each.valid is None for each in classes)
    for column, figures in {**COLUMNS, "correct": JUDGED if unknown else SUCCESS}.items():
        lacking = [k for k, record in enumerate(records) if getattr(record, column) is None]
        if lacking and (column == "correct" or len(lacking) < len(records)):
            yield (
                f"{name}: {len(lacking)} of {len(records)} records, the first of them record "
                f"{lacking[0] + 1}, have no {column}; {figures} leave them out"
            )
    dropped = sum(
        record.generation_scores is not None and record.quality is None and not each.stored
        for record, each in zip(records, classes, strict=True)
    )
    if dropped:
        yield (
            f"{name}: generation_scores of {dropped} records belong to another partition; "
            "utility_k leaves them out, unless you add quality"
        )


def check_prompts(names: Sequence[str], files: Sequence[Sequence[Record]]) -> Iterator[str]:
    """What to know of two files' prompts.

    Raises `ValueError` if they have none in common: then nothing can be compared.
    """
    prompts = [list(dict.fromkeys(record.name for record in records)) for records in files]
    shared = set(prompts[0]).intersection(*prompts[1:])
    if not shared:
        firsts = " and ".join(_quoted(records[0].prompt) for records in files)
        raise ValueError(
            f"{' and '.join(names)} have no prompt in common, so nothing can be compared; their "
            f"first prompts are {firsts}. Give two files of the same prompts, or one file at a time"
        )
    for name, own in zip(names, prompts, strict=True):
        if alone := len(own) - len(shared):
            yield (
                f"{name}: {alone} of {len(own)} prompts are not in the other file; the comparison "
                "leaves them out"
            )


def _quoted(prompt: str) -> str:
    return repr(prompt if len(prompt) <= MAX_QUOTED else f"{prompt[:MAX_QUOTED]}…")
