"""The exports of the settings are put together, run beside the gateway, and lose nothing when it ends."""

import asyncio
import importlib
import io
import json
import sys
import urllib.parse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from mcpgov import app
from mcpgov.audit.export_targets import FolderFiles, HttpPost, SyslogStream
from mcpgov.errors import InvalidConfiguration
from mcpgov.exports import configured, export_states, exporting, new_format, told_if_it_fails, written
from mcpgov.settings import parse_settings
from mcpgov.storage import Storage
from mcpgov.store.sqlite_ledger import SqliteLedgerStore
from tests.audit.exports import rows
from tests.peers.azure_host import IdentityHost
from tests.peers.entra import Entra
from tests.peers.entra_tokens import TENANT
from tests.peers.log_ingestion import MONITOR, PATH, LogIngestion

PARQUET: Any = importlib.import_module("pyarrow.parquet")


def storage(folder: Path, *exports: str, load: Callable[[str], Any] = importlib.import_module) -> Storage:
    """The store of settings with these exports, and a few records in it."""
    text = f"audit: {{ exports: [{', '.join(exports)}] }}" if exports else "{}"
    made = Storage(parse_settings(text, str(folder / "mcpgov.yaml")), load)
    store = SqliteLedgerStore(folder / "mcpgov.db")
    store.open()
    store.append(rows())
    store.close(finished=True)
    return made


def test_each_place_has_its_target_and_format(tmp_path: Path) -> None:
    made = storage(
        tmp_path,
        f"{{ name: lake, to: 'file://{tmp_path}/with%20space', format: parquet }}",
        "{ name: siem, to: 'https://siem.example/v1/logs?key=hunter2', headers: { X-Key: hunter2 } }",
        "{ name: log, to: 'syslog+tls://log.example:6514' }",
        "{ name: old, to: 'syslog+tcp://[::1]:514', private: true }",
    )
    lake, siem, log, old = configured(made, app.azure_host, app.utc_now)
    assert isinstance(lake.target, FolderFiles)
    assert urllib.parse.unquote(lake.target.name) == f"file://{tmp_path}/with space"
    assert (lake.batch > siem.batch, lake.patience > siem.patience) == (True, True)
    assert isinstance(siem.target, HttpPost)
    assert (siem.target.name, siem.target.private) == ("https://siem.example", False)
    assert isinstance(log.target, SyslogStream)
    assert log.target.name == "syslog+tls://log.example:6514"
    assert isinstance(old.target, SyslogStream)
    assert (old.target.host, old.target.port, old.target.tls) == ("::1", 514, None)
    assert [(one.name, one.format, one.behind) for one in export_states(made)] == [
        ("lake", "parquet", 5),
        ("siem", "otlp", 5),
        ("log", "syslog", 5),
        ("old", "syslog", 5),
    ]
    assert "hunter2" not in repr(export_states(made))


def test_without_exports_there_is_nothing_to_tell(tmp_path: Path) -> None:
    assert export_states(storage(tmp_path)) == []


def test_parquet_without_pyarrow_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    made = storage(tmp_path)
    with pytest.raises(InvalidConfiguration, match=r"pip install 'mcpgov\[parquet\]'"):
        new_format("parquet", made.load)


async def test_what_is_written_down_arrives_the_last_record_too(tmp_path: Path) -> None:
    out = tmp_path / "out"
    (tmp_path / "mcpgov.yaml").write_text(f"audit: {{ exports: [{{ name: lake, to: 'file://{out}' }}] }}\n")
    for name in ("catalog", "policies"):
        (tmp_path / name).mkdir()
    async with app.running(tmp_path / "mcpgov.yaml"):
        assert not list(out.rglob("*.jsonl"))
    (file,) = out.rglob("*.jsonl")
    events = [json.loads(line)["mcpgov.control.event"] for line in file.read_text("utf-8").splitlines()]
    assert (events[0], events[-1]) == ("start", "stop")
    (state,) = export_states(app.openers().storage(tmp_path / "mcpgov.yaml"))
    assert (state.behind, state.oldest, state.failing) == (0, None, None)


async def test_a_place_that_is_down_holds_nobody_up_at_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def silence(*_: object, **__: object) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr("mcpgov.exports.LAST", 0.05)
    monkeypatch.setattr("mcpgov.web.GuardedWeb.send", silence)
    made = storage(tmp_path, "{ name: siem, to: 'https://127.0.0.1:1/' }")
    async with exporting(made, silence, app.utc_now, app.azure_host) as behind:
        assert len(asyncio.all_tasks()) == 2
        assert behind() == {}
    assert len(asyncio.all_tasks()) == 1


async def test_how_far_behind_each_export_is_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def nothing(*_: object, **__: object) -> None:
        await asyncio.sleep(0)

    monkeypatch.setattr("mcpgov.audit.exporting.IDLE", 0.0)
    made = storage(tmp_path, f"{{ name: lake, to: 'file://{tmp_path / 'out'}' }}")
    async with exporting(made, nothing, app.utc_now, app.azure_host) as behind:
        while not behind():
            await asyncio.sleep(0)
        assert list(behind()) == ["lake"]


async def test_an_export_that_stopped_is_told() -> None:
    async def broken() -> None:
        await asyncio.sleep(0)
        raise ValueError("broken")

    task = asyncio.create_task(broken(), name="siem")
    with pytest.raises(ValueError, match="broken"):
        await task
    with capture_logs() as logs:
        told_if_it_fails(task)
    assert [(one["event"], one["export"]) for one in logs] == [("export-stopped", "siem")]


@pytest.mark.parametrize("name", ["jsonl", "csv", "cloudevents", "ocsf", "otlp", "syslog", "azure-monitor", "parquet"])
def test_the_whole_ledger_is_one_file_in_every_format(tmp_path: Path, name: str) -> None:
    made = storage(tmp_path)
    pieces = list(written(made, name, None, None))
    body = b"".join(piece for piece, _ in pieces)
    assert sum(count for _, count in pieces) == 5
    if name == "parquet":
        assert PARQUET.read_table(io.BytesIO(body)).num_rows == 5
    elif name != "syslog":
        assert len(body.splitlines()) == {"csv": 6, "cloudevents": 1, "otlp": 1, "azure-monitor": 1}.get(name, 5)
    else:
        assert not body.endswith(b"\n")


def test_a_span_of_time_is_written_alone(tmp_path: Path) -> None:
    at = rows()[1].at
    pieces = list(written(storage(tmp_path), "jsonl", at, at + 1))
    assert [count for _, count in pieces] == [1]


async def test_azure_monitor_has_every_record_with_the_identity_of_the_host(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("catalog", "policies"):
        (tmp_path / name).mkdir()
    async with Entra() as entra, IdentityHost(entra=entra) as host, LogIngestion(entra=entra) as peer:
        for name, value in host.imds_environment.items():
            monkeypatch.setenv(name, value)
        to = f"{peer.url}{PATH}?api-version=2023-01-01"
        export = f"{{ name: azure, to: '{to}', format: azure-monitor, private: true }}"
        file = tmp_path / "mcpgov.yaml"
        file.write_text(f"audit: {{ exports: [{export}] }}\nazure: {{ tenant_id: {TENANT} }}\n")
        async with app.running(file):
            pass
        assert [row["ControlEvent"] for row in peer.rows] == ["start", "stop"]
        assert host.resources == [MONITOR]
    (state,) = export_states(app.openers().storage(file))
    assert (state.target, state.format, state.behind) == (peer.url, "azure-monitor", 0)
