"""A catalog file says one thing in one way; anything else is refused, all at once, and no key is ever repeated."""

import pytest

from mcpgov.catalog.entries import Entry, parse_entry
from mcpgov.credential.references import EnvironmentAndFiles
from mcpgov.errors import InvalidConfiguration, Problem
from mcpgov.models import AuthType, Connection, LocalUpstream, RemoteUpstream, Secret

REMOTE = """\
name: com.contoso/github
title: GitHub
version: 1.0.0
description: Repositories, issues and pull requests
upstream: https://api.githubcopilot.com/mcp/?toolsets=repos
policies: [company]
connections:
  github:
    authType: CustomKeys
    keys: { Authorization: "Bearer ${env:GITHUB_PAT}", X-Team: platform }
    clientAuthType: CustomKeys
    timeout: 20s
    backends: [https://europe-api.contoso-mcp.net]
    policies: [default, github]
    tools: { delete_repository: { policies: [owners-only] } }
  github-anonymous:
    authType: None
"""
LOCAL = """\
name: com.contoso/time
command: [mcp-server-time, --local-timezone, UTC]
env: { API_KEY: "${env:GITHUB_PAT}" }
cwd: servers/time
connections: { time: {} }
"""
SERVER = "name: com.contoso/x\nupstream: https://x.contoso.com/mcp\n"
ONE = SERVER + "connections: { x: {} }\n"


def parsed(text: str) -> Entry:
    return parse_entry(
        text, "catalog/x.yaml", EnvironmentAndFiles({"GITHUB_PAT": "ghp_s3cret", "NUL": "a\0b"}, "/etc/mcpgov")
    )


def problems(text: str) -> tuple[Problem, ...]:
    with pytest.raises(InvalidConfiguration) as caught:
        parsed(text)
    return caught.value.problems


def test_a_remote_server_is_read_whole() -> None:
    entry = parsed(REMOTE)
    assert (entry.name, entry.title, entry.version) == ("com.contoso/github", "GitHub", "1.0.0")
    assert entry.policies == ("company",)
    github, anonymous = entry.connections
    upstream = "https://api.githubcopilot.com/mcp/?toolsets=repos"
    assert github.connection == Connection(
        "github",
        "com.contoso/github",
        RemoteUpstream(upstream, backends=("https://europe-api.contoso-mcp.net",)),
        AuthType.CUSTOM_KEYS,
        (("Authorization", Secret("Bearer ghp_s3cret")), ("X-Team", Secret("platform"))),
        20.0,
    )
    assert github.policies == ("default", "github")
    assert github.tools == {"delete_repository": ("owners-only",)}
    assert anonymous.connection == Connection("github-anonymous", "com.contoso/github", RemoteUpstream(upstream))
    assert "ghp_s3cret" not in repr(entry)


def test_a_local_server_is_read_whole() -> None:
    (time,) = parsed(LOCAL).connections
    assert time.connection.upstream == LocalUpstream(
        ("mcp-server-time", "--local-timezone", "UTC"), (("API_KEY", Secret("ghp_s3cret")),), "/etc/mcpgov/servers/time"
    )
    assert parsed(LOCAL.replace("cwd: servers/time\n", "")).connections[0].connection.upstream == LocalUpstream(
        ("mcp-server-time", "--local-timezone", "UTC"), (("API_KEY", Secret("ghp_s3cret")),)
    )


def test_private_lets_an_upstream_be_our_own() -> None:
    (one,) = parsed(ONE.replace("https://x.contoso.com", "http://127.0.0.1:9000") + "private: true").connections
    assert one.connection.upstream == RemoteUpstream("http://127.0.0.1:9000/mcp", private=True)


def test_backends_may_have_names() -> None:
    (one,) = parsed(SERVER + "connections: { x: { backends: { eu: https://eu.contoso.com } } }").connections
    upstream = RemoteUpstream(
        "https://x.contoso.com/mcp",
        backends=("https://eu.contoso.com",),
        backend_names=(("eu", "https://eu.contoso.com"),),
    )
    assert one.connection.upstream == upstream


def test_a_connection_may_say_where_its_hosts_are() -> None:
    addresses = "['X.contoso.com:443:8.8.8.8:444', 'eu.contoso.com:8443:[2001:4860::1]']"
    said = f"backends: [https://eu.contoso.com:8443], resolve: {addresses}"
    (one,) = parsed(SERVER + f"connections: {{ x: {{ {said} }} }}").connections
    assert isinstance(one.connection.upstream, RemoteUpstream)
    assert one.connection.upstream.resolve == (
        ("x.contoso.com:443", "8.8.8.8:444"),
        ("eu.contoso.com:8443", "[2001:4860::1]:8443"),
    )


