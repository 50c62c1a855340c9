"""`mcpgov catalog` lists, shows, exports and changes entries; no secret is shown, and only what is said changes."""

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, nullcontext
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from mcpgov.audit.record import ControlRecord
from mcpgov.cli.catalog import build_catalog
from mcpgov.errors import InvalidConfiguration, StoreUnavailable
from mcpgov.pinning.judgement import Pin
from mcpgov.pinning.pin_store import Seen
from mcpgov.store.memory_pins import MemoryPins
from mcpgov.store.recorded_pins import RecordedPins
from tests.audit.calls import NOW
from tests.cli.folder import furnish

SECOND = """\
# the next one
name: com.contoso/github
version: 2.0.0   # not yet
title: GitHub for teams
publisher: Contoso
categories: [Developer tools, Code]
registry: center
environments: [production]
owner: platform
contacts: [{ name: Platform, email: platform@contoso.com }]
upstream: https://api.contoso.com/mcp?code=in-the-query&tenant=a
connections:
  github-teams:
    authType: CustomKeys
    keys: { Authorization: "Bearer of-the-connection" }
    clientAuthType: OAuth2
"""
GONE = "name: com.contoso/gone\nstatus: deleted\nupstream: https://a.b.com\nconnections: { x: {} }\n"


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return furnish(tmp_path, {"catalog/teams.yaml": SECOND, "catalog/gone.yaml": GONE})


def run(config: Path, *arguments: str) -> Result:
    return CliRunner().invoke(build_catalog(), [*arguments, "--config", str(config)])


def names(config: Path, *arguments: str) -> list[str]:
    rows: list[dict[str, Any]] = json.loads(run(config, "list", "--json", *arguments).stdout)
    return [f"{row['name']} {row['version']}" for row in rows]


def test_every_version_is_listed_without_a_secret(config: Path) -> None:
    result = run(config, "list")
    assert result.exit_code == 0
    heading, *lines = result.stdout.splitlines()
    assert heading.split() == ["name", "version", "status", "publisher", "registry", "authentication", "connections"]
    assert [line.split()[:3] for line in lines] == [
        ["com.contoso/github", "0.0.0", "active"],
        ["com.contoso/github", "2.0.0", "active"],
        ["com.contoso/time", "0.0.0", "active"],
    ]
    for shown in (result.stdout, run(config, "list", "--json").stdout, run(config, "show", "github-teams").stdout):
        assert not any(secret in shown for secret in ("of-the-connection", "in-the-query", "secret-flag"))


@pytest.mark.parametrize("failure", [None, StoreUnavailable("disk full"), InvalidConfiguration(())])
def test_what_waits_has_a_column_where_a_store_is_there(config: Path, failure: Exception | None) -> None:
    pins = MemoryPins()
    for place in ("https://a.contoso.com:443", "https://b.contoso.com:443"):
        server = f"com.contoso/github {place}"
        asyncio.run(pins.keep(Seen(server, NOW, {"echo": Pin(server, "echo", "sha256:1")})))
    pins.failure = failure

    async def nothing(_record: ControlRecord) -> None:
        """Nothing is decided."""

    @asynccontextmanager
    async def opened(_config: Path | None) -> AsyncGenerator[RecordedPins]:
        yield RecordedPins(pins, lambda: nullcontext(nothing))

    catalog = build_catalog(opened)
    table = CliRunner().invoke(catalog, ["list", "--config", str(config)]).stdout.splitlines()
    rows = json.loads(CliRunner().invoke(catalog, ["list", "--json", "--config", str(config)]).stdout)
    if failure:
        assert (table[0].split()[-1], "waits" in rows[0]) == ("connections", False)
        return
    assert [line.split()[-1] for line in (table[0], *table[1:3])] == ["waits", "2", "2"]
    assert [row["waits"] for row in rows] == [2, 2, 0]


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        (["TEAMS"], ["com.contoso/github 2.0.0"]),
        (["--publisher", "contoso"], ["com.contoso/github 2.0.0"]),
        (["--category", "code"], ["com.contoso/github 2.0.0"]),
        (["--registry", "center"], ["com.contoso/github 2.0.0"]),
        (["--environment", "production"], ["com.contoso/github 2.0.0"]),
        (["--authentication", "OAuth2"], ["com.contoso/github 2.0.0"]),
        (["--status", "deleted"], ["com.contoso/gone 0.0.0"]),
        (["--status", "deprecated"], []),
        (["github", "--authentication", "CustomKeys"], ["com.contoso/github 0.0.0"]),
    ],
)
def test_the_filters_of_the_platforms_catalog_and_a_search(
    config: Path, arguments: list[str], found: list[str]
) -> None:
    assert names(config, *arguments) == found


@pytest.mark.parametrize(
    ("option", "word", "known"),
    [("--status", "foo", "active, deprecated, deleted"), ("--authentication", "Foo", "None, CustomKeys")],
)
def test_a_filter_that_fits_nothing_ever_is_refused(config: Path, option: str, word: str, known: str) -> None:
    result = run(config, "list", option, word)
    assert (result.exit_code, result.stdout) == (2, "")
    assert f"{option} {word} is none of {known}" in result.stderr


