"""Every checkpoint arrives at every place, whatever is down meanwhile, and nothing that it lacks is forgotten."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from mcpgov.audit.chain import Chain
from mcpgov.audit.checkpoints import (
    AT_ONCE,
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
        self.positions: dict[tuple[str, str], int] = {}
        self.failure: Exception | None = None

    def lacking(self, target: str, limit: int) -> Sequence[KeptCheckpoint]:
        if self.failure:
            raise self.failure
        return [one for one in self.kept if one.size > self.positions.get((target, one.writer), 0)][:limit]

    def move(self, target: str, through: Sequence[KeptCheckpoint]) -> None:
        self.positions |= {(target, one.writer): one.size for one in through}


class Place:
    """A target that is down when a test says so."""

    def __init__(self, name: str = "place") -> None:
        self.name = name
        self.down = False
        self.refused = 0
        self.got: list[KeptCheckpoint] = []

    async def put(self, checkpoint: KeptCheckpoint) -> None:
        if self.down or checkpoint.size == self.refused:
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
    kept.kept.append(checkpoint(1, "v", at=2 * AT_ONCE))
    await shipping.ship(place)
    await shipping.ship(place)
    assert place.got == kept.kept
    assert kept.positions == {("place", "w"): 2 * AT_ONCE + 4, ("place", "v"): 1}
    assert shipping.lag == {}


YEAR = 365 * 86_400_000_000


async def test_what_the_clocks_of_writers_say_holds_up_no_checkpoint() -> None:
    kept, place = MemoryCheckpoints([checkpoint(1, at=5), checkpoint(2, at=YEAR)]), Place()
    shipping = Shipping(kept, [place], Clock(), never)
    await shipping.ship(place)
    kept.kept += [checkpoint(3, at=7), checkpoint(1, "late", at=-YEAR)]
    await shipping.ship(place)
    assert place.got == kept.kept


async def test_after_a_restart_a_place_gets_what_it_lacks_alone() -> None:
    kept, place = MemoryCheckpoints([checkpoint(size) for size in range(1, 5)]), Place()
    place.refused = 3
    with capture_logs():
        await Shipping(kept, [place], Clock(), never).ship(place)
    place.refused = 0
    await Shipping(kept, [place], Clock(), never).ship(place)
    assert [one.size for one in place.got] == [1, 2, 3, 4]


@pytest.mark.parametrize(
    "forged",
    [
        replace(checkpoint(2), writer="../../w"),
        replace(checkpoint(2), size=3),
        replace(checkpoint(2, "../../w"), writer="../../w"),
        replace(checkpoint(2), note="x"),
    ],
    ids=["writer", "size", "origin", "note"],
)
async def test_what_is_no_checkpoint_is_passed_over_for_its_words_would_become_a_path(forged: KeptCheckpoint) -> None:
    kept, place = MemoryCheckpoints([checkpoint(1), forged, checkpoint(4)]), Place()
    await Shipping(kept, [place], Clock(), never).ship(place)
    assert place.got == [checkpoint(1), checkpoint(4)]


async def test_a_store_that_is_only_being_made_is_not_looked_into() -> None:
    kept = MemoryCheckpoints([])
    kept.failure = StoreUnavailable("is not there yet")

    async def made() -> None:
        if kept.failure is None:
            raise asyncio.CancelledError
        kept.failure = None

    with capture_logs() as logs, pytest.raises(asyncio.CancelledError):
        await Shipping(kept, [Place()], Clock(), made).run()
    assert logs == []


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
        if rounds == 3:
            down.down = False
        if rounds == 4:
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
    found = compared([*(one.note for one in ours), ours[0].note, other], SIGNER.key)
    assert {writer: sorted(sizes) for writer, sizes in found.roots.items()} == {"w": [1, 2], "v": [1]}
    assert (found.total, found.wrong) == (3, [])
    assert found.others == [Signer(bytes(range(32))).key.name]


def test_a_false_checkpoint_and_two_of_one_size_are_wrong() -> None:
    false = checkpoint(2).note.replace("\n2\n", "\n3\n")
    split = SIGNER.checkpoint(Chain("w", 1, frontier=(bytes(32),)))
    found = compared([checkpoint(1).note, split, false], SIGNER.key)
    assert found.wrong == ["there are two for record 1 of w", f"the signature of {SIGNER.key.name} is false"]
    found = compared(["x", checkpoint(1).note], None)
    assert (list(found.roots), found.wrong) == (["w"], ["this is no checkpoint"])
