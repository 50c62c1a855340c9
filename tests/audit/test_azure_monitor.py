"""Azure Monitor has the rows when it is told to be so, at the pace it allows, and whatever it says is understood."""

import asyncio
import gzip
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
from starlette.responses import Response

from mcpgov.audit.azure_monitor import BYTES, CALLS, MonitorTable, Pace
from mcpgov.audit.exporting import Export, Exporter, TargetRefused, TargetUnavailable
from mcpgov.audit.formats.azure_monitor import AzureMonitor
from mcpgov.decision import Reason
from mcpgov.errors import Refusal
from mcpgov.models import Secret
from mcpgov.web import GuardedWeb
from tests.audit.calls import NOW
from tests.audit.exports import MemoryRecords, Notes, exported, records, rows
from tests.peers.entra_tokens import MANAGED_IDENTITY
from tests.peers.log_ingestion import MONITOR, PATH, LogIngestion


@dataclass
class Shown:
    """Tokens that a test made."""

    value: str
    refusal: Refusal | None = None
    rejected: int = 0

    async def token(self) -> Secret:
        if self.refusal is not None:
            raise self.refusal
        return Secret(self.value)

    def reject(self) -> None:
        self.rejected += 1


@dataclass
class Clock:
    """Time that passes only while somebody waits."""

    now: float = 100.0
    waits: list[float] = field(default_factory=list[float])

    def read(self) -> float:
        return self.now

    async def pause(self, seconds: float) -> None:
        await asyncio.sleep(0)
        self.waits.append(seconds)
        self.now += seconds


@dataclass
class There:
    """The peer, the place, whose token it is written with, and the clock."""

    peer: LogIngestion
    table: MonitorTable
    shown: Shown
    clock: Clock


@asynccontextmanager
async def there() -> AsyncGenerator[There]:
    async with LogIngestion() as peer:
        tokens = peer.entra.tokens
        shown, clock = Shown(tokens.managed_identity(MANAGED_IDENTITY, 1, client_id="c", aud=MONITOR)), Clock()
        url = Secret(f"{peer.url}{PATH}?api-version=2023-01-01")
        pace = Pace(clock.read, clock.pause)
        yield There(peer, MonitorTable(peer.url, url, GuardedWeb(), shown, True, pace), shown, clock)


async def test_rows_arrive_compressed_and_with_a_token_for_azure_monitor() -> None:
    (payload,) = AzureMonitor().payloads(exported(rows()))
    async with there() as at:
        await at.table.put(payload)
        assert [row["Event"] for row in at.peer.rows] == ["control", "intent", "outcome", "denied", "outcome"]
        (asked,) = at.peer.ledger
        assert gzip.decompress(asked.body) == payload.body
        assert len(asked.body) < len(payload.body) / 2
        assert at.shown.value not in repr(at.table)


@pytest.mark.parametrize(
    ("status", "says"),
    [
        (403, "give its identity the role Monitoring Metrics Publisher on the data collection rule"),
        (404, "no such data collection rule or stream"),
        (500, "answered 500"),
    ],
)
async def test_what_a_person_has_to_mend_is_said(status: int, says: str) -> None:
    (payload,) = AzureMonitor().payloads(records(1))
    async with there() as at:
        at.peer.fail(PATH, Response("hunter2", status))
        with pytest.raises(TargetUnavailable, match=says) as told:
            await at.table.put(payload)
        assert PATH not in str(told.value)
        assert "hunter2" not in str(told.value)
        assert at.shown.rejected == 0


async def test_an_identity_without_the_role_is_told_which() -> None:
    (payload,) = AzureMonitor().payloads(records(1))
    async with there() as at:
        at.peer.publishers = frozenset({"somebody else"})
        with pytest.raises(TargetUnavailable, match="Monitoring Metrics Publisher"):
            await at.table.put(payload)
        assert at.peer.rows == []


async def test_a_token_that_is_refused_is_not_shown_for_long() -> None:
    (payload,) = AzureMonitor().payloads(records(1))
    async with there() as at:
        at.shown.value = at.peer.entra.tokens.managed_identity(MANAGED_IDENTITY, 1, client_id="c", aud="https://other")
        with pytest.raises(TargetUnavailable, match="answered 401, does not know mcpgov's identity"):
            await at.table.put(payload)
        assert at.shown.rejected == 1


async def test_without_a_token_nothing_is_sent() -> None:
    (payload,) = AzureMonitor().payloads(records(1))
    async with there() as at:
        for detail in ("this host has none", ""):
            at.shown.refusal = Refusal(Reason.CREDENTIAL_UNAVAILABLE, "No token.", detail=detail)
            with pytest.raises(TargetUnavailable, match=f"no token: {detail or 'No token.'}"):
                await at.table.put(payload)
        assert at.peer.ledger == []


async def test_a_place_that_is_gone_is_waited_for() -> None:
    (payload,) = AzureMonitor().payloads(records(1))
    async with there() as at:
        await at.peer.close()
        with pytest.raises(TargetUnavailable, match="could not be reached"):
            await at.table.put(payload)


async def test_azure_says_how_long_it_is_to_be_left_alone() -> None:
    (payload,) = AzureMonitor().payloads(records(1))
    async with there() as at:
        at.peer.fail(PATH, Response(status_code=429, headers={"retry-after": "42"}))
        with pytest.raises(TargetUnavailable) as told:
            await at.table.put(payload)
        assert told.value.retry_after == 42.0


async def test_a_batch_that_is_too_large_arrives_in_halves_each_row_once() -> None:
    kept = MemoryRecords(records(300))
    async with there() as at:
        at.peer.most = 20_000
        export = Export("azure", AzureMonitor(), at.table)
        await Exporter(export, kept, Notes(kept), lambda: NOW, at.clock.pause).look()
        assert [row["Seq"] for row in at.peer.rows] == list(range(1, 301))
        assert kept.position("azure") == 300


async def test_a_call_that_azure_will_never_take_is_refused() -> None:
    (payload,) = AzureMonitor().payloads(records(1))
    async with there() as at:
        at.peer.fail(PATH, Response(status_code=400))
        with pytest.raises(TargetRefused, match="answered 400"):
            await at.table.put(payload)


async def test_no_minute_has_more_calls_or_bytes_than_the_rule_allows() -> None:
    clock = Clock()
    pace = Pace(clock.read, clock.pause)
    for _ in range(12_001):
        await pace.wait(1)
    assert clock.now - 100 >= 59.999
    began = clock.now
    for _ in range(2_224):  # of 900 KB, and the first of them at once
        await pace.wait(900_000)
    assert clock.now - began >= 59.999
    assert clock.waits[0] == pytest.approx(1 / CALLS)
    assert clock.waits[-1] == pytest.approx(900_000 / BYTES)


async def test_a_pace_that_was_kept_costs_nothing() -> None:
    clock = Clock()
    pace = Pace(clock.read, clock.pause)
    await pace.wait(1)
    clock.now += 1
    await pace.wait(1)
    assert clock.waits == []
