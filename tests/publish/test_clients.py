"""What clients are given: the gateway's URL, the header that a key stands in, and never a key."""

import ast
import json
import shlex
from dataclasses import replace

import pytest

from mcpgov.models import AuthType
from mcpgov.publish.clients import Client, configuration, managed_settings
from mcpgov.publish.offer import KeyHeader, NotOffered
from tests.catalog.offers import AUDIENCE, URL, offer

EDITORS = (Client.VSCODE, Client.CLAUDE, Client.CURSOR)
BEARER = "Bearer ${MCPGOV_GATEWAY_KEY}"


def text(client: Client, auth: AuthType = AuthType.CUSTOM_KEYS, piece: int = -1) -> str:
    return configuration(offer(auth), client).pieces[piece].text


def test_vs_code_asks_for_the_key_and_hides_it() -> None:
    made = json.loads(text(Client.VSCODE))
    server = made["servers"]["github"]
    assert server == {"type": "http", "url": URL, "headers": {"Authorization": "Bearer ${input:github-key}"}}
    (asked,) = made["inputs"]
    assert (asked["type"], asked["id"], asked["password"]) == ("promptString", "github-key", True)


def test_claude_is_given_a_command_line_and_a_file_that_say_the_same() -> None:
    typed = shlex.split(text(Client.CLAUDE, piece=0))
    assert typed[:6] == ["claude", "mcp", "add", "--transport", "http", "github"]
    assert typed[6:] == [URL, "--header", f"Authorization: {BEARER}"]
    (server,) = json.loads(text(Client.CLAUDE))["mcpServers"].values()
    assert server == {"type": "http", "url": URL, "headers": {"Authorization": BEARER}}


def test_cursor_takes_the_key_from_the_environment() -> None:
    (server,) = json.loads(text(Client.CURSOR))["mcpServers"].values()
    assert server == {"url": URL, "headers": {"Authorization": "Bearer ${env:MCPGOV_GATEWAY_KEY}"}}


def test_inspector_is_given_a_command_line() -> None:
    typed = shlex.split(text(Client.INSPECTOR))
    assert typed[2:] == [
        *("--cli", URL, "--transport", "http", "--method", "tools/list"),
        *("--header", "Authorization: Bearer $MCPGOV_GATEWAY_KEY"),
    ]
    assert "MCPGOV_CALLER_TOKEN" in text(Client.INSPECTOR, AuthType.USER_ENTRA)
    assert "--header" not in text(Client.INSPECTOR, AuthType.NONE)


@pytest.mark.parametrize("client", EDITORS)
@pytest.mark.parametrize("auth", [one for one in AuthType if one is not AuthType.CUSTOM_KEYS])
def test_a_client_that_signs_in_by_itself_is_given_no_header(client: Client, auth: AuthType) -> None:
    made = configuration(offer(auth), client)
    assert "eader" not in "".join(piece.text for piece in made.pieces)
    assert URL in made.pieces[0].text
    assert bool(made.notes) is (auth is not AuthType.NONE)


@pytest.mark.parametrize("auth", AuthType)
def test_the_python_script_is_a_program_that_signs_in_as_its_callers_do(auth: AuthType) -> None:
    script = text(Client.PYTHON, auth)
    ast.parse(script)
    assert json.dumps(URL) in script
    expected = {AuthType.CUSTOM_KEYS: "MCPGOV_GATEWAY_KEY", AuthType.OAUTH2: "MCPGOV_CALLER_TOKEN"}
    assert ("os.environ" in script) is (auth in expected)
    assert expected.get(auth, "") in script
    assert (f'get_token("{AUDIENCE}/.default")' in script) is bool(offer(auth).audience)


def test_a_key_in_a_header_of_its_own_has_no_scheme_before_it() -> None:
    made = replace(offer(), key_header=KeyHeader("X-Api-Key"))
    texts = ["".join(piece.text for piece in configuration(made, client).pieces) for client in Client]
    assert not any("Bearer" in text or "Authorization" in text for text in texts)
    assert sum("X-Api-Key" in text for text in texts) == len(Client) - 1  # Copilot's list has no header


@pytest.mark.parametrize("client", Client)
@pytest.mark.parametrize("auth", AuthType)
def test_nothing_is_written_that_looks_like_a_key(client: Client, auth: AuthType) -> None:
    made = configuration(offer(auth), client)
    assert "mcpgov_" not in "".join(piece.text for piece in made.pieces).replace("(mcpgov_…)", "")


def test_the_owner_is_told_for_whom_the_connection_is_and_what_the_token_is_for() -> None:
    assert any(
        "meant for AgenticIdentityToken" in n
        for n in configuration(offer(AuthType.AGENTIC_IDENTITY), Client.CURSOR).notes
    )
    assert any(AUDIENCE in note for note in configuration(offer(AuthType.USER_ENTRA), Client.INSPECTOR).notes)
    assert any("issuer" in note for note in configuration(offer(AuthType.OAUTH2), Client.PYTHON).notes)
    assert any("azure-identity" in n for n in configuration(offer(AuthType.USER_ENTRA), Client.PYTHON).notes)


def test_copilot_lets_the_gateway_alone_through() -> None:
    assert json.loads(text(Client.COPILOT_MANAGED)) == {"allowedMcpServers": [{"serverUrl": URL}]}
    whole = managed_settings(["https://mcp.contoso.com/*", "https://[2001:db8::1]:8443/mcp/github"])
    assert whole["allowedMcpServers"] == [
        {"serverUrl": "https://mcp.contoso.com/*"},
        {"serverUrl": "https://[2001:db8::1]:8443/mcp/github"},
    ]


@pytest.mark.parametrize(
    "urls",
    [
        *([], ["https://*.contoso.com/*"], ["https://*"], ["mcp.contoso.com/*"], ["https:///mcp"], ["ftp://gw/*"]),
        *(["https://gw@evil.example/*"], ["https://gw.example/* "], ["https://gw.example/*?x"], ["https://g\nw/*"]),
        *(
            ["https://mcp.contoso.com/*", "https://evil.example/*/mcp"],
            ["https://gw\\evil.example/*"],
            ["https://gẃ/*"],
        ),
    ],
)
def test_a_list_that_copilot_could_read_otherwise_is_refused(urls: list[str]) -> None:
    with pytest.raises(NotOffered):
        managed_settings(urls)
