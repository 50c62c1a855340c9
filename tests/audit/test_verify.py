"""What the verifier says of single things; that it finds every forgery is shown in tests/contract/test_tampering.py."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import pytest

from mcpgov.audit.chain import Chain, Head, links
from mcpgov.audit.note import Signer
from mcpgov.audit.purge import Removed
from mcpgov.audit.record import ControlEvent, ControlRecord, IntentRecord, OutcomeRecord, Row
from mcpgov.audit.verify import SHOWN, Finding, Kept, Kind, Verdict, read, verify
from mcpgov.models import OutcomeStatus
from tests.audit.calls import NOW, facts

SIGNER = Signer(bytes(32))
ROWS = [
    ControlRecord(ControlEvent.START, NOW).row(),
    IntentRecord(facts("1", tool="search")).row(),
    OutcomeRecord("1", NOW, OutcomeStatus.OK).row(),
    ControlRecord(ControlEvent.STOP, NOW).row(),
]


def kept(writer: str, rows: Sequence[Row], place: int = 1) -> list[Kept]:
    """Rows as a writer keeps them."""
    _, hashes = Chain(writer).extended(row.record for row in rows)
    return [
        Kept(place + number, writer, number + 1, row.record, digest, columns=row)
        for number, (row, digest) in enumerate(zip(rows, hashes, strict=True))
    ]


def end(records: Sequence[Kept]) -> Head:
    """The last of a writer's records."""
    return Head(records[-1].writer, records[-1].seq, records[-1].hash)


class Ledger:
    """Evidence that is what a test says. `unnamed` are the writers that nobody named."""

    def __init__(
        self,
        records: Sequence[Kept | Finding | Removed],
        unnamed: Mapping[str, Head | None] | None = None,
        loose: Sequence[str] = (),
    ) -> None:
        self.kept = records
        self.unnamed = unnamed
        self.loose = loose

    def records(self) -> Iterator[Kept | Finding | Removed]:
        return iter(self.kept)

    def loose_notes(self) -> Sequence[str]:
        return self.loose

    def writers(self) -> Mapping[str, Head | None] | None:
        return self.unnamed

    def verdict(self, *, signed: bool = True) -> Verdict:
        return verify(self, SIGNER.key if signed else None, {})


def told(verdict: Verdict) -> list[str]:
    """The findings as a person reads them."""
    return [str(finding) for finding in verdict.findings]


def test_a_ledger_that_nobody_touched_is_right() -> None:
    records = kept("w", ROWS)
    assert Ledger(records, {"w": None}).verdict() == Verdict(4, 0, 1, 0, 4, 0, (), 0)
    assert Ledger(records, {"w": end(records)}).verdict() == Verdict(4, 0, 1, 0, 0, 0, (), 0)
    assert Ledger(records).verdict().code == 0
    assert Ledger([], {}).verdict() == Verdict(0, 0, 0, 0, 0, 0, (), 0)


def test_the_first_bad_record_is_named_with_its_writer_number_and_row() -> None:
    records = kept("w", ROWS)
    records[2] = records[2]._replace(record=records[2].record.replace("ok", "no"))
    assert told(Ledger(records, {"w": None}).verdict()) == [
        "tampered: record 3 of w (row 3) is not what its hash is of: it, or the one before it, was changed"
    ]


def test_of_many_findings_the_first_are_told_and_one_of_each_kind() -> None:
    records = [record._replace(hash=bytes([1]) * 32) for record in kept("w", ROWS[:1] * (SHOWN + 5))]
    records.append(kept("v", ROWS)[2])
    verdict = Ledger(records, {"w": None, "v": None}).verdict()
    assert len(verdict.findings) == SHOWN + 1
    assert verdict.found == SHOWN + 7
    assert {finding.kind for finding in verdict.findings} == {Kind.TAMPERED, Kind.GAP}
    assert verdict.code == 1


def test_records_from_before_there_were_hashes_are_counted_and_not_proved() -> None:
    old = [record._replace(hash=b"") for record in kept("old", ROWS)]
    new = kept("new", ROWS[:1] + ROWS[3:], 5)
    verdict = Ledger([*old, *new], {"new": None}).verdict()
    assert (verdict.code, verdict.unproved, verdict.records) == (0, 4, 6)


def test_a_hash_that_was_taken_off_is_no_way_out() -> None:
    one, two, *_ = kept("w", ROWS)
    bare = [one._replace(hash=b""), two._replace(hash=b"")]
    later = kept("v", ROWS[:1])
    for records, what in (
        ([one, bare[1]], "has no hash, and records before it have one"),
        ([*later, *bare], "has no hash, and records before it have one"),
        ([bare[0], two], "has a hash, and the records of its writer before it have none"),
        (
            [bare[0]._replace(note=SIGNER.checkpoint(Chain("w").extended([one.record])[0]))],
            "has no hash, and its check",
        ),
    ):
        verdict = Ledger(records, {"w": None, "v": None}).verdict()
        assert verdict.code == 1
        assert what in told(verdict)[0]


def test_an_intent_of_a_writer_that_is_gone_needs_an_end() -> None:
    records = kept("w", ROWS[:2])
    for unnamed, code, under_way in (({"w": None}, 0, 1), ({"w": end(records)}, 2, 1), (None, 0, 1)):
        verdict = Ledger(records, unnamed).verdict()
        assert (verdict.code, verdict.open_calls) == (code, under_way)
    named = kept("v", links([end(records)], NOW), 3)
    assert told(Ledger([*records, *named], {"v": None}).verdict()) == [
        "gap: record 2 of w (row 2) begins a call that has no end"
    ]
    assert Ledger([*records, *named]).verdict().code == 2


