"""An export holds what its store holds, and says where it is none. Forged ones: tests/contract/test_tampering.py."""

import io
import json
import zlib

import pytest

from mcpgov.audit.chain import Chain, Head
from mcpgov.audit.export import LONGEST, ExportEvidence, export_lines
from mcpgov.audit.purge import Removed, chain_text
from mcpgov.audit.verify import Finding, Kept, Kind, verify
from tests.audit.test_verify import ROWS, Ledger, end, kept

RECORDS = kept("w", ROWS)
NOTE = "text\n\n\N{EM DASH} signature\n"
OLD = [record._replace(hash=b"") for record in kept("old", ROWS[:1])]
LEDGER = Ledger([*OLD, *RECORDS[:3], RECORDS[3]._replace(note=NOTE)], {"v": None, "w": end(RECORDS)})
LINES = list(export_lines(LEDGER))
LAST = LINES[-1].encode()


def evidence(content: bytes) -> tuple[list[Kept | Finding | Removed], ExportEvidence]:
    """What an export holds."""
    found = ExportEvidence(io.BytesIO(content))
    return list(found.records()), found


def test_every_line_is_canonical_json_as_it_is_documented() -> None:
    fields = [json.loads(line) for line in LINES]
    for line, found in zip(LINES, fields, strict=True):
        assert f"{json.dumps(found, ensure_ascii=False, separators=(',', ':'), sort_keys=True)}\n" == line
    assert fields[0]["hash"] == fields[0]["entry"]["prev"] == ""
    assert [found["entry"]["prev"] for found in fields[1:4]] == ["0" * 64, fields[1]["hash"], fields[2]["hash"]]
    assert fields[4]["checkpoint"] == NOTE
    assert fields[5] == {"writers": {"v": "", "w": str(end(RECORDS))}}


def test_what_was_exported_is_read_again() -> None:
    records, found = evidence("".join(LINES).encode())
    assert [one.record for one in records if isinstance(one, Kept)] == [row.record for row in (ROWS[0], *ROWS)]
    assert [one.note for one in records if isinstance(one, Kept)] == [None] * 4 + [NOTE]
    assert found.writers() == {"v": None, "w": Head("w", 4, RECORDS[3].hash)}
    assert found.loose_notes() == ()


def test_a_store_that_does_not_say_who_lives_is_exported_all_the_same() -> None:
    assert list(export_lines(Ledger(RECORDS)))[-1] == '{"writers":{}}\n'


def test_what_is_wrong_with_a_store_is_not_exported() -> None:
    ledger = Ledger([Finding(Kind.TAMPERED, "", 0, 1, "is wrong")])
    assert list(export_lines(ledger)) == ['{"writers":{}}\n']


@pytest.mark.parametrize("kept_bytes", [0, 1, len(LINES[0].encode()), -1, -len(LAST)])
def test_an_export_that_was_cut_off_is_torn(kept_bytes: int) -> None:
    whole = "".join(LINES[:2]).encode() + LAST
    records, found = evidence(whole[:kept_bytes])
    assert [one.kind for one in records if isinstance(one, Finding)] == [Kind.TORN]
    assert found.writers() is None
    assert verify(ExportEvidence(io.BytesIO(whole[:kept_bytes])), None, {}).code == 3


GOOD = json.loads(LINES[1])


def changed(**changes: object) -> bytes:
    """The line of a record with something else in its entry."""
    fields = GOOD | {"entry": GOOD["entry"] | changes}
    return f"{json.dumps(fields, ensure_ascii=False, separators=(',', ':'), sort_keys=True)}\n".encode()


@pytest.mark.parametrize(
    "line",
    [
        b"\n",
        b"null\n",
        b"\xff\n",
        b"{}\n",
        b'{"entry":1,"hash":""}\n',
        b'{"entry":{},"hash":""}\n',
        LINES[1].encode().replace(b'{"entry"', b'{"checkpoint":7,"entry"'),
        changed(seq="1"),
        changed(seq=True),
        changed(writer=1),
        changed(prev=7),
        changed(prev="AB" * 32),
        changed(more=1),
        b'{"writers":[]}\n',
        b'{"writers":{"w":"w:1"}}\n',
        LINES[1].encode().replace(b",", b", ", 1),
    ],
)
def test_a_line_of_something_else_is_tampered(line: bytes) -> None:
    records, _ = evidence(LINES[1].encode() + line + LAST)
    assert [type(one) for one in records] == [Kept, Finding]
    assert [one.kind for one in records if isinstance(one, Finding)] == [Kind.TAMPERED]


def test_what_stands_after_the_last_line_is_tampered() -> None:
    records, _ = evidence(LAST + LINES[1].encode() + LAST)
    assert [one.kind for one in records if isinstance(one, Finding)] == [Kind.TAMPERED, Kind.TAMPERED]


def test_a_line_without_an_end_is_not_read_to_it() -> None:
    records, _ = evidence(b"x" * (LONGEST + 1) + b"\n" + LAST)
    assert [str(one) for one in records] == [
        "tampered: line 1 is longer than any record",
        "tampered: line 2 is not the line of a record",
    ]


class Broken(io.BytesIO):
    """A packed file that is broken after its first line."""

    def __init__(self, error: Exception) -> None:
        super().__init__(LINES[1].encode())
        self.error = error

    def readline(self, size: int | None = -1, /) -> bytes:
        line = super().readline(size)
        if not line:
            raise self.error
        return line


@pytest.mark.parametrize(
    ("error", "kind"), [(EOFError(), Kind.TORN), (zlib.error(), Kind.TAMPERED), (OSError(), Kind.TAMPERED)]
)
def test_a_packed_file_that_is_cut_off_is_torn_and_one_that_is_broken_tampered(error: Exception, kind: Kind) -> None:
    found = list(ExportEvidence(Broken(error)).records())
    assert [(one.kind, one.place, one.seq) for one in found if isinstance(one, Finding)] == [(kind, 2, 0)]


def test_what_was_purged_is_the_first_line() -> None:
    chain, _ = Chain("w").extended([ROWS[0].record])
    line = next(export_lines(Ledger([Removed({"w": chain}, frozenset({"c2", "c1"}))])))
    assert json.loads(line) == {"open": ["c1", "c2"], "purged": [chain_text(chain)]}
    assert evidence(line.encode() + LAST)[0] == [Removed({"w": chain}, frozenset({"c1", "c2"}))]
