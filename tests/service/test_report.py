"""`darling-reward report`: a file of groups, or a run of the history, as one page."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from darling_service.cli.main import main
from darling_service.history.figures import figures_of
from darling_service.history.recorded import RunKey, StepKey
from darling_service.history.store import GroupRow, StepSums, Store
from darling_service.looking.page import page

GROUP: dict[str, Any] = {
    "prompt": "Name a city.",
    "rollouts": ["Lisbon", "Kyoto", "Lisbon"],
    "quality": [0.9, 0.7, 0.5],
}
HOSTILE = "</script><script>alert(1)</script>\u2028<!--<script>&"


def reported(path: Path) -> dict[str, Any]:
    """The data of a page."""
    (data,) = re.findall(
        r'<script type="application/json" id="report">(.*?)</script>', path.read_text()
    )
    content: dict[str, Any] = json.loads(data)
    return content


def report(folder: Path, *rows: dict[str, Any], flags: tuple[str, ...] = ()) -> dict[str, Any]:
    source, out = folder / "exp-7.jsonl", folder / "report.html"
    source.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert main(["report", str(source), "-o", str(out), "--model", "exact", *flags]) == 0
    return reported(out)


def test_a_file_is_a_run_with_a_step_for_each_line(tmp_path: Path) -> None:
    shown = report(tmp_path, GROUP, {**GROUP, "rollouts": ["a", "a", "a"]})
    assert shown["name"] == "exp-7"
    assert shown["curve"]["steps"] == [0, 1]
    series = shown["curve"]["series"]
    assert series["diversity"] == pytest.approx([2 / 3, 0])
    assert series["collapsed_share"] == [0, 1]
    assert series["quality"] == pytest.approx([0.7, 0.7])
    assert series["reward"] == pytest.approx([1.4 / 3, 0])
    assert [group["step"] for group in shown["groups"]] == [0, 1]
    first = shown["groups"][0]
    assert [one["class"] for one in first["rollouts"]] == [0, 1, 0]
    assert [one["reward"] for one in first["rollouts"]] == pytest.approx([0.45, 0.7, 0.25])
    assert first["probabilities"] == [[1, 0, 1], [0, 1, 0], [1, 0, 1]]


def test_lines_that_say_their_step_are_put_together(tmp_path: Path) -> None:
    rows = [{**GROUP, "step": step} for step in (20, 10, 20)]
    shown = report(tmp_path, *rows)
    assert shown["curve"]["steps"] == [10, 20]
    assert shown["curve"]["series"]["groups"] == [1, 2]


def test_a_partition_of_the_file_needs_no_model(tmp_path: Path) -> None:
    bare = {"prompt": "p", "rollouts": ["a", "b"], "partition": [5, 5]}
    shown = report(tmp_path, bare)
    (group,) = shown["groups"]
    assert [one["class"] for one in group["rollouts"]] == [0, 0]
    assert group["model"] is None
    assert shown["curve"]["series"]["quality"] == [None]
    assert report(tmp_path, bare, flags=("--repartition",))["groups"][0]["model"] == "exact"


def test_the_sample_is_spread_over_the_steps(tmp_path: Path) -> None:
    rows = [{**GROUP, "step": step} for step in range(100)]
    shown = report(tmp_path, *rows, flags=("--groups", "5"))
    steps = [group["step"] for group in shown["groups"]]
    assert steps == [0, 25, 50, 74, 99]
    assert report(tmp_path, *rows, flags=("--groups", "0"))["groups"] == []


def test_the_page_loads_nothing_and_runs_nothing_of_the_texts(tmp_path: Path) -> None:
    group = {"prompt": HOSTILE, "rollouts": [HOSTILE, "b"], "id": HOSTILE}
    shown = report(tmp_path, group)
    assert shown["groups"][0]["prompt"] == HOSTILE
    assert shown["groups"][0]["rollouts"][0]["text"] == HOSTILE
    text = (tmp_path / "report.html").read_text()
    assert text.count("</script>") == 3, "import map, data and module end once each"
    assert "alert(1)</script>" not in text
    elements = re.sub(r"(?s)(<style>|<script[^>]*>).*?</(style|script)>", "", text)
    assert not re.search(r"(src|href)=(?!\"data:)", elements)
    policy = re.findall(r'Content-Security-Policy" content="([^"]*)"', text)[0]
    assert policy.startswith("default-src 'none'; script-src data: 'sha256-")
    assert "unsafe" not in policy
    assert "http" not in policy


def test_modules_import_each_other_by_the_names_of_the_map(tmp_path: Path) -> None:
    files = {
        "main.js": 'import { a } from "./parts/a.js";\nimport"./b.js";\n',
        "parts/a.js": 'import b from"../b.js";\nexport const a = b;\n',
        "b.js": "export default 1;\n",
        **dict.fromkeys(("vendor/uplot.css", "curves.css"), "p {}\n"),
        "style.css": '@font-face { src: url("vendor/f.woff2") }\n',
        "vendor/f.woff2": "font",
    }
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(content)
    text = page(tmp_path, "main.js", "T & <T>", {})
    assert "<title>T &amp; &lt;T&gt;</title>" in text
    assert 'from "console/parts/a.js";\nimport"console/b.js"' in text
    (imports,) = re.findall(r'<script type="importmap">(.*?)</script>', text)
    assert set(json.loads(imports)["imports"]) == {"console/parts/a.js", "console/b.js"}
    assert 'url("data:font/woff2;base64,Zm9udA==")' in text


@pytest.fixture
def history(tmp_path: Path) -> str:
    """The URL of a history with the run `a/b` of no key, and the run `run` of the key alice."""
    url = f"sqlite:///{tmp_path / 'history.db'}"
    store = Store(url)
    store.prepare()
    rollouts = [
        {"text": text, "class": number, "diversity": 1, "quality": None, "reward": None}
        for number, text in enumerate("ab")
    ]
    body = {"prompt": "p", "model": "m", "threshold": 0.5, "probabilities": None}
    content = json.dumps({**body, "rollouts": rollouts}).encode()
    for key, steps in ((RunKey("", "a/b"), 3), (RunKey("alice", "run"), 5)):
        sums = {StepKey(key, step): StepSums(figures_of([0, 1]), 1.0, 2.0) for step in range(steps)}
        rows = [GroupRow(f"{key.run}{step.step}", step, 1.0, content) for step in sums]
        store.write(sums, rows, per_step=4)
    store.close()
    return url


@pytest.mark.parametrize(("name", "steps"), [("a/b", 3), ("alice/run", 5)])
def test_a_run_of_the_history_is_found_by_its_name(
    tmp_path: Path, history: str, name: str, steps: int
) -> None:
    out = tmp_path / "report.html"
    assert main(["report", name, "-o", str(out), "--history-url", history]) == 0
    shown = reported(out)
    assert shown["name"] == name.removeprefix("alice/")
    assert shown["curve"]["steps"] == list(range(steps))
    assert len(shown["groups"]) == steps


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("nothing",), "there is no file nothing; for a run of the service, name the store of its"),
        (("nothing", "--history-url", "{history}"), "the history holds no run of that name"),
        (("run", "--history-url", "{history}"), "the history holds no run of that name"),
        (("bob/run", "--history-url", "{history}"), "the history holds no run of that name"),
        (("a", "--history-url", "sqlite:////nowhere/h.db"), "there is no file /nowhere/h.db"),
        (("a", "--history-url", "sqlite:///{text}"), "the history cannot be read: file is not"),
        (("a", "--history-url", "redis://x"), "history_url names no store that is supported"),
        (("{text}",), "{text}, line 1: not valid JSON"),
        (("a", "-o", "/nowhere/a.html"), "--out: /nowhere/a.html is no file in a folder that"),
        (("a", "-o", "/tmp"), "--out: /tmp is no file in a folder that exists"),
        (("{folder}",), "there is no file {folder}; for a run of the service, name the store"),
        (("{text}", "-o", "{text}"), "FILE and --out are the same file"),
        (("{wrong}",), "{wrong}, line 1: step: -1 is not a training step; write an integer"),
    ],
)
def test_what_cannot_be_reported_is_said_in_one_line(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    history: str,
    words: tuple[str, ...],
    message: str,
) -> None:
    (text := tmp_path / "text.jsonl").write_text("no JSON and no database, whatever it is called\n")
    (wrong := tmp_path / "wrong.jsonl").write_text(json.dumps({**GROUP, "step": -1}))
    names = {"history": history, "text": str(text), "wrong": str(wrong), "folder": str(tmp_path)}
    flags = () if "-o" in words else ("-o", str(tmp_path / "report.html"))
    assert main(["report", *(word.format(**names) for word in words), *flags]) == 2
    error = capsys.readouterr().err
    assert error.startswith("darling-reward report: ")
    assert message.format(**names) in error
    assert error.count("\n") == 1
