"""What a client presents is opened for where it goes, and what comes back is sealed for who asked."""

from collections.abc import AsyncGenerator
from dataclasses import replace

import pytest

from mcpgov.decision import Changes, Decision, Reason
from mcpgov.errors import Refusal
from mcpgov.handles.handles import Handles, holder_of
from mcpgov.handles.seal import Holder, Seal, Sort
from mcpgov.models import Answer, Connection, Era, Event, Headers, Kind, LocalUpstream, MCPRequest, RemoteUpstream
from tests.upstream.calls import ALLOWED, bodiless, call

SEAL = Seal(bytes(32))
HANDLES = Handles(SEAL)
HERE = Connection("city", "dev.mcpgov/city", RemoteUpstream("https://a.example/mcp", backends=("https://b.example",)))
ELSEWHERE = replace(ALLOWED, changes=Changes(backend="https://b.example"))
TASK = b'{"jsonrpc":"2.0","id":1,"result":{"taskId":"t","status":"working"}}'


async def batches(*events: Event) -> AsyncGenerator[tuple[Event, ...]]:
    """The events, all at once."""
    yield events


def answer(*events: Event, session: str = "s-1", streaming: bool = True) -> Answer:
    fields = (("content-type", "text/event-stream"), *((("mcp-session-id", session),) if session else ()))
    return Answer(200, Headers(fields), streaming, batches(*events))


def asked(era: Era = Era.HANDSHAKE, session: str = "", who: str = "me") -> MCPRequest:
    return replace(call("tools/call", era=era, session_id=session), principal_id=who)


async def shown(*events: Event, request: MCPRequest | None = None, streaming: bool = True) -> tuple[str, list[Event]]:
    """The session id and the events that this caller sees."""
    sealed = HANDLES.sealed(answer(*events, streaming=streaming), request or asked(), HERE, ALLOWED)
    return sealed.headers.get("mcp-session-id"), [event async for some in sealed.events for event in some]


async def test_a_session_comes_back_as_what_it_was_and_only_there() -> None:
    session, _ = await shown()
    assert HANDLES.opened(asked(session=session), HERE, ALLOWED).session_id == "s-1"
    others = [
        (asked(session=session, who="you"), HERE, ALLOWED),
        (asked(session=session), replace(HERE, name="town"), ALLOWED),
        (asked(session=session), replace(HERE, upstream=RemoteUpstream("https://c.example/mcp")), ALLOWED),
        (asked(session=session), replace(HERE, upstream=LocalUpstream(("https://a.example/mcp",))), ALLOWED),
        (asked(session=session), HERE, ELSEWHERE),
        (asked(session="s-1"), HERE, ALLOWED),
    ]
    for other in others:
        with pytest.raises(Refusal) as no:
            HANDLES.opened(*other)
        assert no.value.reason is Reason.UNKNOWN_SESSION


async def test_a_path_that_a_policy_writes_anew_is_the_same_server() -> None:
    session, _ = await shown()
    rewritten = replace(ALLOWED, changes=Changes(path="/other"))
    assert HANDLES.opened(asked(session=session), HERE, rewritten).session_id == "s-1"


def test_a_local_server_is_known_by_its_command() -> None:
    def place(connection: Connection, decision: Decision = ALLOWED) -> str:
        return holder_of(asked(), connection, decision).place

    local = replace(HERE, upstream=LocalUpstream(("serve", "a b")))
    ways = [("serve", "a", "b"), ("serve", "a b", ""), ("serve a b",), ()]
    places = {place(replace(HERE, upstream=LocalUpstream(way))) for way in ways}
    places |= {place(local), place(replace(HERE, upstream=LocalUpstream(("serve",), working_directory="a b")))}
    places |= {place(HERE), place(HERE, ELSEWHERE)}
    assert len(places) == len(ways) + 4


@pytest.mark.parametrize("session", ["x" * 1025, "a b", "a\n", "\u00e9", "a\x7f"])
def test_a_session_id_is_visible_ascii_of_a_reasonable_length(session: str) -> None:
    with pytest.raises(Refusal) as no:
        HANDLES.sealed(answer(session=session), asked(), HERE, ALLOWED)
    assert no.value.reason is Reason.UPSTREAM_INVALID


