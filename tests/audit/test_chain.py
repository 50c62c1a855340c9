"""A chain is made of entries as docs/proof.md has them, and writers name each other's ends."""

import hashlib
import json

import pytest

from mcpgov.audit.chain import NOTHING, Chain, Head, entry, links, named_in
from mcpgov.audit.merkle import root_of
from mcpgov.audit.record import ControlEvent, ControlRecord, IntentRecord
from mcpgov.models import Json
from tests.audit.calls import NOW, facts

RECORDS = [IntentRecord(facts(str(number), tool="f\u00fchre \U0001f600 aus")).row().record for number in range(3)]


def test_an_entry_is_canonical_json_of_the_record_and_its_place() -> None:
    text = entry('"w"', 7, bytes(range(32)), RECORDS[0]).decode()
    fields = {"prev": bytes(range(32)).hex(), "record": json.loads(RECORDS[0]), "seq": 7, "writer": "w"}
    assert text == json.dumps(fields, ensure_ascii=False, separators=(",", ":"), sort_keys=True)


def test_each_hash_is_over_the_one_before() -> None:
    chain, hashes = Chain("w").extended(RECORDS)
    before = NOTHING
    for seq, (record, digest) in enumerate(zip(RECORDS, hashes, strict=True), 1):
        assert digest == hashlib.sha256(b"\0" + entry('"w"', seq, before, record)).digest()
        before = digest
    assert (chain.size, chain.head, chain.root) == (3, before, root_of(hashes))
    assert chain.end == Head("w", 3, before)


def test_a_chain_that_goes_on_is_one_chain() -> None:
    whole, hashes = Chain("w").extended(RECORDS)
    chain = Chain("w")
    for record, digest in zip(RECORDS, hashes, strict=True):
        chain, (made,) = chain.extended([record])
        assert made == digest
    assert chain == whole
    assert chain.extended([]) == (whole, [])


def test_chains_of_two_writers_differ_from_the_first_hash() -> None:
    assert Chain("v").extended(RECORDS)[1][0] != Chain("w").extended(RECORDS)[1][0]


def test_heads_are_named_64_a_record_and_read_again() -> None:
    heads = [Head(f"w{number}", number, bytes([number]) * 32) for number in range(1, 131)]
    rows = links(heads, NOW)
    found = [named_in(json.loads(row.record)) for row in rows]
    assert [len(part) for part in found] == [64, 64, 2]
    assert [one for part in found for one in part] == heads
    assert {row.reason for row in rows} == {"writers"}
    assert links([], NOW) == []


def test_other_records_name_nobody() -> None:
    assert named_in(json.loads(ControlRecord(ControlEvent.START, NOW, {"heads": ["w:1:00"]}).row().record)) == []


WRONG: tuple[Json, ...] = (None, 7, "w", "w:1", f"w:x:{'0' * 64}", f"w:\u0661:{'0' * 64}", "w:1:00", f"w:1:{'g' * 64}")


@pytest.mark.parametrize("value", WRONG)
def test_what_is_no_head_is_refused(value: Json) -> None:
    for heads in (value, [value]):
        with pytest.raises(ValueError, match="no head"):
            named_in({"mcpgov.control.event": "writers", "mcpgov.control.heads": heads})
