"""The verifier of exports: no export that was changed is accepted, and nothing that is no export stops it."""

from __future__ import annotations

import io
import json

from mcpgov.audit.export import ExportEvidence
from mcpgov.audit.note import unopened
from mcpgov.audit.verify import verify
from tests.fuzz.ledgers import SIGNER, clean
from tests.fuzz.target import Target

CLEAN, ROOTS = clean()


def told(export: bytes) -> list[tuple[object, str]]:
    """Each record of an export, and the text that its checkpoint signs: others may add their signatures to it."""
    lines = [json.loads(line) for line in export.splitlines()[:-1]]
    found = [({**line, "checkpoint": ""}, unopened(line.get("checkpoint", ""))) for line in lines]
    return sorted(found, key=repr)  # how two writers' records interleave is nobody's word before one names the other


RECORDS = told(CLEAN)
WORDS = (
    *(
        '{"checkpoint":"',
        '"entry":{"prev":"',
        '"record":{',
        '"seq":',
        '"writer":"',
        '"hash":"',
        '{"writers":{',
        '"a-1"',
    ),
    *(
        '{"open":[],"purged":[]}',
        '"b-2"',
        "\\u0061",
        "\n",
        "\r\n",
        "mcpgov.control.heads",
        "event",
        "outcome",
        "intent",
    ),
    *("mcpgov.control.event", "purge", "call_id", "0" * 64, "1e0", "1.0", "-1", "null"),
)


def judge(data: bytes) -> None:
    """One export, held against the checkpoints that left the house, and without them."""
    for key, roots in ((SIGNER.key, ROOTS), (None, {})):
        verdict = verify(ExportEvidence(io.BytesIO(data)), key, roots)
        assert (verdict.code == 0) == (not verdict.findings)
        assert all(str(finding) for finding in verdict.findings)
        if roots and verdict.code == 0:
            # The last line is no record: it says which writers live, and a writer that lives is no loss.
            same = zip(told(data), RECORDS, strict=True)
            assert all(one == other and text in {signed, unopened("")} for (one, text), (other, signed) in same), (
                "forged"
            )
    assert data != CLEAN or verify(ExportEvidence(io.BytesIO(data)), SIGNER.key, ROOTS).code == 0, "a false alarm"


TARGET = Target(judge, WORDS, 8192)
