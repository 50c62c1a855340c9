"""Events arrive signed and in order, or are dropped, counted and told; nobody ever waits for one."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
from starlette.responses import Response
from structlog.testing import capture_logs

from mcpgov.decision import LogEvent, Reason
from mcpgov.errors import Refusal
from mcpgov.event_hubs import (
    BATCH,
    MOST,
    MOST_BYTES,
    EventHubs,
    Hub,
    Identity,
    Line,
    Signature,
    sending,
    signature,
    told_if_it_fails,
)
from mcpgov.models import Secret
from mcpgov.web import GuardedWeb
from tests.peers.entra_tokens import MANAGED_IDENTITY
from tests.peers.event_hub import AUDIENCE, KEY, KEY_NAME, EventHubPeer, Received

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
PATH = "/messages"


def event(body: str = "a", partition: str = "", key: str = "") -> LogEvent:
    return LogEvent("p#1 log-to-eventhub", "audit", body, partition, key)


def same(text: str) -> str:
    return text


@dataclass
class There:
    """The peer, and what sends to it."""

    peer: EventHubPeer
    hubs: EventHubs


@asynccontextmanager
async def there(key: str = KEY) -> AsyncGenerator[There]:
    async with EventHubPeer(clock=NOW.timestamp()) as peer:
        named = {"audit": Hub(peer.hub, Signature(KEY_NAME, Secret(key)), private=True)}
        async with sending(named, lambda: NOW, same) as hubs:
            yield There(peer, hubs)


async def test_events_arrive_in_order_with_a_signature_that_the_service_accepts() -> None:
    async with there() as at:
        for number in range(50):
            at.hubs.log(event(f"ünï {number}"))
        await at.hubs.drained()
        assert at.peer.events == [Received(f"ünï {number}") for number in range(50)]
        assert len(at.peer.ledger) == 1


async def test_a_partition_is_chosen_by_number_or_by_key() -> None:
    async with there() as at:
        for one in (event("a"), event("b", "3"), event("c", "3"), event("d", key="käse"), event("e", key="käse")):
            at.hubs.log(one)
        await at.hubs.drained()
    assert at.peer.events == [
        Received("a"),
        Received("b", "3"),
        Received("c", "3"),
        Received("d", "", "käse"),
        Received("e", "", "käse"),
    ]
    assert [asked.path for asked in at.peer.ledger] == [
        "/events/messages",
        "/events/partitions/3/messages",
        "/events/messages",
        "/events/messages",
    ]


async def test_a_wrong_key_sends_nothing_and_no_line_of_the_log_shows_a_key() -> None:
    with capture_logs() as logs:
        async with there(key="wrong-key-canary") as at:
            at.hubs.log(event("event-canary"))
            await at.hubs.drained()
    assert at.peer.events == []
    assert [(one["event"], one["logger"], one["events"], one["error"]) for one in logs] == [
        ("events-dropped", "audit", 1, "127.0.0.1 answered 401")
    ]
    assert "canary" not in repr(logs)


async def test_a_token_of_mcpgovs_own_identity_is_shown_where_there_is_no_key(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("mcpgov.event_hubs.AGAIN", 0.0)
    async with EventHubPeer(senders=frozenset({MANAGED_IDENTITY})) as peer:

        async def token() -> Secret:
            await asyncio.sleep(0)
            return Secret(peer.entra.tokens.managed_identity(MANAGED_IDENTITY, 1, client_id="c", aud=AUDIENCE))

        async def none() -> Secret:
            await asyncio.sleep(0)
            raise Refusal(Reason.CREDENTIAL_UNAVAILABLE, "No token.")

        for source in (token, none):
            async with sending({"audit": Hub(peer.hub, Identity(source), private=True)}, lambda: NOW, same) as hubs:
                hubs.log(event())
        assert peer.events == [Received("a")]


async def test_a_hub_that_is_gone_costs_its_events_and_nobody_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mcpgov.event_hubs.AGAIN", 0.0)
    with capture_logs() as logs:
        async with there() as at:
            await at.peer.close()
            at.hubs.log(event())
            await at.hubs.drained()
            await at.peer.open()
            at.hubs.log(event("b"))
    assert at.peer.events == [Received("b")]
    assert [(one["events"], one["error"]) for one in logs] == [
        (1, "127.0.0.1 could not be reached, or broke off: ConnectError")
    ]


async def test_a_hub_that_is_busy_is_left_alone_for_as_long_as_it_says(monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []

    async def pause(seconds: float) -> None:
        waits.append(seconds)
        await real(0)

    real = asyncio.sleep
    monkeypatch.setattr("mcpgov.event_hubs.asyncio.sleep", pause)
    async with there() as at:
        for status, asked in ((429, "7"), (503, "600"), (503, "soon"), (500, "7")):
            at.peer.fail(PATH, Response(status_code=status, headers={"retry-after": asked}))
            at.hubs.log(event())
            await at.hubs.drained()
    assert [seconds for seconds in waits if seconds >= 1] == [7.0, 60.0, 1.0]


async def test_what_waits_has_a_bound_and_what_is_dropped_is_told_once_a_minute() -> None:
    clock = [NOW]
    hubs = EventHubs({"audit": Hub("https://x", Signature("k", Secret("s")))}, GuardedWeb(), lambda: clock[0], same)
    with capture_logs() as logs:
        for _ in range(MOST + 5):
            hubs.log(event())
        assert [one["events"] for one in logs] == [1]
        clock[0] += timedelta(minutes=1)
        hubs.log(event())
        assert [one["events"] for one in logs] == [1, 5]
        hubs.close()
    assert [(one["events"], one["error"]) for one in logs][2:] == [(MOST, "the gateway ends")]


async def test_dropped_events_that_were_not_told_yet_are_told_at_the_end() -> None:
    hubs = EventHubs({"audit": Hub("https://x", Signature("k", Secret("s")))}, GuardedWeb(), lambda: NOW, same)
    body = "x" * (MOST_BYTES + 1)
    with capture_logs() as logs:
        hubs.log(event(body))
        hubs.log(event(body))
        hubs.close()
    assert [one["events"] for one in logs] == [1, 1]


async def test_a_logger_that_is_not_there_is_told() -> None:
    async with sending({}, lambda: NOW, same) as hubs:
        with capture_logs() as logs:
            hubs.log(event())
    assert [(one["event"], one["logger"]) for one in logs] == [("logger-unknown", "audit")]


async def test_no_request_is_larger_than_the_smallest_tier_takes() -> None:
    line = Line(Hub("https://x", Signature("k", Secret("s"))))
    for _ in range(10):
        assert line.add(event("x" * 100_000))
    taken = [len(line.take()) for _ in range(5)]
    assert taken == [2] * 5
    assert (line.size, line.filled.is_set()) == (0, False)
    assert BATCH < 262_144


async def test_secrets_are_blotted_out_of_what_is_sent() -> None:
    async with EventHubPeer(clock=NOW.timestamp()) as peer:
        hub = Hub(peer.hub, Signature(KEY_NAME, Secret(KEY)), private=True)
        async with sending({"audit": hub}, lambda: NOW, lambda text: text.replace("hunter2", "***")) as hubs:
            hubs.log(event("by hunter2", key="hunter2"))
        assert peer.events == [Received("by ***", "", "***")]
        assert KEY not in repr(hub)


async def test_a_hub_that_hangs_holds_up_no_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mcpgov.event_hubs.LAST", 0.05)
    with capture_logs() as logs:
        async with there() as at:
            at.peer.hold = asyncio.Event()
            at.hubs.log(event())
            await at.peer.arrived(PATH)
            at.hubs.log(event("b"))
        at.peer.mend()
    assert [(one["events"], one["error"]) for one in logs] == [(2, "the gateway ends")]  # of the first nobody knows


def test_a_signature_is_what_the_documentation_computes() -> None:
    made = signature("https://Contoso.servicebus.windows.net/Hub", "send/1", Secret("key"), 1_700_000_000)
    assert made == (
        "SharedAccessSignature sr=https%3A%2F%2Fcontoso.servicebus.windows.net%2Fhub&sig=SIG&se=1700000000&skn=send%2F1"
    ).replace("SIG", made.partition("&sig=")[2].partition("&")[0])
    assert made != signature("https://contoso.servicebus.windows.net/hub", "send/1", Secret("other"), 1_700_000_000)


async def test_a_logger_that_stopped_is_told() -> None:
    async def broken() -> None:
        await asyncio.sleep(0)
        raise ValueError("broken")

    task = asyncio.create_task(broken(), name="audit")
    with pytest.raises(ValueError, match="broken"):
        await task
    with capture_logs() as logs:
        told_if_it_fails(task)
    assert [(one["event"], one["logger"]) for one in logs] == [("logger-stopped", "audit")]
