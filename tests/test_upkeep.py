"""What is done with the ledger beside the calls: checkpoints leave, and what is too old is removed."""

import asyncio
import importlib
import secrets
from datetime import timedelta
from pathlib import Path

import pytest
from structlog.testing import capture_logs
from typer.testing import CliRunner

from mcpgov import app
from mcpgov.audit.checkpoints import DatabaseTarget, FolderTarget, HttpTarget
from mcpgov.audit.record import IntentRecord, OutcomeRecord
from mcpgov.audit.retention import Wanted
from mcpgov.audit.verify import verify
from mcpgov.models import OutcomeStatus
from mcpgov.settings import parse_settings
from mcpgov.storage import Storage
from mcpgov.store.sqlite_ledger import SqliteLedgerStore
from mcpgov.upkeep import RETENTION, Purging, purge_once, sending_checkpoints, target_of
from mcpgov.worker import Worker
from tests.audit.calls import NOW, facts

LATER = NOW + timedelta(days=401)
EXPORTS = ", exports: [{ name: siem, to: 'https://siem.example/' }, { name: lake, to: 'file:///mnt/lake' }]"


def storage(folder: Path, text: str = "{}") -> Storage:
    return Storage(parse_settings(text, str(folder / "mcpgov.yaml")), importlib.import_module)


def old_ledgers(folder: Path, exports: str = "") -> Storage:
    """A ledger in two files, each with two calls from long ago."""
    made = storage(folder, f"audit: {{ sinks: ['sqlite:///{folder}/other.db']{exports} }}")
    for place in (made, *made.sinks()):
        with place.purging() as ledger:
            assert isinstance(ledger, SqliteLedgerStore)
            for call in ("1", "2"):
                ledger.append([IntentRecord(facts(call)).row(), OutcomeRecord(call, NOW, OutcomeStatus.OK).row()])
            ledger.checkpoint(made.signer().checkpoint, NOW)
    return made


def verdicts(made: Storage) -> list[tuple[int, int]]:
    """What a verification of each store says, and how much it finds was purged."""
    found: list[tuple[int, int]] = []
    for place in (made, *made.sinks()):
        with place.evidence() as evidence:
            verdict = verify(evidence, made.verifier_key(), {})
            found.append((verdict.code, verdict.purged))
    return found


async def test_every_store_of_the_ledger_is_purged_and_still_verifies(tmp_path: Path) -> None:
    made = old_ledgers(tmp_path)
    await purge_once(made, Wanted(400, RETENTION), LATER)
    assert verdicts(made) == [(0, 4), (0, 4)]


async def test_what_an_export_has_not_taken_is_kept_where_it_reads(tmp_path: Path) -> None:
    made = old_ledgers(tmp_path, EXPORTS)
    await purge_once(made, Wanted(400, RETENTION), LATER)
    assert verdicts(made) == [(0, 0), (0, 4)]
    made.exports().move("siem", 4)
    made.exports().move("lake", 2)
    await purge_once(made, Wanted(400, RETENTION), LATER)
    assert verdicts(made) == [(0, 2), (0, 4)]


async def test_a_store_that_is_down_keeps_no_other_from_being_purged(tmp_path: Path) -> None:
    made = old_ledgers(tmp_path)
    (tmp_path / "mcpgov.db").rename(tmp_path / "away.db")
    with capture_logs() as logs:
        await purge_once(made, Wanted(400, RETENTION), LATER)
    assert [(line["event"], line.get("records")) for line in logs] == [("audit-not-purged", None), ("audit-purged", 4)]


def test_by_hand_every_store_is_purged_and_what_no_export_has_taken_is_named(tmp_path: Path) -> None:
    made = old_ledgers(tmp_path, EXPORTS)
    ledger = Purging(made, lambda: LATER)
    assert ledger.exported == 1
    made.exports().move("siem", 4)
    made.exports().move("lake", 2)
    assert ledger.exported == 3
    counted = ledger.purge(Wanted(400, "dana", ledger.exported, dry=True))
    assert (counted.records, len(counted.writers)) == (6, 2)
    assert ledger.purge(Wanted(400, "dana", ledger.exported)) == counted
    assert verdicts(made) == [(0, 2), (0, 4)]
    assert Purging(storage(tmp_path), lambda: LATER).exported is None


