"""JSON lines as labelled data, rollouts and labels are read from files."""

import gzip
import os
import re
import threading
from pathlib import Path
from typing import Any

import pytest

from darling_models import fields, json_lines
from darling_models.fields import field

BOM = b"\xef\xbb\xbf"
LINES = b'{"prompt": "a"}\n{"prompt": "\xc3\xa9"}\n'
FORMS = {
    "plain": ("rows.jsonl", LINES),
    "without a last newline": ("rows.jsonl", LINES.rstrip()),
    "blank lines": ("rows.jsonl", b"\n" + LINES.replace(b"\n", b"\n \t\n\r\n")),
    "Windows lines": ("rows.jsonl", LINES.replace(b"\n", b"\r\n")),
    "a byte order mark": ("rows.jsonl", BOM + LINES),
    "a blank line with the mark": ("rows.jsonl", BOM + b"\n" + LINES),
    "marks of joined files": ("rows.jsonl", LINES.replace(b"{", BOM + b"{")),
    "a line separator in a text": ("rows.jsonl", LINES + b'{"prompt": "b\xe2\x80\xa8c"}'),
    "packed": ("rows.jsonl.gz", gzip.compress(LINES)),
    "packed under another name": ("rows.jsonl", gzip.compress(LINES)),
    "plain under a packed file's name": ("rows.jsonl.gz", LINES),
    "packed in two parts": ("rows.gz", gzip.compress(LINES[:16]) + gzip.compress(LINES[16:])),
    "packed with a mark": ("rows.gz", gzip.compress(BOM + LINES)),
    "no ending": ("rows", LINES),
}


def prompts(path: Path) -> list[str]:
    return json_lines.read(path, lambda row: field(row, "prompt", fields.text))


@pytest.mark.parametrize("form", FORMS)
def test_a_file_reads_the_same_in_every_form(tmp_path: Path, form: str) -> None:
    name, content = FORMS[form]
    (tmp_path / name).write_bytes(content)
    assert prompts(tmp_path / name)[:2] == ["a", "é"]


BROKEN = {
    "a brace": (b"{", "line 3: not valid JSON: Expecting property name"),
    "half a line": (b'{"prompt": "a', "line 3: not valid JSON: Unterminated string"),
    "two objects": (b'{"prompt": "a"} {"prompt": "b"}', "line 3: not valid JSON: Extra data"),
    "deep nesting": (b"[" * 100_000, "line 3: not valid JSON"),
    "a list": (b"[]", "line 3: not a JSON object; write one in {} on each line"),
    "a number": (b"7", "line 3: not a JSON object"),
    "null": (b"null", "line 3: not a JSON object"),
    "a huge integer": (b'{"prompt": ' + b"9" * 5000 + b"}", "line 3: not valid JSON"),
    "no field": (b'{"promt": "b"}', "line 3: prompt: missing; add it"),
    "a field of another kind": (b'{"prompt": 1}', "line 3: prompt: 1 is not a text"),
    "a null": (b'{"prompt": null}', "line 3: prompt: null is not a text"),
    "half a character": (rb'{"prompt": "\ud800"}', "line 3: prompt: contains a lone surrogate"),
    "Latin-1": (b'{"prompt": "\xe9"}', "line 3: not UTF-8: byte 0xe9 at position 13; save"),
    "UTF-16": ('{"prompt": "a"}'.encode("utf-16"), "line 3: not UTF-8: byte 0xff at position 1"),
}


@pytest.mark.parametrize("fault", BROKEN)
@pytest.mark.parametrize("packed", [False, True])
def test_a_bad_line_is_named_with_its_fault(tmp_path: Path, fault: str, packed: bool) -> None:
    line, message = BROKEN[fault]
    content = b'{"prompt": "a"}\n\n' + line + b"\n" + b'{"prompt": "c"}'
    path = tmp_path / "rows.jsonl"
    path.write_bytes(gzip.compress(content) if packed else content)
    with pytest.raises(ValueError, match=f"^{re.escape(f'{path}, {message}')}"):
        prompts(path)


@pytest.mark.parametrize("content", [b"", b"\n \r\n", BOM, gzip.compress(b"", mtime=0)])
def test_a_file_without_a_line_is_told(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"rows\.jsonl is empty; write one JSON object a line"):
        prompts(path)
    assert json_lines.read(path, dict[str, Any], may_be_empty=True) == []


def test_a_damaged_gzip_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    packed = gzip.compress(os.urandom(1000) + LINES * 1000)
    damages = packed[:-10], packed[:40], packed + b"more", packed[:30] + bytes(30) + packed[60:]
    for damaged in damages:
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match=r"rows\.jsonl(, line| cannot be unpacked)"):
            prompts(path)


def test_what_cannot_be_opened_is_named(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "missing.jsonl", tmp_path / "missing" / "rows.jsonl"):
        with pytest.raises(OSError, match=path.name):
            prompts(path)


@pytest.mark.parametrize("content", [LINES, gzip.compress(LINES, mtime=0)])
def test_a_pipe_is_read_once(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    writer = threading.Thread(target=path.write_bytes, args=(content,))
    writer.start()
    assert prompts(path) == ["a", "é"]
    writer.join()


@pytest.mark.parametrize(
    ("content", "kept"),
    [
        (b"", b""),
        (b"\n", b"\n"),
        (b'{"a": 1}\n', b'{"a": 1}\n'),
        (b'{"a": 1}\n{"a', b'{"a": 1}\n'),
        (b'{"a": "\xc3', b""),
        (b'{"a": 1}\n{"a": 2}', b'{"a": 1}\n{"a": 2}\n'),
        (b'{"a": 1}\n  ', b'{"a": 1}\n'),
    ],
)
def test_only_the_line_that_was_being_written_is_cut_off(
    tmp_path: Path, content: bytes, kept: bytes
) -> None:
    path = tmp_path / "out.jsonl"
    json_lines.cut_incomplete_line(path)
    assert not path.exists(), "nothing is made where there was nothing"
    path.write_bytes(content)
    json_lines.cut_incomplete_line(path)
    assert path.read_bytes() == kept


@pytest.mark.parametrize(
    "content",
    [b"my notes", b"a,b\n1,2", b'[\n{"a": 1}\n]', gzip.compress(LINES, mtime=0), b"\x00\n\x01"],
)
def test_a_file_of_another_kind_is_left_as_it_is(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "out.jsonl"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"out\.jsonl (is packed|ends in something other)"):
        json_lines.cut_incomplete_line(path)
    assert path.read_bytes() == content
