"""The mailbox: order, the bound, the end, and the form of the answer it becomes."""

import asyncio

import pytest

from mcpgov.decision import Reason
from mcpgov.errors import Refusal
from mcpgov.upstream.mailbox import (
    Mailbox,
    empty_answer,
    first_messages,
    json_answer,
    server_sent,
    stream_answer,
)
from mcpgov.upstream.sse import Splitter
from tests.upstream.calls import body_of, events_of

GONE = Refusal(Reason.UPSTREAM_RESET, "gone")

ONE = b'{"jsonrpc":"2.0","id":1,"method":"ping"}'
OTHER = b'{"jsonrpc":"2.0","id":2,"result":{}}'


async def sent() -> None:
    """Sending that succeeds at once."""


async def test_messages_come_out_in_order_and_together() -> None:
    mailbox = Mailbox(100)
    mailbox.put(b"1")
    mailbox.put(b"2")
    assert await mailbox.take() == (b"1", b"2")


async def test_after_the_last_message_comes_the_end() -> None:
    mailbox = Mailbox(100)
    mailbox.put(b"1", last=True)
    mailbox.put(b"2")
    mailbox.close(GONE)
    assert (mailbox.complete, mailbox.closed) == (True, True)
    assert [await mailbox.take(), await mailbox.take()] == [(b"1",), ()]


async def test_what_came_before_a_failure_is_not_lost() -> None:
    mailbox = Mailbox(100)
    mailbox.put(b"1")
    mailbox.close(GONE)
    assert await mailbox.take() == (b"1",)
    with pytest.raises(Refusal, match="gone"):
        await mailbox.take()
    assert not mailbox.complete


async def test_taking_waits_for_a_message() -> None:
    mailbox = Mailbox(100)
    taking = asyncio.ensure_future(mailbox.take())
    await asyncio.wait({taking}, timeout=0)
    mailbox.put(b"1")
    assert await taking == (b"1",)


async def test_a_full_mailbox_has_room_again_when_it_is_emptied_or_closed() -> None:
    for make_room in (Mailbox.leftover, Mailbox.close):
        mailbox = Mailbox(3)
        mailbox.put(b"12")
        assert not mailbox.full
        await mailbox.room()
        mailbox.put(b"345")
        assert mailbox.full
        waiting = asyncio.ensure_future(mailbox.room())
        done, _ = await asyncio.wait({waiting}, timeout=0)
        assert not done
        make_room(mailbox)
        await waiting
        assert not mailbox.full


async def test_whoever_waits_for_a_mailbox_can_be_woken_while_it_stays_full() -> None:
    mailbox = Mailbox(1)
    mailbox.put(b"1")
    waiting, patient = asyncio.ensure_future(mailbox.woken()), asyncio.ensure_future(mailbox.room())
    await asyncio.wait({waiting, patient}, timeout=0)
    mailbox.wake()
    await waiting
    done, _ = await asyncio.wait({patient}, timeout=0)
    assert (mailbox.full, done) == (True, set())
    patient.cancel()


async def test_the_first_messages_are_waited_for_until_the_deadline() -> None:
    mailbox = Mailbox(100)
    with pytest.raises(Refusal, match="upstream-timeout"):
        await first_messages(mailbox, sent(), asyncio.get_running_loop().time() + 0.01)
    mailbox.put(b"1")
    assert await first_messages(mailbox, sent(), asyncio.get_running_loop().time() + 10) == (b"1",)


async def test_answers_have_the_form_that_is_asked_for() -> None:
    mailbox = Mailbox(100)
    mailbox.put(OTHER, last=True)
    stream = stream_answer((ONE,), mailbox, (("mcp-session-id", "s"),))
    assert stream.headers.fields == (("content-type", "text/event-stream"), ("mcp-session-id", "s"))
    assert await body_of(stream) == b"event: message\ndata: %b\n\nevent: message\ndata: %b\n\n" % (ONE, OTHER)
    single = json_answer(b"{}", 404)
    assert (single.status, single.streaming, await body_of(single)) == (404, False, b"{}")
    assert await events_of(empty_answer(202)) == []


def test_a_message_is_one_event_whatever_line_ends_it_has() -> None:
    event = server_sent(ONE.replace(b":1", b":\r1"))
    assert event.data == ONE.replace(b":1", b": 1")
    assert Splitter(100).split(event.raw) == (event,)


async def test_a_line_of_a_server_that_is_no_message_ends_its_stream_after_what_came_before() -> None:
    stream = stream_answer((ONE, b'{"jsonrpc":"2.0","id":1,"Result":{}}', OTHER), Mailbox(100))
    assert [event.data for event in await anext(stream.events)] == [ONE]
    with pytest.raises(Refusal, match="upstream-invalid"):
        await anext(stream.events)