def test_a_call_begins_once_and_ends_once() -> None:
    twice = kept("w", [ROWS[1], ROWS[1]])
    assert told(Ledger(twice, {"w": None}).verdict())[0].endswith("begins a call that is under way")
    ended = kept("w", [ROWS[1], ROWS[2], ROWS[2]])
    assert told(Ledger(ended, {"w": None}).verdict())[0].endswith("did not begin, or ended before")


def test_a_writer_that_lost_its_database_for_a_while_may_write_on_and_is_named_again() -> None:
    whole = kept("w", ROWS)
    first = kept("v", [*links([end(whole[:2])], NOW), *links([end(whole)], NOW)], 5)
    order = [*whole[:2], first[0], *whole[2:], first[1]]
    assert Ledger(order, {"v": None}).verdict().code == 0
    assert told(Ledger(order[:-1], {"v": None}).verdict()) == [
        "tampered: record 4 of w is the last of a writer that nobody announced"
    ]


def test_what_names_no_head_is_tampered() -> None:
    record = ControlRecord(ControlEvent.WRITERS, NOW, {"heads": ["w"]}).row()
    assert "names what is no head" in told(Ledger(kept("w", [record]), {"w": None}).verdict())[0]


def test_checkpoints_of_another_place_or_key_or_of_nothing_are_found() -> None:
    records = kept("w", ROWS)
    chain, _ = Chain("w").extended(row.record for row in ROWS)
    right, short = SIGNER.checkpoint(chain), SIGNER.checkpoint(Chain("w").extended([ROWS[0].record])[0])
    for note, what in (
        (short, "has the checkpoint of another"),
        (Signer(bytes(range(32))).checkpoint(chain), "has a checkpoint that is not signed by"),
        (SIGNER.checkpoint(replace(chain, frontier=(bytes(32),))), "is not what its checkpoint signs"),
    ):
        signed = [*records[:3], records[3]._replace(note=note)]
        assert what in told(Ledger(signed, {"w": None}).verdict())[0]
    good = [*records[:3], records[3]._replace(note=right)]
    assert Ledger(good, {"w": None}).verdict().checkpoints == 1
    assert Ledger(good, {"w": None}).verdict(signed=False).code == 0
    assert told(Ledger(records[:2], {"w": None}, [right]).verdict()) == [
        "gap: record 4 of w is missing: a checkpoint covers it"
    ]
    assert "tampered: a checkpoint of what is not there" in told(Ledger(records, {"w": None}, ["x"]).verdict())[0]


def test_a_checkpoint_of_what_was_purged_is_held_against_what_is_said_of_it() -> None:
    chain, _ = Chain("w").extended(row.record for row in ROWS)
    shorter, _ = Chain("w").extended(row.record for row in ROWS[:2])
    right, forged = SIGNER.checkpoint(chain), SIGNER.checkpoint(replace(chain, frontier=(bytes(32),)))
    what = "tampered: record 4 of w is the last that was purged, and what was is not what its checkpoint signs"
    for note, found in ((right, False), (forged, True), (SIGNER.checkpoint(shorter), False)):
        verdict = Ledger([Removed({"w": chain})], {}, [note]).verdict()
        assert (what in told(verdict)) is found
        assert not any("is missing" in one for one in told(verdict))
        assert "tampered: what is said to be purged, no record names" in told(verdict)


def test_what_a_checkpoint_that_left_the_house_covers_is_there() -> None:
    records = kept("w", ROWS)
    chain, _ = Chain("w").extended(row.record for row in ROWS)
    compared = {"w": {4: chain.root}}
    assert verify(Ledger(records, {"w": None}), SIGNER.key, compared).findings == ()
    for there in (records[:2], []):
        findings = verify(Ledger(there, {"w": None}), SIGNER.key, compared).findings
        assert [(one.kind, one.writer, one.seq, one.place) for one in findings] == [(Kind.GAP, "w", 4, 0)]
        assert "a checkpoint that left the house covers it" in findings[0].what


def test_an_export_carries_the_hash_before() -> None:
    records = kept("w", ROWS)
    before = [bytes(32), *(record.hash for record in records)]
    carried = [record._replace(prev=prev, columns=None) for record, prev in zip(records, before, strict=False)]
    assert Ledger(carried).verdict().code == 0
    assert told(Ledger([carried[0], carried[3]]).verdict()) == [
        "gap: record 4 of w (row 4) comes after record 1: 2 missing before it"
    ]
    other, _ = Chain("w").extended([ROWS[3].record])
    _, (digest,) = other.extended([ROWS[3].record])
    spliced = carried[3]._replace(seq=2, hash=digest, prev=other.head)
    assert "carries another hash of the record before it" in told(Ledger([carried[0], spliced]).verdict())[0]


@pytest.mark.parametrize(
    "record", ["", "{", "[]", '{"b":1,"a":1}', '{"a": 1}', '{"a":1,"a":1}', '{"a":1e999}', "[" * 5000]
)
def test_what_is_not_canonical_json_is_no_record(record: str) -> None:
    assert read(record) is None
    assert "is not the canonical JSON" in told(Ledger([Kept(1, "w", 1, record, b"")], {}).verdict())[0]
