"""The end of a file is cut, or flipped: it opens, no bad record is taken for good, and nothing that was kept is lost.

What a power cut can do to the write-ahead log: any part of what was not synced may be missing, or be something else.
A commit that was acknowledged lies before that, and is always there. Should a disk lie about that, a checkpoint that
left the house names what is missing. MCPGOV_EVERY_BYTE=1 takes every offset instead of a sample.
"""

import io
import os
import random
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from mcpgov.audit.chain import NOTHING, Chain
from mcpgov.audit.export import ExportEvidence, export_lines
from mcpgov.audit.record import IntentRecord, OutcomeRecord
from mcpgov.audit.verify import Kind, Verdict, verify
from mcpgov.models import OutcomeStatus
from mcpgov.store.evidence import open_sqlite_evidence
from mcpgov.store.sqlite_ledger import SqliteLedgerStore
from tests.audit.calls import NOW, facts

CALLS = 12
SAMPLE = None if os.environ.get("MCPGOV_EVERY_BYTE") else 80
FRAMES = 12 if SAMPLE else 3  # of the log, from its end, that are damaged
FRAME = 24 + 4096  # bytes
LEFT_OPEN = "begins a call that has no end"


@dataclass
class Crashed:
    """What a crash left: the file, the log, and the length that the log had at each commit, with the chain then."""

    path: Path
    main: bytes
    log: bytes
    commits: list[tuple[int, Chain]]

    def put(self, log: bytes) -> None:
        """Lay the files out anew, with another log."""
        self.path.with_name("mcpgov.db-shm").unlink(missing_ok=True)
        self.path.write_bytes(self.main)
        self.path.with_name("mcpgov.db-wal").write_bytes(log)

    def records(self) -> list[str]:
        """The records that are there."""
        with closing(sqlite3.connect(self.path)) as database:
            assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
            return [str(row[0]) for row in database.execute("SELECT record FROM records ORDER BY id")]

    def verdict(self, compared: Chain | None = None) -> Verdict:
        """What the verifier says; `compared` is a chain whose checkpoint left the house."""
        roots = {compared.writer: {compared.size: compared.root}} if compared else {}
        with open_sqlite_evidence(self.path) as evidence:
            return verify(evidence, None, roots)


@pytest.fixture
def crashed(tmp_path: Path) -> Crashed:
    original, copy = tmp_path / "original", tmp_path / "copy"
    original.mkdir()
    copy.mkdir()
    store = SqliteLedgerStore(original / "mcpgov.db")
    store.open()
    log = original / "mcpgov.db-wal"
    commits: list[tuple[int, Chain]] = []
    chain = Chain(store.writer)
    for number in range(CALLS):
        intent = IntentRecord(facts(f"{number}")).row()
        for row in (intent, OutcomeRecord(f"{number}", NOW, OutcomeStatus.OK).row()):
            store.append([row])
            chain, _ = chain.extended([row.record])
            commits.append((log.stat().st_size, chain))
    for name in ("mcpgov.db", "mcpgov.db-wal"):
        shutil.copy(original / name, copy / name)
    store.close(finished=False)
    assert chain.head != NOTHING
    path = copy / "mcpgov.db"
    return Crashed(path, path.read_bytes(), (copy / "mcpgov.db-wal").read_bytes(), commits)


def offsets(first: int, end: int) -> Iterator[int]:
    """Each offset, or a sample of them."""
    every = range(first, end)
    yield from every if SAMPLE is None else sorted(random.Random(20261121).sample(every, SAMPLE))


def assert_nothing_bad(crashed: Crashed, whole: list[str], damaged_at: int) -> None:
    """What was acknowledged before the damage is there, nothing is there that was not written, and it verifies."""
    found = crashed.records()
    kept = max((chain.size for length, chain in crashed.commits if length <= damaged_at), default=0)
    assert found == whole[: len(found)]
    assert kept <= len(found)
    assert {finding.what for finding in crashed.verdict().findings} <= {LEFT_OPEN}
    last = crashed.commits[-1][1]
    missing = [finding for finding in crashed.verdict(last).findings if finding.what != LEFT_OPEN]
    assert [(one.kind, one.seq) for one in missing] == [(Kind.GAP, last.size)] * (len(found) < last.size)


def test_a_log_that_is_cut_at_any_byte_loses_only_what_comes_after(crashed: Crashed) -> None:
    crashed.put(crashed.log)
    whole = crashed.records()
    assert len(whole) == 2 * CALLS
    for at in offsets(len(crashed.log) - FRAMES * FRAME, len(crashed.log)):
        crashed.put(crashed.log[:at])
        assert_nothing_bad(crashed, whole, at)


def test_a_log_that_is_flipped_at_any_byte_gives_no_bad_record(crashed: Crashed) -> None:
    crashed.put(crashed.log)
    whole = crashed.records()
    for at in offsets(len(crashed.log) - FRAMES * FRAME, len(crashed.log)):
        flipped = bytearray(crashed.log)
        flipped[at] ^= 1 << at % 8
        crashed.put(bytes(flipped))
        assert_nothing_bad(crashed, whole, at)


def test_a_gateway_opens_what_is_left_and_goes_on(crashed: Crashed) -> None:
    for at in range(len(crashed.log) - FRAMES * FRAME, len(crashed.log), FRAME // 2):
        crashed.put(crashed.log[:at])
        store = SqliteLedgerStore(crashed.path)
        store.open()
        store.recover(lambda call: OutcomeRecord(call.call_id, NOW, OutcomeStatus.UNKNOWN).row())
        store.append([IntentRecord(facts("next")).row(), OutcomeRecord("next", NOW, OutcomeStatus.OK).row()])
        store.close(finished=True)
        assert crashed.verdict().findings == ()


def test_an_export_that_is_cut_or_flipped_at_any_byte_is_never_taken_for_whole(crashed: Crashed) -> None:
    crashed.put(crashed.log)
    with open_sqlite_evidence(crashed.path) as evidence:
        export = "".join(export_lines(evidence)).encode()
    assert verify(ExportEvidence(io.BytesIO(export)), None, {}).findings == ()
    for at in offsets(len(export) - FRAME, len(export) - 1):
        cut = verify(ExportEvidence(io.BytesIO(export[:at])), None, {})
        assert Kind.TORN in {finding.kind for finding in cut.findings}
        assert Kind.TAMPERED not in {finding.kind for finding in cut.findings}
        flipped = bytearray(export)
        flipped[at] ^= 1 << at % 8
        assert verify(ExportEvidence(io.BytesIO(bytes(flipped))), None, {}).code != 0
