"""JSON lines as labelled data, rollouts and labels are read from files."""

import gzip
from pathlib import Path

import pytest

from darling_models import json_lines


def prompts(path: Path) -> list[str]:
    return json_lines.read(path, lambda row: json_lines.text(row, "prompt"))


def test_blank_lines_are_skipped_and_counted(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text('\n{"prompt": "a"}\n  \n{"prompt": "b"}')
    assert prompts(path) == ["a", "b"]
    path.write_text('\n{"prompt": "a"}\n\n{"promt": "b"}\n')
    with pytest.raises(ValueError, match=r"rows\.jsonl, line 4: no field 'prompt'"):
        prompts(path)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "line 2: not valid JSON: Expecting property name"),
        ("[" * 100_000, "line 2: not valid JSON"),
        ("[]", "line 2: not a JSON object"),
        ('{"prompt": 1}', "line 2: the field 'prompt' is not a text"),
    ],
)
def test_a_bad_line_is_named_with_its_fault(tmp_path: Path, line: str, message: str) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text(f'{{"prompt": "a"}}\n{line}\n')
    with pytest.raises(ValueError, match=message):
        prompts(path)


def test_a_gzip_file_is_unpacked_and_a_damaged_one_named(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl.gz"
    packed = gzip.compress(b'{"prompt": "a"}\n' * 1000)
    path.write_bytes(packed)
    assert prompts(path) == ["a"] * 1000
    for damaged in (packed[:-10], b'{"prompt": "a"}\n'):
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match=r"rows\.jsonl\.gz cannot be unpacked"):
            prompts(path)


def test_only_the_line_that_was_being_written_is_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    json_lines.cut_incomplete_line(path)
    assert not path.exists(), "nothing is made where there was nothing"
    for content, kept in ((b"a\nb", b"a\n"), (b"a\nb\n", b"a\nb\n"), (b"a", b""), (b"", b"")):
        path.write_bytes(content)
        json_lines.cut_incomplete_line(path)
        assert path.read_bytes() == kept
