"""Where a listener's certificate and key are."""

from pathlib import Path

import pytest

from mcpgov.errors import InvalidConfiguration
from mcpgov.settings import parse_settings

BOTH = "{ certificate: server.crt, key: /etc/keys/server.key }"


def test_paths_start_from_the_folder_of_the_file_at_both_listeners() -> None:
    settings = parse_settings(f"tls: {BOTH}\nadmin: {{ tls: {BOTH} }}\n", "/gateway/mcpgov.yaml")
    assert settings.admin
    for tls in (settings.tls, settings.admin.tls):
        assert tls
        assert (tls.certificate, tls.key) == (Path("/gateway/server.crt"), Path("/etc/keys/server.key"))
    assert (settings.url, settings.admin.url) == ("https://127.0.0.1:8080", "https://127.0.0.1:8081")


def test_without_tls_nothing_says_https() -> None:
    assert parse_settings("admin: {}\n", "mcpgov.yaml").url == "http://127.0.0.1:8080"


@pytest.mark.parametrize(
    ("tls", "told"),
    [
        ("{ certificate: server.crt }", "mcpgov.yaml:1:6: key is missing"),
        ("{ key: server.key }", "mcpgov.yaml:1:6: certificate is missing"),
        ("{ certificate: '', key: k }", "is not the path of a file"),
        ("{ certificate: [a], key: k }", "is not the path of a file"),
        ("", "is empty"),
    ],
)
def test_half_a_pair_is_refused_and_none_is_ever_guessed(tls: str, told: str) -> None:
    with pytest.raises(InvalidConfiguration) as raised:
        parse_settings(f"tls: {tls}\n", "mcpgov.yaml")
    assert told in str(raised.value)
