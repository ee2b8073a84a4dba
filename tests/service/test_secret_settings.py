"""No message and no representation of the settings tells a secret."""

import argparse
from typing import Any

import pytest

from darling_service.cli.settings_flags import is_secret, read_settings
from darling_service.settings import Settings

WITH_PASSWORD: dict[str, Any] = {
    "history_url": "postgresql://me:do-not-tell@store/history",
    "cache_url": "redis://:do-not-tell@cache:6379/0",
}
UNREADABLE = "\udcff"
"""What Python makes of a byte in the environment that is no UTF-8."""


@pytest.mark.parametrize("name", [*WITH_PASSWORD, "api_key", "judge_api_key"])
def test_the_message_about_a_wrong_value_leaves_out_a_secret(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    value = WITH_PASSWORD.get(name, "do-not-tell")
    monkeypatch.setenv(f"DARLING_{name.upper()}", value + UNREADABLE)
    with pytest.raises(ValueError, match=f"DARLING_{name.upper()}") as fault:
        read_settings(argparse.Namespace())
    assert "do-not-tell" not in str(fault.value)


def test_settings_do_not_show_the_passwords_of_urls() -> None:
    assert "do-not-tell" not in repr(Settings(**WITH_PASSWORD))


@pytest.mark.parametrize(
    ("name", "value", "secret"),
    [
        ("cache_url", "redis://cache:6379/0", False),
        ("cache_url", "redis://cache:6379/0?password=x", True),
        ("history_url", "sqlite:////var/lib/darling/history.db", False),
        ("history_url", "postgresql://store/history", False),
        ("api_keys", "a sha256:0", True),
        ("model", "judge:m@http://server/v1", False),
    ],
)
def test_a_url_is_a_secret_where_it_holds_a_password(name: str, value: str, secret: bool) -> None:
    assert is_secret(name, value) is secret
