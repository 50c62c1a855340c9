"""JSONTestSuite, when it is beside the checkout: every file as a whole body, and as an argument of a good call."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from tests.hostile.wire import SAFE, STATELESS, Case, Fate, call, message

CORPUS: Final = Path(
    os.environ.get("MCPGOV_CORPORA", Path(__file__).parents[3] / "shared" / "corpora"), "json/test_parsing"
)
ABSENT: Final = "JSONTestSuite, which is not at $MCPGOV_CORPORA/json/test_parsing"
TWICE: Final = frozenset(
    {"y_object_duplicated_key", "y_object_duplicated_key_and_value"}
)  # the two y_ that are refused
BEFORE, BEHIND = b'{"a": ', b"}"


def files() -> list[Path]:
    """Every file of the suite; none where it is not there."""
    return sorted(CORPUS.glob("*.json"))


def as_argument(text: bytes) -> tuple[bytes, bytes]:
    """A good call with this text as the value of an argument: the message, and its arguments."""
    arguments = BEFORE + text + BEHIND
    whole = message(SAFE, STATELESS, arguments={"city": "@"})
    return whole.replace(b'{"city": "@"}', arguments), arguments


def fate(name: str) -> Fate:
    """What must become of a file: n_ is refused, y_ accepted but for two, and i_ is as the page on the wire says."""
    if name.startswith("i_"):
        return Fate.EITHER
    return Fate.EXECUTED if name.startswith("y_") and name not in TWICE else Fate.REFUSED


def cases() -> Iterator[Case]:
    """Each file twice: as the whole body, which is never a message, and as an argument."""
    for file in files():
        text = file.read_bytes()
        body, arguments = as_argument(text)
        yield Case(f"{file.stem} as a body", call(text))
        yield Case(f"{file.stem} as an argument", call(body), fate(file.stem), body, arguments)
