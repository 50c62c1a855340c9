"""A further store of a gateway, a file or a server, is verified by its name with the key of the first, and counted."""

import asyncio
import json
import sqlite3
import sys
from contextlib import chdir, closing
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from typer.testing import CliRunner, Result

from mcpgov import app
from tests.flows.house import house
from tests.flows.upstream import CityUpstream, listening
from tests.store.postgres import LEFT_OUT, has_postgres, postgres_server


async def run(folder: Path, *words: str, **environment: str) -> Result:
    """A verb, in the folder of the settings."""
    with chdir(folder):
        return await asyncio.to_thread(CliRunner(env=environment).invoke, app.build_cli(), ["audit", *words])


async def served(folder: Path, *sinks: str) -> str:
    """A gateway with these further stores served a call and ended; the key of its checkpoints."""
    async with listening(CityUpstream()) as url, house(folder, audit=f", sinks: {json.dumps(sinks)}") as gateway:
        await gateway.furnish(f"{url}/mcp")
        assert (await (await gateway.client()).call("get_city")).status == 200
    shown = await run(folder, "key")
    return shown.stdout.strip()


async def test_a_second_file_is_verified_with_the_key_of_the_first(tmp_path: Path) -> None:
    key = await served(tmp_path, "sqlite:///second.db")
    for name in ("second.db", "sqlite:///second.db", f"sqlite:///{tmp_path}/second.db"):
        shown = await run(tmp_path, "verify", name, "--key", key, "--json")
        verdict = json.loads(shown.stdout)
        assert (shown.exit_code, verdict["signed"], verdict["uncovered"]) == (0, True, 0)
        assert verdict["checkpoints"] >= 1
        assert verdict["records"] >= 4
    with closing(sqlite3.connect(tmp_path / "second.db")) as database, database:
        database.execute("UPDATE records SET record = replace(record, 'get_city', 'get_town') WHERE event = 'intent'")
    assert (await run(tmp_path, "verify", "second.db", "--key", key)).exit_code == 1
    assert (await run(tmp_path, "verify", "--key", key)).exit_code == 0


async def test_a_second_file_without_a_key_says_that_no_signature_was_checked(tmp_path: Path) -> None:
    await served(tmp_path, "sqlite:///second.db")
    shown = await run(tmp_path, "verify", "second.db")
    assert (shown.exit_code, "No signature was checked" in shown.stderr) == (0, True)


async def test_a_server_is_verified_by_its_url_and_counted_by_its_settings(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if not has_postgres():
        with capsys.disabled():
            sys.stdout.write(f"\n{LEFT_OUT}\n")
        return
    with postgres_server() as server:
        url = server.database().reveal()
        key = await served(tmp_path, url)
        password, hidden = without_password(url)
        verify = ("verify", hidden, "--key", key, "--json")
        shown = await run(tmp_path, *verify, DATABASE_PASSWORD=password)
        verdict = json.loads(shown.stdout)
        assert (shown.exit_code, verdict["signed"], verdict["uncovered"], shown.stderr) == (0, True, 0, "")
        assert verdict["checkpoints"] >= 1
        unset = await run(tmp_path, *verify)
        assert (unset.exit_code, "DATABASE_PASSWORD" in unset.stderr) == (4, True)
        (tmp_path / "server.yaml").write_text(f'audit: {{ store: "{url}" }}\n')
        used = await run(tmp_path, "usage", "--json", "--config", "server.yaml")
        assert [json.loads(line)["tool"] for line in used.stdout.splitlines()] == ["get_city"]
        counted = await run(tmp_path, "stats", "--json", "--config", "server.yaml")
        assert json.loads(counted.stdout)["totals"]["ok"] == 1
        server.stop()
        down = await run(tmp_path, *verify, DATABASE_PASSWORD=password)
        server.start()
        assert (down.exit_code, down.stdout) == (4, "")
        assert password not in down.stderr


def without_password(url: str) -> tuple[str, str]:
    """A URL with a reference in the place of its password, and that."""
    password = urlsplit(url).password or ""
    return password, url.replace(password, "${env:DATABASE_PASSWORD}")
