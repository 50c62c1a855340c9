"""Checkpoints, keys and heads as text: each has one spelling, and what another signed is not believed."""

from __future__ import annotations

import contextlib
import json

from mcpgov.audit.chain import head
from mcpgov.audit.note import Checkpoint, VerifierKey, opened, unopened
from mcpgov.audit.purge import removed_of
from tests.fuzz.ledgers import SIGNER, clean
from tests.fuzz.target import Target

TEXTS = {
    unopened(fields["checkpoint"]) for line in clean()[0].splitlines() if "checkpoint" in (fields := json.loads(line))
}
WORDS = (str(SIGNER.key), SIGNER.key.name, "\n\n", "\u2014 ", "+", ":1:", "0" * 64, "==", "a-1", "\n", ",", "\u0661")


def judge(data: bytes) -> None:
    """One text."""
    text = data.decode("utf-8", "replace")
    try:
        key = VerifierKey.parse(text)
        assert str(key) == text.strip(), "a key has two spellings"
    except ValueError:
        pass
    with contextlib.suppress(ValueError):
        assert str(head(text)) == text, "a head has two spellings"
    try:
        checkpoint = opened(text, SIGNER.key)
        assert Checkpoint.parse(SIGNER.key.opened(text)) == checkpoint
        assert unopened(text) in TEXTS, "a forged checkpoint is believed"
    except ValueError:
        pass
    with contextlib.suppress(ValueError):
        removed_of([text], [text])


TARGET = Target(judge, WORDS, 1024)