def test_a_place_is_a_folder_a_database_or_a_url(tmp_path: Path) -> None:
    load = importlib.import_module
    assert isinstance(target_of(f"file://{tmp_path}/with%20space", load), FolderTarget)
    assert isinstance(target_of("https://worm.example/log", load), HttpTarget)
    databases = [f"sqlite:///{tmp_path}/worm.db", "postgresql://u:hunter2@db/worm?sslmode=require"]
    found = [target_of(url, load) for url in databases]
    assert all(isinstance(target, DatabaseTarget) for target in found)
    assert [target.name for target in found] == [databases[0], "postgresql://db/worm"]


async def test_checkpoints_in_a_second_database_show_that_the_store_was_put_back(tmp_path: Path) -> None:
    config, store, worm = tmp_path / "mcpgov.yaml", tmp_path / "mcpgov.db", f"sqlite:///{tmp_path}/worm/checkpoints.db"
    config.write_text(f'audit: {{ checkpoints: ["{worm}"] }}\n')
    (tmp_path / "catalog").mkdir()
    async with app.running(config):
        pass
    older = store.read_bytes()
    async with app.running(config):
        pass
    asked = ["audit", "verify", "--config", str(config), "--checkpoints", worm, "--no-record"]
    run = CliRunner(env={"COLUMNS": "300"})
    assert run.invoke(app.build_cli(), asked).exit_code == 0
    store.write_bytes(older)
    shown = run.invoke(app.build_cli(), asked)
    assert (shown.exit_code, "a checkpoint that left the house" in shown.stdout) == (2, True)


async def test_the_last_checkpoint_leaves_when_the_ledger_has_closed(tmp_path: Path) -> None:
    (tmp_path / "mcpgov.yaml").write_text(f'audit: {{ checkpoints: ["file://{tmp_path}/worm"] }}\n')
    for name in ("catalog", "policies", "worm"):
        (tmp_path / name).mkdir()
    async with app.running(tmp_path / "mcpgov.yaml"):
        pass
    assert list((tmp_path / "worm").rglob("*.note"))


async def test_a_worker_that_is_not_the_first_sends_its_last_checkpoint_all_the_same(tmp_path: Path) -> None:
    (tmp_path / "mcpgov.yaml").write_text(
        f'audit: {{ checkpoints: ["file://{tmp_path}/worm"] }}\ncounters: per-worker\n'
    )
    for name in ("catalog", "policies", "worm"):
        (tmp_path / name).mkdir()
    async with app.running(tmp_path / "mcpgov.yaml", worker=Worker(1, 2)):
        pass
    assert len(list((tmp_path / "worm").rglob("*.note"))) == 1


async def test_without_a_place_nothing_is_sent(tmp_path: Path) -> None:
    async with sending_checkpoints(storage(tmp_path), app.utc_now) as lag:
        assert len(asyncio.all_tasks()) == 1
        assert lag() == {}


async def test_what_tells_the_lag_names_every_place(tmp_path: Path) -> None:
    place = f"file://{tmp_path}/worm"
    (tmp_path / "worm").mkdir()
    (tmp_path / "mcpgov.yaml").write_text(f'admin: {{}}\naudit: {{ checkpoints: ["{place}"] }}\n')
    (tmp_path / "catalog").mkdir()
    async with app.running(tmp_path / "mcpgov.yaml") as running:
        assert running.telemetry.prometheus is not None
        assert f'mcpgov_checkpoint_lag_seconds{{place="{place}"}}'.encode() in running.telemetry.prometheus.text()


async def test_a_place_that_is_down_holds_nobody_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mcpgov.upkeep.LAST_CHECKPOINT", 0.05)
    (tmp_path / f"mcpgov-{secrets.token_hex(2)}").mkdir()
    (tmp_path / "mcpgov.yaml").write_text('audit: { checkpoints: ["https://127.0.0.1:1/log"] }\n')
    for name in ("catalog", "policies"):
        (tmp_path / name).mkdir()
    async with app.running(tmp_path / "mcpgov.yaml") as running:
        assert running.ledger.ready
