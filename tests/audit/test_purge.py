"""What a record says of what is gone is read back, and what says no such thing is refused."""

import json
from collections.abc import Mapping
from typing import Any

import pytest

from mcpgov.audit.chain import Chain
from mcpgov.audit.purge import Broken, Cut, Old, Removed, chain_of, chain_text, cut_of, folded, purged_in, removed_of
from mcpgov.audit.record import ControlEvent, ControlRecord, DeniedRecord, Row
from mcpgov.decision import Reason
from tests.audit.calls import NOW, facts

DENIED = [DeniedRecord(facts(f"c{number}"), Reason.TOOL_DENIED).row() for number in range(5)]
CHAIN, HASHES = Chain("w").extended(row.record for row in DENIED)


def old(row: Row, writer: str, seq: int, digest: bytes) -> Old:
    """A record as it is read to be removed."""
    return Old(seq, row.at, writer, seq, row.call_id, row.final, row.event, row.record, digest)


ROWS = [old(row, "w", seq, digest) for seq, (row, digest) in enumerate(zip(DENIED, HASHES, strict=True), 1)]


def test_a_chain_is_read_back() -> None:
    unhashed = Chain("old", 3, b"")
    assert [chain_of(chain_text(chain)) for chain in (CHAIN, unhashed)] == [CHAIN, unhashed]


@pytest.mark.parametrize("text", ["", "w", "w:5", "w:x::", f"w:5:{'a' * 64}:", f"w:1:{'a' * 64}:{'z' * 64}", 7, None])
def test_what_is_no_end_of_a_chain_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="names what is no"):
        chain_of(text)


def test_only_the_record_of_a_purge_is_read_as_one() -> None:
    other = json.loads(ControlRecord(ControlEvent.START, NOW).row().record)
    assert purged_in(other) is None
    with pytest.raises(ValueError, match="names no list"):
        removed_of("w", [])
    (row,) = cut_of(Removed(), ROWS).records(NOW, {"principal": "dana"})
    assert folded(["[]", "{", "[" * 100_000, row.record]) == Removed({"w": CHAIN})


def test_a_purge_carries_on_what_an_earlier_one_said() -> None:
    (row,) = cut_of(Removed(), ROWS).records(NOW, {})
    chain, (digest,) = Chain("p").extended([row.record])
    cut = cut_of(Removed({"w": CHAIN}), [old(row, "p", 1, digest)])
    assert (cut.named, cut.removed) == (["p", "w"], Removed({"w": CHAIN, "p": chain}))
    assert cut.removed.records == 6


def test_what_does_not_fit_is_not_removed() -> None:
    for rows in (ROWS[1:], [ROWS[0]._replace(record="[]")]):
        with pytest.raises(Broken, match="records of w"):
            cut_of(Removed(), rows)


@pytest.mark.parametrize(
    "column", [{"at": 0}, {"event": "intent"}, {"call_id": "c9"}, {"call_id": None}, {"final": 0}], ids=str
)
def test_what_is_filed_under_another_time_call_or_kind_than_it_has_is_not_removed(column: Mapping[str, Any]) -> None:
    with pytest.raises(Broken, match="record 3 of w is filed under another"):
        cut_of(Removed(), [*ROWS[:2], ROWS[2]._replace(**column), *ROWS[3:]])


@pytest.mark.parametrize(
    "record", ["[]", "{", "{}", "[" * 100_000 + "]" * 100_000], ids=["a list", "no JSON", "empty", "deep"]
)
def test_what_cannot_be_read_is_not_removed(record: str) -> None:
    _, (digest,) = Chain("w").extended([record])
    with pytest.raises(Broken, match="record 1 of w is filed under another"):
        cut_of(Removed(), [ROWS[0]._replace(record=record, hash=digest)])


def test_records_from_before_there_were_hashes_have_no_frontier() -> None:
    cut = cut_of(Removed(), [row._replace(hash=b"") for row in ROWS])
    assert cut.removed.chains["w"] == Chain("w", 5, b"")


def test_what_was_removed_before_is_not_forgotten_and_the_longer_chain_counts() -> None:
    short, other = Chain("w", 2, b""), Chain("v", 1, b"")
    assert Removed({"w": CHAIN}).after(Removed({"w": short, "v": other})).chains == {"w": CHAIN, "v": other}
    assert Removed({"w": short}).after(Removed({"w": CHAIN})).chains == {"w": CHAIN}


def test_a_purge_says_of_what_time_it_was() -> None:
    first, *_, last = (row._replace(at=row.at + number) for number, row in enumerate(ROWS))
    (row,) = Cut([last, first], cut_of(Removed(), ROWS).removed, ["w"]).records(NOW, {})
    said = json.loads(row.record)
    assert said["mcpgov.control.since"] == "2026-11-20T12:00:00.123456Z"
    assert said["mcpgov.control.until"] == "2026-11-20T12:00:00.123460Z"