def test_a_private_server_may_be_said_to_be_on_this_machine() -> None:
    text = SERVER + "private: true\nconnections: { x: { resolve: ['x.contoso.com:443:127.0.0.1:8443'] } }"
    upstream = parsed(text).connections[0].connection.upstream
    assert isinstance(upstream, RemoteUpstream)
    assert upstream.resolve == (("x.contoso.com:443", "127.0.0.1:8443"),)


@pytest.mark.parametrize(("written", "seconds"), [("90s", 90), ("1.5s", 1.5), ("1", 1), ("240", 240), ("2.25", 2.25)])
def test_a_timeout_is_a_number_of_seconds(written: str, seconds: float) -> None:
    (one,) = parsed(SERVER + f"connections: {{ x: {{ timeout: {written} }} }}").connections
    assert one.connection.timeout == seconds


@pytest.mark.parametrize(
    ("entry", "says"),
    [
        ("", "the file is empty"),
        ("[]", "must be a mapping"),
        (ONE + "upstrem: x", "no key upstrem"),
        (ONE.replace("com.contoso/x", "contoso"), "not a server name"),
        (ONE.replace("com.contoso/x", "com.contoso/" + "x" * 200), "at most 200"),
        (ONE + f"description: {'x' * 101}", "at most 100"),
        (ONE + 'title: "a\\nb"', "line break"),
        (ONE + "version: 1.0", "must be text"),
        (ONE + "version: 1.x", "not one version"),
        (ONE + "version: ^1.0.0", "not one version"),
        (ONE + "version: latest", "not one version"),
        (ONE + "private: yes", "must be"),
        (ONE + "command: [x]", "not both"),
        (ONE + "env: { A: b }", "env belongs to a command"),
        (ONE + "cwd: x", "cwd belongs to a command"),
        (LOCAL + "private: false", "private belongs to an upstream"),
        (LOCAL.replace("servers/time", "''"), "not the path"),
        (LOCAL.replace("[mcp-server-time", '["", mcp-server-time'), "is empty"),
        (LOCAL.replace("UTC]", '"${env:GITHUB_PAT}"]'), "holds a reference"),
        (LOCAL.replace("[mcp-server-time, --local-timezone, UTC]", "mcp-server-time"), "must be a list"),
        (LOCAL.replace("API_KEY:", "API-KEY:"), "not the name of a variable"),
        (LOCAL.replace('"${env:GITHUB_PAT}"', "7"), "must be text"),
        (LOCAL.replace("env:GITHUB_PAT", "env:NUL"), "holds a NUL"),
        (LOCAL.replace("time: {}", "time: { authType: CustomKeys, keys: { X-Key: a } }"), "reads no headers"),
        (LOCAL.replace("time: {}", "time: { authType: OAuth2 }"), "reads no headers"),
        (LOCAL.replace("time: {}", "time: { callerToken: { header: X-T, audience: api://a } }"), "reads no headers"),
        (LOCAL.replace("time: {}", "time: { backends: [https://a.contoso.com] }"), "has no backends"),
        (LOCAL.replace("time: {}", "time: { resolve: ['a.contoso.com:443:8.8.8.8'] }"), "has no resolve"),
        ("name: com.contoso/x\nconnections: { x: {} }", "nothing says where the server is"),
        (SERVER, "connections is missing"),
        (SERVER + "connections: {}", "connections is empty"),
        (SERVER + "connections: { X: {} }", "X is not the name of a connection"),
        (SERVER + "connections: { a/b: {} }", "not the name of a connection"),
        (ONE.replace("https://x", "http://x"), "plain http"),
        (ONE.replace("x.contoso.com", "2130706433"), "127.0.0.1"),
        (ONE.replace("https://x.contoso.com", "contoso"), "not a URL"),
        (ONE.replace("/mcp", "/mcp?key=${env:GITHUB_PAT}"), "holds a reference"),
        (ONE + "policies: default", "must be a list"),
        (ONE + "policies: [a/b]", "not the name of a policy"),
    ],
)
def test_an_entry_that_cannot_be_served_is_refused(entry: str, says: str) -> None:
    found = problems(entry)
    assert [problem for problem in found if says in problem.message], found
    assert "ghp_s3cret" not in "".join(map(str, found))