def test_that_nothing_fits_is_said(config: Path) -> None:
    result = run(config, "list", "--publisher", "Nobody")
    assert (result.exit_code, "No server of" in result.stderr) == (0, True)
    assert run(config, "list", "--status", "DELETED").stderr == ""


def test_a_file_that_cannot_be_read_hides_no_other(config: Path) -> None:
    (config.parent / "catalog" / "bad.yaml").write_text("name: a\n")
    result = run(config, "list")
    assert result.exit_code == 1
    assert "com.contoso/time" in result.stdout
    assert "bad.yaml:1:7: name is not a server name" in result.stderr


def test_a_server_is_shown_by_its_name_or_by_one_of_its_connections(config: Path) -> None:
    shown = run(config, "show", "github-teams").stdout
    for line in (
        "contacts        Platform platform@contoso.com",
        "categories      Developer tools, Code",
        "/mcp/github-teams",
    ):
        assert line in shown
    assert json.loads(run(config, "show", "com.contoso/time", "--json").stdout)["pin"] == "trust-on-first-use"


def test_which_version_is_meant_has_to_be_said(config: Path) -> None:
    result = run(config, "show", "com.contoso/github")
    assert (result.exit_code, result.stderr) == (2, "com.contoso/github is there as 0.0.0, 2.0.0: say --version\n")
    assert run(config, "show", "com.contoso/github", "--version", "2.0.0").exit_code == 0
    other = run(config, "show", "github", "--version", "9")
    assert (other.exit_code, other.stderr) == (2, "com.contoso/github has no version 9: it is there as 0.0.0\n")
    missing = run(config, "show", "com.contoso/githab")
    assert missing.exit_code == 2
    assert "did you mean com.contoso/github?" in missing.stderr


def test_an_empty_catalog_has_no_server(tmp_path: Path) -> None:
    config = tmp_path / "mcpgov.yaml"
    config.write_text("listen: 127.0.0.1:9\n")
    (tmp_path / "catalog").mkdir()
    assert "There is no server x" in run(config, "show", "x").stderr


def test_what_is_exported_holds_references_in_place_of_secrets_and_says_so(config: Path, tmp_path: Path) -> None:
    result = run(config, "export", "github-teams")
    made = json.loads(result.stdout)
    assert (made["version"], made["remotes"][0]["url"]) == (
        "2.0.0",
        "https://api.contoso.com/mcp?code=in-the-query&tenant=a",
    )
    assert "of-the-connection" not in result.output
    assert "connections.github-teams.keys.Authorization holds a secret" in result.stderr
    assert "the URL of the upstream has code in its query" in result.stderr
    place = tmp_path / "server.json"
    assert run(config, "export", "github-teams", "-o", str(place)).exit_code == 0
    assert json.loads(place.read_text()) == made
    again = run(config, "export", "github-teams", "-o", str(place))
    assert (again.exit_code, "is there already" in again.stderr) == (1, True)
    nowhere = run(config, "export", "github-teams", "-o", str(tmp_path / "no" / "x.json"))
    assert (nowhere.exit_code, "cannot be written" in nowhere.stderr) == (1, True)


def test_what_is_deprecated_keeps_every_other_byte_of_its_file(config: Path) -> None:
    place = config.parent / "catalog" / "teams.yaml"
    assert run(config, "deprecate", "github-teams").exit_code == 0
    name = "name: com.contoso/github\n"
    assert place.read_text() == SECOND.replace(name, f"{name}status: deprecated\n")
    assert names(config, "--status", "deprecated") == ["com.contoso/github 2.0.0"]


def test_where_a_line_cannot_be_put_in_the_file_stays(config: Path) -> None:
    place = config.parent / "catalog" / "one.yaml"
    text = "{ name: com.contoso/one, upstream: 'https://one.contoso.com', connections: { one: {} } }\n"
    place.write_text(text)
    result = run(config, "deprecate", "one")
    assert (result.exit_code, place.read_text()) == (1, text)
    assert "write it yourself" in result.stderr


def test_a_file_is_deleted_after_yes_alone(config: Path) -> None:
    place = config.parent / "catalog" / "teams.yaml"
    asked = run(config, "remove", "github-teams")
    assert (asked.exit_code, place.exists()) == (2, True)
    assert "/mcp/github-teams served no more. Say --yes" in asked.stderr
    assert run(config, "remove", "github-teams", "--yes").exit_code == 0
    assert not place.exists()
    assert "nothing served no more" in run(config, "remove", "com.contoso/gone").stderr


def test_a_hostile_name_cannot_act_on_the_terminal(config: Path) -> None:
    hostile = SECOND.replace("2.0.0", "3.0.0").replace("github-teams", "other").replace("GitHub for teams", "a\u202eb")
    (config.parent / "catalog" / "hostile.yaml").write_text(
        hostile.replace("publisher: Contoso", 'publisher: "\u200b"')
    )
    assert "\u202e" not in run(config, "show", "other").output
    assert "\u200b" not in run(config, "list").output
