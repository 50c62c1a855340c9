"""The whole put together: commands that start or say why not, and what a reload leaves behind."""

import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from mcpgov import __version__, app
from mcpgov.audit.reader import CallFilter
from mcpgov.audit.record import ControlEvent, ControlRecord
from mcpgov.errors import InvalidConfiguration
from mcpgov.store.sqlite_ledger import SqliteLedgerStore
from tests.flows.house import house
from tests.flows.upstream import CityUpstream, listening


def command(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run one command in `folder`, in a process of its own."""
    environment = {**os.environ, "COLUMNS": "200"}
    return subprocess.run(
        [sys.executable, "-m", "mcpgov", *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_the_version_is_told() -> None:
    result = CliRunner().invoke(app.build_cli(), ["--version"])
    assert result.stdout == f"mcpgov {__version__}\n"


def test_serve_tells_every_problem_and_starts_nothing(tmp_path: Path) -> None:
    (tmp_path / "mcpgov.yaml").write_text("listen: nowhere\nadmn: {}\n")
    (tmp_path / "catalog").mkdir()
    done = command(tmp_path, "serve")
    assert done.returncode == 1
    assert "mcpgov.yaml:1:9" in done.stderr
    assert "mcpgov.yaml:2:1" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "mcpgov.db").exists()


def test_serve_says_so_when_the_address_is_taken(tmp_path: Path) -> None:
    (tmp_path / "catalog").mkdir()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        (tmp_path / "mcpgov.yaml").write_text(f"listen: {address}\n")
        done = command(tmp_path, "serve")
    assert done.returncode == 1
    assert f"cannot listen on {address}" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_serve_ends_cleanly_when_told_and_writes_down_that_it_did(tmp_path: Path, number: signal.Signals) -> None:
    (tmp_path / "catalog").mkdir()
    (tmp_path / "mcpgov.yaml").write_text("listen: 127.0.0.1:0\n")
    with subprocess.Popen(
        [sys.executable, "-m", "mcpgov", "serve", "--log-format", "json"], cwd=tmp_path, stderr=subprocess.PIPE
    ) as serving:
        assert serving.stderr is not None
        assert json.loads(serving.stderr.readline())["event"] == "serving"
        serving.send_signal(number)
        lines = serving.stderr.read().splitlines()
        assert serving.wait(30) == 0
    assert json.loads(lines[-1])["event"] == "stopped"
    events = [call.reason for call in app.openers().reader(tmp_path / "mcpgov.yaml").latest(10)]
    assert events == ["start", "stop"]


def test_a_store_that_is_no_store_is_told_plainly(tmp_path: Path) -> None:
    (tmp_path / "catalog").mkdir()
    (tmp_path / "mcpgov.yaml").write_text('audit: { store: "sqlite:///a.db" }\n')
    (tmp_path / "a.db").write_text("no database, " * 100)
    done = command(tmp_path, "serve")
    assert done.returncode == 1
    assert "The store cannot be used" in done.stderr
    assert "Traceback" not in done.stderr


async def test_every_reload_is_written_down_with_what_it_replaced(tmp_path: Path) -> None:
    async with listening(CityUpstream()) as url, house(tmp_path) as gateway:
        assert gateway.running is not None
        before = gateway.running.generations.current().stamp
        gateway.catalog(f"{url}/mcp")
        gateway.running.generations.request_reload()
        reader = app.openers().reader(tmp_path / "mcpgov.yaml")
        reload = await gateway.event("reload")
        assert reload["mcpgov.control.old"] == before
        assert reload["mcpgov.control.new"] == gateway.running.generations.current().stamp
        gateway.write("policies/broken.yaml", "inbound: [ { no-such-element: {} } ]")
        gateway.running.generations.request_reload()
        refused = await gateway.event("reload-refused")
        assert "broken.yaml:1:14" in str(refused["mcpgov.control.first"])
        assert (await (await gateway.client()).call("get_city")).status == 200
        assert len(reader.calls(CallFilter())) == 1


def test_keys_made_on_the_command_line_are_recorded(tmp_path: Path) -> None:
    (tmp_path / "mcpgov.yaml").write_text("listen: 127.0.0.1:0\n")
    made = json.loads(command(tmp_path, "keys", "create", "ci", "--json").stdout)
    assert command(tmp_path, "keys", "revoke", made["id"]).returncode == 0
    events = [call.reason for call in app.openers().reader(tmp_path / "mcpgov.yaml").latest(10)]
    assert [event for event in events if event != "writers"] == ["key-created", "key-revoked"]
    assert made["key"].encode() not in (tmp_path / "mcpgov.db").read_bytes()


def test_what_the_command_line_does_stands_in_every_store_as_durable_as_is_asked(tmp_path: Path) -> None:
    (tmp_path / "mcpgov.yaml").write_text(
        "audit: { sinks: ['sqlite:///second.db', 'sqlite:///no/third.db'], durability: os-cache }\n"
    )
    made = command(tmp_path, "keys", "create", "ci", "--json")
    assert json.loads(made.stdout)["id"]
    assert "audit-sink-failed" in made.stderr
    for name in ("mcpgov.db", "second.db"):
        with closing(sqlite3.connect(tmp_path / name)) as store:
            found = [json.loads(row[0]) for row in store.execute("SELECT record FROM records")]
        assert {record["mcpgov.control.event"] for record in found} == {"key-created", "sink-failed"}
        assert {record["mcpgov.durability"] for record in found} == {"os-cache"}


def test_a_change_is_refused_when_not_every_store_that_has_to_write_can(tmp_path: Path) -> None:
    (tmp_path / "mcpgov.yaml").write_text("audit: { sinks: ['sqlite:///no/second.db'], require: all }\n")
    done = command(tmp_path, "keys", "create", "ci")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith(f"The store cannot be used: {tmp_path}/no/second.db")


def test_keys_are_not_looked_for_in_a_store_that_is_not_there(tmp_path: Path) -> None:
    for verb in (["list", "--json"], ["revoke", "3fGh81Kx"]):
        done = command(tmp_path, "keys", *verb)
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr.startswith(f"There is no store at {tmp_path / 'mcpgov.db'} yet")
    assert list(tmp_path.iterdir()) == []


async def test_a_probe_does_not_read_as_a_gateway_that_was_started_again(tmp_path: Path) -> None:
    (tmp_path / "catalog").mkdir()
    (tmp_path / "mcpgov.yaml").write_text(f'audit: {{ store: "sqlite:///{tmp_path}/mcpgov.db" }}\n')
    async with app.open_probe(tmp_path / "mcpgov.yaml") as probe:
        await probe.test("city")
    latest = app.openers().reader(tmp_path / "mcpgov.yaml").latest(10)
    assert [call.reason for call in latest if call.is_control] == ["start", "stop"]
    with sqlite3.connect(tmp_path / "mcpgov.db") as store:
        records = [json.loads(row[0]) for row in store.execute("SELECT record FROM records WHERE event = 'control'")]
    assert [record["mcpgov.control.principal"] for record in records] == ["mcpgov:probe"] * 2


async def test_a_probe_leaves_purging_exports_and_checkpoints_to_the_gateway(tmp_path: Path) -> None:
    (tmp_path / "catalog").mkdir()
    (tmp_path / "mcpgov.yaml").write_text(
        f"""audit:
  store: sqlite:///{tmp_path}/mcpgov.db
  keep_days: 30
  checkpoints: [file://{tmp_path}/checkpoints]
  exports: [{{ name: siem, to: "file://{tmp_path}/exported" }}]
"""
    )
    store = SqliteLedgerStore(tmp_path / "mcpgov.db")
    store.open()
    store.append([ControlRecord(ControlEvent.RELOAD, datetime.now(UTC) - timedelta(days=60)).row()])
    store.close(finished=True)
    async with app.open_probe(tmp_path / "mcpgov.yaml") as probe:
        await probe.test("city")
    latest = app.openers().reader(tmp_path / "mcpgov.yaml").latest(10)
    assert [call.reason for call in latest if call.is_control] == ["reload", "writers", "start", "stop"]
    assert not (tmp_path / "checkpoints").exists()
    assert not (tmp_path / "exported").exists()


def test_a_part_that_needs_an_extra_says_which_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "mcpgov.store.redis_counters", raising=False)
    monkeypatch.setitem(sys.modules, "redis", None)
    monkeypatch.setitem(sys.modules, "redis.asyncio", None)
    with pytest.raises(InvalidConfiguration, match=r"Redis needs redis, which is not installed \(pip install"):
        app.load("mcpgov.store.redis_counters")
    with pytest.raises(ModuleNotFoundError):
        app.load("mcpgov.no_such_part")