@pytest.mark.parametrize(
    ("connection", "says"),
    [
        ("authType: CustomKeys", "CustomKeys without keys"),
        ("keys: { X-Key: a }", "authType None never uses keys"),
        ("timeout: 0", "not a time"),
        ("timeout: 241s", "not a time"),
        ("timeout: true", "not a time"),
        ("timeout: 2m", "not a time"),
        ("timeout: -1", "not a time"),
        ("backends: [https://10.0.0.1]", "leads to 10.0.0.1"),
        ("backends: [x]", "not a URL"),
        ("backends: ['']", "not a URL"),
        ("backends: { eu: https://10.0.0.1 }", "leads to 10.0.0.1"),
        ("backends: { 'e u': https://a.contoso.com }", "not the name of a backend"),
        ("backends: https://a.contoso.com", "neither a list nor a mapping"),
        ("resolve: x", "must be a list"),
        ("resolve: [7]", "must be text"),
        ("resolve: ['x.contoso.com:443']", "is not HOST:PORT:ADDRESS"),
        ("resolve: ['x.contoso.com:443:127.0.0.1']", "leads to 127.0.0.1, which is not a public address"),
        ("resolve: ['x.contoso.com:444:8.8.8.8']", "names x.contoso.com:444, which this connection never calls"),
        ("resolve: ['x.contoso.com:443:8.8.8.8', 'X.contoso.com:443:8.8.4.4']", "has an address already"),
        ("tools: { 'a b': {} }", "not the name of a tool"),
        ("tools: { a: { policy: x } }", "no key policy"),
        ("authType: CustomKeys, keys: { Host: a }", "carries no key"),
        ("authType: CustomKeys, keys: { mcp-name: a }", "carries no key"),
        ("authType: CustomKeys, keys: { 'X Key': a }", "not the name of a header"),
        ("authType: CustomKeys, keys: { X-Key: a, x_key: b }", "x_key is written twice"),
        ("authType: CustomKeys, keys: { X-Key: 7 }", "must be text"),
        ("authType: CustomKeys, keys: { X-Key: '' }", "not one line of plain ASCII"),
        ('authType: CustomKeys, keys: { X-Key: "a\\r\\nb" }', "not one line of plain ASCII"),
        ("authType: CustomKeys, keys: { X-Key: 'a ' }", "not one line of plain ASCII"),
        ("authType: CustomKeys, keys: { X-Key: ü }", "not one line of plain ASCII"),
        ("authType: CustomKeys, keys: { X-Key: '${env:ABSENT}' }", "ABSENT, which is not set"),
        ("authType: CustomKeys, keys: { X-Key: '${secret:x}' }", "names no secret of a Key Vault"),
        ("authType: CustomKeys, keys: { X-Key: 'Bearer <token>' }", "X-Key is a placeholder"),
    ],
)
def test_a_connection_that_cannot_be_served_is_refused(connection: str, says: str) -> None:
    found = problems(SERVER + f"connections: {{ x: {{ {connection} }} }}")
    assert [problem for problem in found if says in problem.message], found


def test_every_problem_of_a_file_is_told_with_its_place() -> None:
    text = SERVER + "connections:\n  x:\n    timeout: 0\n    keys: { X-Key: '${env:NO}' }\n  Y: {}\n"
    assert sorted((found.line, found.column) for found in problems(text)) == [(5, 14), (6, 20), (7, 6)]
    text = ONE.replace("https:", "http:").replace("{}", "{ authType: CustomKeys, backends: [http://a.b] }")
    assert sorted((found.line, found.column) for found in problems(text)) == [(2, 11), (3, 31), (3, 54)]
    assert all(found.mend for found in problems(text))


def test_a_connection_without_a_word_is_told_how_to_be_written() -> None:
    (found,) = problems(SERVER + "connections: { x: }\n")
    assert str(found) == "catalog/x.yaml:3:18: x must be a mapping (write x: {})"


def test_a_key_may_come_from_a_key_vault_or_be_written_as_litellm_does() -> None:
    url = "https://contoso.vault.azure.net/secrets/pat"
    keys = f'keys: {{ Authorization: "Bearer ${{secret:{url}}}", X-Key: os.environ/PAT }}'
    text = SERVER + f"connections: {{ x: {{ authType: CustomKeys, {keys} }} }}"
    (one,) = parse_entry(text, "x", EnvironmentAndFiles({"PAT": "ghp"}, fetch={url: "s3cret"}.__getitem__)).connections
    assert one.connection.keys == (("Authorization", Secret("Bearer s3cret")), ("X-Key", Secret("ghp")))


def test_clients_may_sign_in_another_way_than_mcpgov_does() -> None:
    how = "clientAuthType: AgenticIdentityToken, clientAudience: api://mcpgov.contoso.com"
    text = REMOTE.replace("clientAuthType: CustomKeys", how.replace(", ", "\n    "))
    github, anonymous = (served.connection for served in parsed(text).connections)
    assert (github.auth_type, github.client_auth_type) == (AuthType.CUSTOM_KEYS, AuthType.AGENTIC_IDENTITY)
    assert github.client_audience == "api://mcpgov.contoso.com"
    assert (anonymous.client_auth_type, anonymous.client_audience) == (AuthType.CUSTOM_KEYS, "")
