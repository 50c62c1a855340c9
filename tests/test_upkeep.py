"""What is done with the ledger beside the calls: checkpoints leave, and what is too old is removed."""

import asyncio
import importlib
import secrets
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from structlog.testing import capture_logs
from typer.testing import CliRunner

from mcpgov import app, upkeep
from mcpgov.audit.checkpoints import DatabaseTarget, FolderTarget, HttpTarget
from mcpgov.audit.record import DeniedRecord, IntentRecord, OutcomeRecord
from mcpgov.audit.retention import Wanted
from mcpgov.audit.verify import verify
from mcpgov.decision import Reason
from mcpgov.models import Json, OutcomeStatus
from mcpgov.settings import parse_settings
from mcpgov.storage import Storage
from mcpgov.store.sqlite_ledger import SqliteLedgerStore
from mcpgov.upkeep import RETENTION, Purging, purge_once, purging_daily, sending_checkpoints, target_of
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


DAY = timedelta(days=1)
THREE_DAYS_LATER = NOW + 3 * DAY
TWO_DAYS = "audit: { keep_days: 2 }"


def written(folder: Path, first: datetime = NOW) -> SqliteLedgerStore:
    """A ledger in which a gateway that still runs wrote a call on each of three days."""
    store = SqliteLedgerStore(folder / "mcpgov.db")
    store.open()
    for day in range(3):
        store.append([DeniedRecord(facts(str(day), first + day * DAY), Reason.TOOL_DENIED).row()])
    return store


def calls(storage: Storage) -> list[Json]:
    """The calls in the ledger, the oldest first."""
    with storage.reader() as reader:
        return [call.get("call_id") for call in reader.latest(100) if not call.is_control]


def purged(storage: Storage) -> list[Mapping[str, Json]]:
    """What the ledger says of purges."""
    with storage.reader() as reader:
        return [call.begun for call in reader.latest(100) if call.reason == "purged"]


class Days:
    """The pause between two purges: says when there is one, and lasts until the test says."""

    def __init__(self) -> None:
        self.paused = asyncio.Semaphore(0)
        self.over = asyncio.Semaphore(0)

    async def __call__(self) -> None:
        self.paused.release()
        await self.over.acquire()


@pytest.fixture
def days(monkeypatch: pytest.MonkeyPatch) -> Days:
    """The pause that is made."""
    made = Days()
    monkeypatch.setattr(upkeep, "purge_pause", made)
    return made


async def test_what_is_too_old_goes_at_the_start_and_again_a_day_later(tmp_path: Path, days: Days) -> None:
    store, kept = written(tmp_path), storage(tmp_path, TWO_DAYS)
    today = [THREE_DAYS_LATER - DAY / 2]
    async with asyncio.timeout(20), purging_daily(kept, lambda: today[0]):
        await days.paused.acquire()
        assert calls(kept) == ["1", "2"]
        today[0] += DAY
        days.over.release()
        await days.paused.acquire()
        assert calls(kept) == ["2"]
    who = {(one["mcpgov.control.principal"], one["mcpgov.control.older_than"]) for one in purged(kept)}
    assert who == {(RETENTION, "2d")}
    store.close(finished=True)
    with kept.evidence() as evidence:
        assert verify(evidence, kept.signer().key, {}).code == 0


async def test_what_is_removed_is_logged_and_nothing_is_where_nothing_is(tmp_path: Path) -> None:
    store, kept = written(tmp_path), storage(tmp_path)
    with capture_logs() as logs:
        await purge_once(kept, Wanted(2, RETENTION), THREE_DAYS_LATER)
        await purge_once(kept, Wanted(2, RETENTION), THREE_DAYS_LATER)
    assert logs == [{"event": "audit-purged", "log_level": "info", "records": 1, "writers": 1}]
    store.close(finished=True)


async def test_a_store_that_cannot_be_purged_is_logged_and_tried_again(tmp_path: Path, days: Days) -> None:
    kept = storage(tmp_path, TWO_DAYS)
    with capture_logs() as logs:
        async with asyncio.timeout(20), purging_daily(kept, lambda: THREE_DAYS_LATER):
            await days.paused.acquire()
            assert [(log["event"], log["log_level"]) for log in logs] == [("audit-not-purged", "warning")]
            assert "mcpgov.db" in logs[0]["error"]
            store = written(tmp_path)
            days.over.release()
            await days.paused.acquire()
    assert [log["event"] for log in logs] == ["audit-not-purged", "audit-purged"]
    store.close(finished=True)


@pytest.mark.parametrize(("text", "first"), [("audit: { keep_days: forever }", True), (TWO_DAYS, False)])
async def test_nothing_goes_where_it_is_kept_for_ever_and_only_the_first_worker_purges(
    tmp_path: Path, days: Days, text: str, first: object
) -> None:
    store, kept = written(tmp_path), storage(tmp_path, text)
    async with purging_daily(kept, lambda: THREE_DAYS_LATER, first=bool(first)):
        assert len(asyncio.all_tasks()) == 1
    assert days.paused.locked()
    assert calls(kept) == ["0", "1", "2"]
    store.close(finished=True)


async def test_a_gateway_that_ends_leaves_no_purge_behind(tmp_path: Path, days: Days) -> None:
    async with asyncio.timeout(20), purging_daily(storage(tmp_path, TWO_DAYS), lambda: THREE_DAYS_LATER):
        await days.paused.acquire()
    assert len(asyncio.all_tasks()) == 1


async def test_a_running_gateway_purges_what_was_there_before_it(tmp_path: Path, days: Days) -> None:
    (tmp_path / "mcpgov.yaml").write_text(TWO_DAYS)
    for name in ("catalog", "policies"):
        (tmp_path / name).mkdir()
    written(tmp_path, NOW - 1000 * DAY).close(finished=True)
    async with asyncio.timeout(20), app.running(tmp_path / "mcpgov.yaml") as running:
        await days.paused.acquire()
        assert calls(running.storage) == []
