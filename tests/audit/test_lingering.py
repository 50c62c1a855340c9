"""What is kept back goes when its moment is over, or with what goes first; one timer serves for many moments."""

from dataclasses import replace

import pytest

from mcpgov.audit.lingering import Lingering
from mcpgov.audit.record import OutcomeRecord, Row
from mcpgov.audit.tuning import Tuning
from mcpgov.audit.writer import Entry, Writer
from mcpgov.models import OutcomeStatus
from tests.audit.calls import NOW
from tests.audit.stores import Clock, FaultyStore, until
from tests.audit.timers import Timers

FOR_EVER = Tuning(linger=3600)


class Post:
    """Keeps things back on a loop, and remembers when which of them were due."""

    def __init__(self, loop: Timers) -> None:
        self.loop = loop
        self.lingering = Lingering[str](loop, 5, self.due)
        self.sent: list[tuple[float, list[str]]] = []

    def due(self) -> None:
        self.sent.append((self.loop.at, self.lingering.taken()))


@pytest.fixture
def post(loop: Timers) -> Post:
    return Post(loop)


def test_what_is_kept_back_goes_together_when_the_first_was_here_for_a_moment(post: Post) -> None:
    post.lingering.keep("a")
    post.loop.pass_until(4)
    post.lingering.keep("b")
    assert (len(post.lingering), post.sent) == (2, [])
    post.loop.pass_until(5)
    assert (len(post.lingering), post.sent) == (0, [(5, ["a", "b"])])


def test_a_moment_is_whole_though_the_timer_is_that_of_an_earlier_one(post: Post) -> None:
    post.lingering.keep("a")
    assert post.lingering.taken() == ["a"]
    post.loop.at = 4
    post.lingering.keep("b")
    post.loop.pass_until(5)
    assert post.sent == []
    post.loop.pass_until(9)
    assert post.sent == [(9, ["b"])]
    assert post.loop.timers == [5, 9]


def test_nothing_is_due_where_all_was_taken(post: Post) -> None:
    post.lingering.keep("a")
    assert post.lingering.taken() == ["a"]
    post.loop.pass_until(5)
    assert (post.sent, post.loop.timers) == ([], [5])


def intent(call_id: str) -> Row:
    return Row(call_id, 0, "intent", 1)


def outcome(call_id: str) -> Row:
    return OutcomeRecord(call_id, NOW, OutcomeStatus.OK).row()


async def begun(writer: Writer, call_id: str) -> Entry:
    """A call whose intent is durable."""
    entry = writer.post(intent(call_id), wait=True)
    assert entry.durable is not None
    await entry.durable
    return entry


async def test_the_end_of_a_call_shares_the_commit_of_the_next_intent() -> None:
    store = FaultyStore()
    writer = Writer(store, Clock(), FOR_EVER)
    writer.start()
    for call_id in "123":
        writer.post(outcome(call_id), ends=await begun(writer, call_id))
    assert store.batches == [1, 2, 2]
    assert writer.backlog.waiting == 1
    assert await writer.close()
    assert store.batches == [1, 2, 2, 1]
    assert [(row.call_id, row.final) for row in store.rows] == [(call_id, end) for call_id in "123" for end in (0, 1)]


async def test_the_end_of_a_call_is_written_though_no_other_call_comes() -> None:
    store = FaultyStore()
    writer = Writer(store, Clock(), replace(FOR_EVER, linger=0.001))
    writer.start()
    writer.post(outcome("1"), ends=await begun(writer, "1"))
    await until(lambda: store.ends == {"1": ["ok"]})
    assert await writer.close()


async def test_an_end_that_somebody_waits_for_is_not_kept_back_and_takes_the_others_along() -> None:
    store = FaultyStore()
    writer = Writer(store, Clock(), FOR_EVER)
    writer.start()
    first, second = await begun(writer, "1"), await begun(writer, "2")
    writer.post(outcome("1"), ends=first)
    awaited = writer.post(outcome("2"), ends=second, wait=True)
    assert awaited.durable is not None
    await awaited.durable
    assert store.batches == [1, 1, 2]
    assert await writer.close()


async def test_what_ends_no_call_is_not_kept_back() -> None:
    store = FaultyStore()
    writer = Writer(store, Clock(), FOR_EVER)
    writer.start()
    writer.post(Row("1", 1, "denied", 1))
    await until(lambda: store.batches == [1])
    assert await writer.close()
