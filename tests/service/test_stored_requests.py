"""Rewards stay what they were: stored requests, sent to a real service, have their stored answers.

How to add one, and how to compare two commits bit for bit: see `tests.stored`.
"""

from collections import Counter
from collections.abc import Iterator
from importlib.util import find_spec
from typing import Any

import httpx
import pytest

from tests.conftest import Service, running
from tests.stored.comparing import differences, tolerance
from tests.stored.entries import SERVERS, Answers, Entry, read_answers, read_entries
from tests.stored.sending import answers_from

ENTRIES = read_entries()
STORED = read_answers()
HAS_MATH_VERIFY = find_spec("math_verify") is not None
ALIASES = {"/get_reward": "/trainers/openrlhf/get_reward"}
"""Routes that are not in the OpenAPI document."""
UNSCORED = {"/v1/review/marks"}
"""Routes that answer no reward."""
WRITTEN_OUT = ("RewardOptions", "PartitionOptions", "Weights")
"""Schemas all of whose fields must be in a request."""


@pytest.fixture(scope="module")
def found(service: Service, tmp_path_factory: pytest.TempPathFactory) -> Answers:
    sent = [entry for entry in ENTRIES if HAS_MATH_VERIFY or not entry.needs_math_verify]
    answers = answers_from(service.url, [entry for entry in sent if entry.server == "default"])
    for server, arguments in SERVERS.items():
        own = [entry for entry in sent if entry.server == server != "default"]
        if own:
            with running(tmp_path_factory.mktemp(server) / "log", *arguments) as other:
                answers |= answers_from(other.url, own)
    return answers


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_the_answer_is_the_stored_one(entry: Entry, found: Answers) -> None:
    if entry.needs_math_verify and not HAS_MATH_VERIFY:
        pytest.skip("the extra `math` is not installed")
    assert entry.name in STORED, "no answer stored; python -m tests.stored record"
    differing = list(differences(STORED[entry.name], found[entry.name], tolerance(entry)))
    assert not differing, "\n".join(differing)


def test_every_entry_has_a_name_and_an_answer_of_its_own() -> None:
    names = Counter(entry.name for entry in ENTRIES)
    assert not [name for name, times in names.items() if times > 1]
    assert set(STORED) == set(names)
    assert len(ENTRIES) >= 200
    statuses = {answer["status"] for answers in STORED.values() for answer in answers}
    assert statuses == {200}, "requests are valid; what is refused has tests of its own"


def test_every_route_has_a_request(http: httpx.Client) -> None:
    paths = http.get("/openapi.json").json()["paths"]
    wanted = {path for path, operations in paths.items() if "post" in operations} | set(ALIASES)
    missing = wanted - UNSCORED - {entry.route for entry in ENTRIES}
    assert not missing, f"add a request to {' and '.join(sorted(missing))}: see tests/stored"


def test_every_choice_has_a_request(http: httpx.Client) -> None:
    """Each field of the options, and each word that any field of a request may be."""
    schemas = http.get("/openapi.json").json()["components"]["schemas"]
    wanted = {
        (name, choice)
        for schema in schemas.values()
        for name, field in schema.get("properties", {}).items()
        for choice in choices(field)
    }
    assert ("objective", "darling") in wanted, "the document says what may be chosen"
    said = [pair for entry in ENTRIES for pair in entry.said]
    missing = [
        f"{name} = {choice!r}" for name, choice in sorted(wanted) if (name, choice) not in said
    ]
    for schema in WRITTEN_OUT:
        fields = schemas[schema]["properties"].keys() - {name for name, _ in said}
        missing += [f"{name} of {schema}" for name in sorted(fields)]
    assert not missing, f"add a request with {', '.join(missing)}: see tests/stored"


def choices(field: dict[str, Any]) -> Iterator[str]:
    """The words in a field's schema, be it a union or not."""
    yield from field.get("enum", [])
    if "const" in field:
        yield field["const"]
    for union in ("anyOf", "oneOf"):
        for one in field.get(union, []):
            yield from choices(one)
