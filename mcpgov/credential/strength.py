"""Which secrets are too weak, or too well known, to be one: a check for every place where one of ours is configured.

Rules: what a person would type, copy from an example or leave in place is refused when files are loaded; what a
generator made is never refused. No message quotes the secret. Pure.
"""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Final

from mcpgov.credential.references import Unfit

SHORTEST: Final = 16  # characters of a secret that another issued; 95 ** 16 is more than 2 ** 105
MATERIAL: Final = 32  # bytes of a key of our own
_DISTINCT_BYTES: Final = 20  # 32 random bytes hold about 30 different ones; a repeated or typed pattern holds few
_STEPS: Final = 4  # neighbours in a random text differ in many ways; those of abcd, 1111 or 123123 in few
# Words long enough that no random text holds one by accident.
_PLACEHOLDERS: Final = re.compile(
    r"change.?me|replace.?me|placeholder|example|password|insecure|default|secret.?here|client.?secret"
    r"|your.?(?:api.?)?(?:key|token|secret|client|app)|<[a-z][a-z0-9 _-]{6,}>|x{8}|\*{6}"
)
# What a header is filled with until somebody has the key: narrower, because not every header holds a secret.
_UNFILLED: Final = re.compile(
    r"change.?me|replace.?me|your[-_ ](?:api[-_ ]?)?(?:key|token|secret|pat)\b|<[a-z][a-z0-9 _-]*>"
)


def check_issued(text: str) -> None:
    """Raise Unfit unless `text` may be a secret that an authorization server issued."""
    mend = "use the secret as it was issued"
    if len(text) < SHORTEST:
        raise Unfit(f"is shorter than {SHORTEST} characters", mend)
    if not text.isascii() or not text.isprintable():
        raise Unfit("is not one line of plain ASCII", mend)
    if _PLACEHOLDERS.search(text.lower()) or _is_pattern(text):
        raise Unfit("is a placeholder or a pattern, not a secret", mend)


def check_material(text: str, material: bytes) -> None:
    """Raise Unfit unless `material`, written as `text`, may be 32 random bytes or more."""
    mend = "make one with: openssl rand -base64 32"
    if len(material) < MATERIAL:
        raise Unfit(f"is shorter than {MATERIAL} bytes", mend)
    known = any(_PLACEHOLDERS.search(said.lower()) for said in (text, material.decode("latin-1")))
    if known or len(set(material)) < _DISTINCT_BYTES:
        raise Unfit("is a placeholder or a pattern, not a secret", mend)


def check_filled(text: str) -> None:
    """Raise Unfit for the value of a header that still waits for its key."""
    if _UNFILLED.search(text.lower()):
        raise Unfit("is a placeholder", "write the value, or where it comes from: ${env:NAME}")


def _is_pattern(text: str) -> bool:
    """Whether a text goes on as it began: by the same few steps, or from its start again."""
    steps = {ord(one) - ord(other) for one, other in pairwise(text)}
    again = (text[period:] == text[:-period] for period in range(1, len(text) * 2 // 3 + 1))
    return len(steps) < _STEPS or any(again)