async def test_a_session_id_that_stands_twice_is_shown_once() -> None:
    twice = replace(answer(), headers=Headers((("mcp-session-id", "s-1"), ("mcp-session-id", "s-2"))))
    sealed = HANDLES.sealed(twice, asked(), HERE, ALLOWED)
    assert len(sealed.headers.all("mcp-session-id")) == 1


async def test_an_event_is_come_back_to_in_its_own_session_only() -> None:
    session, (event, plain) = await shown(Event(b"id: 7\ndata: {}\n\n", b"{}"), Event(b": x\n\n"))
    left = event.raw.splitlines()[0].removeprefix(b"id: ").decode()
    assert plain.raw == b": x\n\n"

    def back(session: str, last: str) -> str:
        request = bodiless(Kind.STREAM, session, (("last-event-id", last),))
        opened = HANDLES.opened(replace(request, principal_id="me"), HERE, ALLOWED)
        return opened.head.headers.get("last-event-id")

    assert back(session, left) == "7"
    assert back(session, "") == ""
    other = SEAL.seal(b"s-2", Sort.SESSION, holder_of(asked(), HERE, ALLOWED))
    for known, last in ((other, left), ("", left), (session, "7"), (session, session)):
        with pytest.raises(Refusal) as no:
            back(known or "", last)
        assert no.value.reason is Reason.UNKNOWN_SESSION


async def test_an_event_id_that_is_too_long_to_be_sealed_goes_and_the_event_stays() -> None:
    _, (event,) = await shown(Event(b"id: " + b"x" * 1025 + b"\ndata: {}\n\n", b"{}"))
    assert event.raw == b"data: {}\n\n"


async def test_to_an_answer_that_is_not_resumable_nobody_comes_back() -> None:
    event = Event(b"id: 7\ndata: {}\n\n", b"{}")
    sealed = HANDLES.sealed(answer(event), asked(), HERE, ALLOWED, resumable=False)
    assert [one.raw async for some in sealed.events for one in some] == [b"data: {}\n\n"]


async def test_without_sessions_there_is_nothing_to_come_back_to_and_events_stay_as_they_are() -> None:
    _, (event,) = await shown(Event(b"id: 7\ndata: {}\n\n", b"{}"), request=asked(Era.STATELESS))
    assert event.raw == b"id: 7\ndata: {}\n\n"
    late = replace(asked(Era.STATELESS), head=bodiless(Kind.STREAM, headers=(("last-event-id", "7"),)).head)
    assert HANDLES.opened(late, HERE, ALLOWED) == late


@pytest.mark.parametrize("streaming", [True, False])
async def test_a_task_is_sealed_in_json_and_in_events(*, streaming: bool) -> None:
    raw = b"event: message\ndata: " + TASK + b"\n\n" if streaming else TASK
    _, (event,) = await shown(Event(raw, TASK), streaming=streaming)
    holder = holder_of(asked(), HERE, ALLOWED)
    sealed = SEAL.seal(b"t", Sort.TASK, holder)
    assert sealed is not None
    told = TASK.replace(b'"t"', f'"{sealed}"'.encode())
    assert event == Event(b"event: message\ndata: " + told + b"\n\n" if streaming else told, told)
    request = replace(call("tasks/get", {"taskId": sealed}), principal_id="me")
    assert HANDLES.opened(request, HERE, ALLOWED).params == {"taskId": "t"}
    session = SEAL.seal(b"t", Sort.SESSION, holder)
    with pytest.raises(Refusal):
        HANDLES.opened(replace(call("tasks/get", {"taskId": session}), principal_id="me"), HERE, ALLOWED)


async def test_a_task_id_that_is_too_long_to_be_sealed_is_shown_and_good_for_nothing() -> None:
    long = TASK.replace(b'"t"', b'"' + b"t" * 1025 + b'"')
    _, (event,) = await shown(Event(long, long), streaming=False)
    assert event.data == long


async def test_what_the_gateway_answers_itself_is_not_sealed() -> None:
    itself = replace(HERE, name="")
    given = answer()
    assert HANDLES.sealed(given, asked(), itself, ALLOWED) is given
    assert HANDLES.opened(asked(session="own"), itself, ALLOWED).session_id == "own"


def test_a_holder_within_a_session_is_another() -> None:
    assert Holder("a", "b", "c").within("d") == Holder("a", "b", "c", "d")
