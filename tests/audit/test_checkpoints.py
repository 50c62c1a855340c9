"""Every checkpoint arrives at every place, whatever is down meanwhile, and nothing that it lacks is forgotten."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from mcpgov.audit.chain import Chain
from mcpgov.audit.checkpoints import (
    AT_ONCE,
    SETTLED,
    DatabaseTarget,
    FolderTarget,
    HttpTarget,
    KeptCheckpoint,
    Shipping,
    TargetUnavailable,
    compared,
)
from mcpgov.audit.note import Signer
from mcpgov.audit.record import microseconds
from mcpgov.errors import StoreUnavailable
from mcpgov.models import Headers
from mcpgov.store.database import place_bytes
from mcpgov.web import WebAnswer, WebUnavailable
from tests.audit.calls import NOW
from tests.audit.stores import Clock

SIGNER = Signer(bytes(32))
START = microseconds(NOW)


def checkpoint(size: int = 1, writer: str = "w", at: int = 0) -> KeptCheckpoint:
    """One that was made `at` microseconds after NOW."""
    chain, _ = Chain(writer).extended(["{}"] * size)
    return KeptCheckpoint(writer, size, START + at, SIGNER.checkpoint(chain))


class MemoryCheckpoints:
    """The checkpoints of a store in memory."""

    def __init__(self, kept: Sequence[KeptCheckpoint]) -> None:
        self.kept = list(kept)
        self.positions: dict[str, int] = {}
        self.failure: Exception | None = None

    def after(self, at: int, limit: int) -> Sequence[KeptCheckpoint]:
        if self.failure:
            raise self.failure
        return sorted((one for one in self.kept if one.at > at), key=lambda one: one.at)[:limit]

    def position(self, target: str) -> int:
        return self.positions.get(target, 0)

    def move(self, target: str, at: int) -> None:
        self.positions[target] = at


class Place:
    """A target that is down when a test says so."""

    def __init__(self, name: str = "place") -> None:
        self.name = name
        self.down = False
        self.got: list[KeptCheckpoint] = []

    async def put(self, checkpoint: KeptCheckpoint) -> None:
        if self.down:
            raise TargetUnavailable(f"{self.name} is down")
        self.got.append(checkpoint)


async def never() -> None:
    """Waits until it is cancelled."""
    await asyncio.Event().wait()


async def test_every_checkpoint_is_sent_once_in_order_while_the_gateway_runs() -> None:
    kept, place = MemoryCheckpoints([checkpoint(size, at=size) for size in range(1, 2 * AT_ONCE + 5)]), Place()
    shipping = Shipping(kept, [place], Clock(), never)
    await shipping.ship(place)
    assert place.got == kept.kept
    kept.kept.append(checkpoint(1, "v", at=SETTLED // 2))
    await shipping.ship(place)
    await shipping.ship(place)
    assert place.got == kept.kept
    assert kept.positions == {"place": START + SETTLED // 2}
    assert shipping.lag == {}


async def test_one_that_was_committed_late_is_sent_too() -> None:
    kept, place = MemoryCheckpoints([checkpoint(1, at=5)]), Place()
    shipping = Shipping(kept, [place], Clock(), never)
    await shipping.ship(place)
    kept.kept.append(checkpoint(2, "late", at=3))
    await shipping.ship(place)
    assert [one.writer for one in place.got] == ["w", "late"]


async def test_after_a_restart_a_place_gets_what_it_lacks_and_of_what_it_has_only_the_latest() -> None:
    kept, place = (
        MemoryCheckpoints([checkpoint(1), checkpoint(2, at=2 * SETTLED), checkpoint(3, at=3 * SETTLED + 1)]),
        Place(),
    )
    kept.positions = {"place": START + 2 * SETTLED}
    await Shipping(kept, [place], Clock(), never).ship(place)
    assert [one.size for one in place.got] == [2, 3]


async def test_a_place_that_is_down_shows_its_lag_is_told_once_a_minute_and_misses_nothing() -> None:
    kept, place, clock = MemoryCheckpoints([checkpoint(1), checkpoint(2, at=1)]), Place(), Clock()
    shipping = Shipping(kept, [place], clock, never)
    place.down = True
    with capture_logs() as logs:
        for seconds in (30, 29, 1, 0):
            clock.forward(seconds)
            await shipping.ship(place)
    assert [(entry["event"], entry["lag"]) for entry in logs] == [("checkpoint-not-sent", 30.0)]
    clock.forward(30)
    with capture_logs() as logs:
        await shipping.ship(place)
    assert shipping.lag == {"place": 90.0}
    assert [entry["error"] for entry in logs] == ["place is down"]
    place.down = False
    await shipping.ship(place)
    assert place.got == kept.kept
    assert shipping.lag == {}


async def test_a_store_that_cannot_be_read_is_tried_again() -> None:
    kept, place = MemoryCheckpoints([checkpoint()]), Place()
    kept.failure = StoreUnavailable("gone")
    shipping = Shipping(kept, [place], Clock(), never)
    with capture_logs() as logs:
        await shipping.ship(place)
    assert [entry["error"] for entry in logs] == ["gone"]
    kept.failure = None
    await shipping.ship(place)
    assert len(place.got) == 1


async def test_a_place_that_is_down_holds_up_no_other() -> None:
    kept, down, up = MemoryCheckpoints([checkpoint()]), Place("down"), Place("up")
    down.down = True
    rounds = 0

    async def pause() -> None:
        nonlocal rounds
        rounds += 1
        if rounds == 2:
            down.down = False
        if rounds == 3:
            raise asyncio.CancelledError

    with capture_logs(), pytest.raises(asyncio.CancelledError):
        await Shipping(kept, [down, up], Clock(), pause).run()
    assert down.got == up.got == kept.kept


async def test_a_folder_gets_a_file_for_each_checkpoint_and_keeps_the_one_that_is_there(tmp_path: Path) -> None:
    target = FolderTarget(tmp_path / "worm", place_bytes)
    one = checkpoint(7)
    await target.put(one)
    file = tmp_path / "worm" / one.name
    assert file.read_text("utf-8") == one.note
    assert one.name == f"{SIGNER.key.name.rpartition('/')[2]}/w/000000000007.note"
    file.write_text("already there", "utf-8")
    await target.put(one)
    assert file.read_text("utf-8") == "already there"
    assert target.name == (tmp_path / "worm").as_uri()


async def test_a_folder_that_cannot_be_written_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "worm").write_text("a file")
    with pytest.raises(TargetUnavailable, match="worm"):
        await FolderTarget(tmp_path / "worm", place_bytes).put(checkpoint())


class Database:
    """A second database."""

    def __init__(self) -> None:
        self.rows: list[tuple[str, str, int]] = []

    def put(self, name: str, note: str, at: int) -> None:
        if self.rows:
            raise StoreUnavailable("is full")
        self.rows.append((name, note, at))


async def test_a_database_gets_a_row_for_each_checkpoint() -> None:
    database, one = Database(), checkpoint(7)
    target = DatabaseTarget("postgresql://db/worm", database)
    await target.put(one)
    assert database.rows == [(one.name, one.note, one.at)]
    with pytest.raises(TargetUnavailable, match="postgresql://db/worm: is full"):
        await target.put(one)


class Bucket:
    """An object store over HTTP."""

    def __init__(self, status: int = 201) -> None:
        self.status = status
        self.put_at: dict[str, bytes] = {}
        self.private = False

    async def put(
        self, url: str, body: bytes, headers: Sequence[tuple[str, str]] = (), *, private: bool = False
    ) -> WebAnswer:
        if not self.status:
            raise WebUnavailable("worm.example: no answer")
        self.put_at[url] = body
        self.private = private
        return WebAnswer(self.status, Headers(), b"")


async def test_a_url_gets_a_put_below_it_and_its_query_is_kept_and_not_shown() -> None:
    bucket, one = Bucket(), checkpoint(7)
    target = HttpTarget("https://worm.example/log/?sig=secret", bucket, private=True)
    await target.put(one)
    assert bucket.put_at == {f"https://worm.example/log/{one.name}?sig=secret": one.note.encode()}
    assert target.name == "https://worm.example/log/"
    assert bucket.private


@pytest.mark.parametrize("status", [0, 302, 403, 500])
async def test_a_url_that_does_not_take_it_is_unavailable(status: int) -> None:
    with pytest.raises(TargetUnavailable, match=r"https://worm\.example/log: ") as raised:
        await HttpTarget("https://worm.example/log?sig=secret", Bucket(status)).put(checkpoint())
    assert "secret" not in str(raised.value)


def test_checkpoints_are_compared_by_writer_and_size_and_those_of_other_logs_left_out() -> None:
    ours = [checkpoint(1), checkpoint(2), checkpoint(1, "v")]
    other = Signer(bytes(range(32))).checkpoint(Chain("w", 9, frontier=(bytes(32),)))
    roots, wrong = compared([*(one.note for one in ours), ours[0].note, other], SIGNER.key)
    assert {writer: sorted(sizes) for writer, sizes in roots.items()} == {"w": [1, 2], "v": [1]}
    assert wrong == []


def test_a_false_checkpoint_and_two_of_one_size_are_wrong() -> None:
    false = checkpoint(2).note.replace("\n2\n", "\n3\n")
    split = SIGNER.checkpoint(Chain("w", 1, frontier=(bytes(32),)))
    _, wrong = compared([checkpoint(1).note, split, false], SIGNER.key)
    assert wrong == ["there are two for record 1 of w", f"the signature of {SIGNER.key.name} is false"]
    roots, wrong = compared(["x", checkpoint(1).note], None)
    assert (list(roots), wrong) == (["w"], ["this is no checkpoint"])
