"""uv installs from where pip would."""

from tests.trainers.environments import uv_settings

PIP = """\
:env:.find-links='/env/wheels /more/wheels'
:env:.disable-pip-version-check='1'
global.cert='/etc/ca.crt'
global.extra-index-url='\\nfile:///one/simple\\nfile:///two/simple'
global.find-links='/global/wheels'
install.constraint='/etc/constraints.txt'
"""


def test_pips_settings_as_uv_takes_them() -> None:
    assert uv_settings(PIP, {"UV_HTTP_TIMEOUT": "7", "SSL_CERT_FILE": "/own.crt"}) == {
        "UV_INDEX_STRATEGY": "unsafe-best-match",
        "UV_FIND_LINKS": "/env/wheels,/more/wheels",
        "UV_EXTRA_INDEX_URL": "file:///one/simple file:///two/simple",
        "UV_CONSTRAINT": "/etc/constraints.txt",
        "SSL_CERT_FILE": "/own.crt",
        "UV_HTTP_TIMEOUT": "7",
    }


def test_without_settings_of_pip() -> None:
    assert uv_settings("", {}) == {"UV_INDEX_STRATEGY": "unsafe-best-match"}
