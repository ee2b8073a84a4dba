"""The console's files: open to every browser, shut to what they should not reach."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from darling_models.card import card_of
from darling_models.errors import ModelError
from darling_service.app import create_app
from darling_service.http.console import POLICY
from darling_service.http.state import Service
from darling_service.settings import Settings

CONSOLE = Path(__file__).parent.parent.parent / "service/console"
FILES = sorted(path.relative_to(CONSOLE).as_posix() for path in CONSOLE.rglob("*.*"))
OWN = [name for name in FILES if not name.startswith("vendor/")]
LINK = re.compile(r"""(?:from|import\(|src=|href=|url\()\s*["']([^"'$]+)["']""")


@pytest.fixture(scope="module")
def guarded() -> Iterator[TestClient]:
    """The app of a service with a key, without its models."""
    app = create_app(Service(Settings(model="exact", api_key="s3cret")))
    with TestClient(app, base_url="http://reward") as client:
        yield client


def test_every_file_is_served_without_a_key_under_a_policy_that_runs_no_inline_script(
    guarded: TestClient,
) -> None:
    for name in FILES:
        answer = guarded.get(f"/console/{name}")
        assert answer.status_code == 200, name
        assert answer.content == (CONSOLE / name).read_bytes()
        assert answer.headers["content-security-policy"] == POLICY
        kind = answer.headers["content-type"]
        assert not name.endswith(".js") or kind.startswith("text/javascript"), kind
    assert "unsafe" not in POLICY
    assert "default-src 'none'" in POLICY


@pytest.mark.parametrize("path", ["/console", "/console/"])
def test_the_folder_is_the_page(guarded: TestClient, path: str) -> None:
    assert "<title>Darling Reward</title>" in guarded.get(path).text


@pytest.mark.parametrize(
    "path",
    [
        *("/v1/models", "/v1/models/card", "/metrics", "/consolex", "/Console/"),
        *("/console/none.js", "/console/vendor/", "/console/pages/"),
    ],
)
def test_the_open_folder_opens_nothing_else(guarded: TestClient, path: str) -> None:
    answer = guarded.get(path)
    assert answer.status_code in (401, 404), path
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("name", [name for name in OWN if name.endswith((".js", ".html", ".css"))])
def test_a_file_names_only_files_that_are_there(name: str) -> None:
    """No other host, no script or style within the page, no markup made of text."""
    text = (CONSOLE / name).read_text()
    for target in LINK.findall(text):
        if target.startswith(("#", "data:")) or target == "../docs":
            continue
        assert (CONSOLE / name).parent.joinpath(target).resolve().is_file(), target
    assert not re.search(r"""["'(]//|https?://(?!www\.w3\.org/2000/svg)[a-z]""", text)
    assert not re.search(r"innerHTML|dangerouslySetInnerHTML|\beval\(|\bstyle=\"", text)


def test_the_card_and_the_plot_of_the_built_in_classifier_are_there() -> None:
    card = card_of("embedded")
    assert card.text is not None
    assert "wrong merges" in card.text
    assert card.reliability is not None
    assert card.reliability.startswith(b"\x89PNG")
    assert card_of("cascade:embedded") == card


def test_a_classifier_has_the_card_of_its_folder_if_there_is_one(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_bytes(b"# Mine \xff")
    for name in (f"embedded:{tmp_path}", f"cross-encoder:{tmp_path}"):
        assert card_of(name).text == "# Mine \N{REPLACEMENT CHARACTER}"
        assert card_of(name).reliability is None
    (tmp_path / "MODEL_CARD.md").write_text("# Better")
    assert card_of(f"embedded:{tmp_path}").text == "# Better"
    (tmp_path / "MODEL_CARD.md").write_bytes(b"#" * (2**20 + 1))
    assert card_of(f"embedded:{tmp_path}").text == "# Mine \N{REPLACEMENT CHARACTER}"


@pytest.mark.parametrize(
    "name", ["exact", "answers", "judge:gpt@http://h", "remote:http://h", "cross-encoder:a/b"]
)
def test_a_classifier_without_a_folder_has_no_card(name: str) -> None:
    assert (card_of(name).text, card_of(name).reliability) == (None, None)


def test_an_unknown_classifier_is_refused() -> None:
    with pytest.raises(ModelError, match="unknown model"):
        card_of("nothing")


def test_the_card_is_answered_as_json() -> None:
    app = create_app(Service(Settings(model="exact")))
    with TestClient(app) as client:
        answer = client.get("/v1/models/card").json()
    assert answer == {"model": "exact", "card": None, "reliability": None}
