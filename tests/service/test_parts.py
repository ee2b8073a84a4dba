"""The parts of a file of answers that workers of Ray write, without a cluster."""

import asyncio
import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from darling_service import offline
from darling_service.offline import Scoring
from darling_service.pipeline import Pipeline
from darling_service.ray_data.parts import join, part_of, write_part
from darling_service.ray_data.shards import cut
from darling_service.scored_lines import Columns, Question, Summary
from darling_service.settings import Settings

SETTINGS = Settings(model="exact")
GOOD: dict[str, Any] = {"prompt": "p", "rollouts": ["a", "b"], "quality": [1, 2]}
BAD: dict[str, Any] = {**GOOD, "quality": [1]}


def write(path: Path, rows: Sequence[dict[str, Any] | None]) -> None:
    """A file of groups; None is a blank line."""
    path.write_text("".join("\n" if row is None else json.dumps(row) + "\n" for row in rows))


def work(source: Path, target: Path) -> Summary:
    """Writes the part of each shard, as a worker does."""
    summary = Summary()

    async def score() -> None:
        pipeline = Pipeline(SETTINGS)
        await pipeline.start()
        question = Question(Columns(), {})
        for shard in cut(str(source), str(target)):
            await write_part(pipeline, shard, question, summary)
        await pipeline.stop()

    asyncio.run(score())
    return summary


def in_one_process(source: Path, target: Path) -> bytes:
    offline.score_files(Scoring([str(source)], str(target)), SETTINGS)
    return target.read_bytes()


def test_an_error_whose_line_was_removed_leaves_its_part(tmp_path: Path) -> None:
    source, out = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    mendings: list[list[dict[str, Any] | None]] = [[GOOD, None, GOOD], [GOOD, GOOD]]
    for mended in mendings:
        write(source, [GOOD, BAD, GOOD])
        assert work(source, out).failed == 1
        write(source, mended)
        summary = work(source, out)
        assert (summary.scored, summary.failed) == (2, 0)
        join(str(out), 1)
        assert out.read_bytes() == in_one_process(source, tmp_path / "one.jsonl")
        out.unlink()
        (tmp_path / "one.jsonl").unlink()


@pytest.mark.parametrize("gone", ["folder", "part"])
def test_parts_that_another_run_took_away_are_told(tmp_path: Path, gone: str) -> None:
    source, out = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    write(source, [GOOD, GOOD])
    work(source, out)
    part = Path(part_of(str(out), 0))
    if gone == "part":
        part.unlink()
    else:
        shutil.rmtree(part.parent)
    with pytest.raises(ValueError, match=r"another run.*run the same command again"):
        join(str(out), 1)
    assert not out.exists()
    work(source, out)
    join(str(out), 1)
    assert out.read_bytes() == in_one_process(source, tmp_path / "one.jsonl")
    assert not part.parent.exists()


def test_a_part_that_says_the_same_is_not_written_again(tmp_path: Path) -> None:
    source, out = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    write(source, [GOOD, None, GOOD])
    work(source, out)
    part = Path(part_of(str(out), 0))
    written = part.stat().st_mtime_ns
    assert work(source, out).scored == 2
    assert part.stat().st_mtime_ns == written
