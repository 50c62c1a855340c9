"""A proof proves one record to whoever has the key, and nothing else proves anything."""

import base64
import json
from dataclasses import replace

import pytest

from mcpgov.audit.chain import Chain, entry
from mcpgov.audit.merkle import inclusion_ranges, root_of
from mcpgov.audit.note import Signer
from mcpgov.audit.proof import Proof
from mcpgov.audit.record import IntentRecord
from tests.audit.calls import facts

SIGNER = Signer(bytes(32))
RECORDS = [IntentRecord(facts(str(number))).row().record for number in range(5)]
CHAIN, HASHES = Chain("w").extended(RECORDS)
INDEX = 2
PROOF = Proof(
    entry('"w"', INDEX + 1, HASHES[INDEX - 1], RECORDS[INDEX]).decode(),
    INDEX,
    5,
    tuple(root_of(HASHES[low:high]) for low, high in inclusion_ranges(INDEX, 5)),
    SIGNER.checkpoint(CHAIN),
)
BASE64 = base64.b64encode(PROOF.hashes[-1]).decode()


def test_a_proof_is_one_line_of_canonical_json_and_is_read_again() -> None:
    fields = json.loads(PROOF.line)
    assert json.dumps(fields, ensure_ascii=False, separators=(",", ":"), sort_keys=True) == PROOF.line
    assert sorted(fields) == ["entry", "hashes", "index", "note", "size"]
    assert Proof.parse(f"{PROOF.line}\n") == PROOF
    assert RECORDS[0] not in PROOF.line


def test_a_proof_says_whose_record_it_proves() -> None:
    assert PROOF.check(SIGNER.key) == "w:3"


@pytest.mark.parametrize(
    ("proof", "why"),
    [
        (replace(PROOF, entry=PROOF.entry.replace("alice", "mallory")), "does not lead to the root"),
        (replace(PROOF, index=3), "the place of another entry"),
        (replace(PROOF, size=4), "the checkpoint of another log"),
        (replace(PROOF, entry="[]"), "the checkpoint of another log"),
        (replace(PROOF, hashes=PROOF.hashes[1:]), "too short"),
        (replace(PROOF, hashes=PROOF.hashes[::-1]), "does not lead to the root"),
        (replace(PROOF, note=Signer(bytes(range(32))).checkpoint(CHAIN)), "is not signed by"),
        (replace(PROOF, note=SIGNER.checkpoint(replace(CHAIN, writer="v"))), "the checkpoint of another log"),
    ],
)
def test_what_was_changed_proves_nothing(proof: Proof, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        proof.check(SIGNER.key)


@pytest.mark.parametrize(
    "line",
    [
        "",
        "{}",
        PROOF.line.replace('"index":2', '"index":"2"'),
        PROOF.line.replace('"size":5', '"size":5.5'),
        PROOF.line.replace('"hashes":[', '"hashes":["?",'),
        PROOF.line.replace('"hashes":[', '"hashes":7,"x":['),
        PROOF.line.replace(f"{BASE64[-2:]}", f"{chr(ord(BASE64[-2]) + 1)}="),
    ],
)
def test_what_is_no_proof_is_refused(line: str) -> None:
    with pytest.raises(ValueError, match="is no proof"):
        Proof.parse(line)
