"""What a record says of what is gone is read back, and what says no such thing is refused."""

import json

import pytest

from mcpgov.audit.chain import Chain
from mcpgov.audit.purge import Broken, Old, Removed, chain_of, chain_text, cut_of, folded, purged_in, removed_of
from mcpgov.audit.record import ControlEvent, ControlRecord
from tests.audit.calls import NOW

CHAIN, HASHES = Chain("w").extended(["{}"] * 5)
ROWS = [Old(seq, 1, "w", seq, None, 0, "denied", "{}", digest) for seq, digest in enumerate(HASHES, 1)]


def test_a_chain_is_read_back() -> None:
    old = Chain("old", 3, b"")
    assert [chain_of(chain_text(chain)) for chain in (CHAIN, old)] == [CHAIN, old]


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
    cut = cut_of(Removed({"w": CHAIN}), [Old(9, 1, "p", 1, None, 0, "control", row.record, digest)])
    assert (cut.named, cut.removed) == (["p", "w"], Removed({"w": CHAIN, "p": chain}))
    assert cut.removed.records == 6


def test_what_does_not_fit_is_not_removed() -> None:
    for rows in (ROWS[1:], [ROWS[0]._replace(record="[]")]):
        with pytest.raises(Broken, match="records of w"):
            cut_of(Removed(), rows)


def test_records_from_before_there_were_hashes_have_no_frontier() -> None:
    cut = cut_of(Removed(), [row._replace(hash=b"") for row in ROWS])
    assert cut.removed.chains["w"] == Chain("w", 5, b"")
