"""Which settings are secrets, and that settings as text tell no password of a URL."""

from typing import Any

import pytest

from darling_service.cli.settings_flags import is_secret
from darling_service.settings import Settings

WITH_PASSWORD: dict[str, Any] = {
    "history_url": "postgresql://me:do-not-tell@store/history",
    "cache_url": "redis://:do-not-tell@cache:6379/0",
}


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
