"""JSONTestSuite at the gate: n_ refused, y_ accepted as arguments but for two, i_ decided as docs/wire.md says."""

import re
import sys
from pathlib import Path
from typing import Final

import pytest

from mcpgov.decision import Reason
from mcpgov.errors import Refusal
from tests.endpoint.messages import post
from tests.hostile.corpus import ABSENT, TWICE, as_argument, files
from tests.hostile.wire import SAFE, STATELESS
from tests.test_strict_json import UNDECIDED

PAGE: Final = Path(__file__).parents[2] / "docs" / "wire.md"
STATELESS_HEADERS: Final = {"mcp-protocol-version": STATELESS, "mcp-method": "tools/call", "mcp-name": SAFE}
ROW: Final = re.compile(r"^\| `(i_[^`]+)` \| (read|refused: `([a-z-]+)`) \| \S", re.MULTILINE)


def verdict(text: bytes) -> str:
    """What the gate says of a call with this text as an argument: `read`, or its reason."""
    body, _ = as_argument(text)
    try:
        post(body, STATELESS_HEADERS)
    except Refusal as refusal:
        return refusal.reason
    return "read"


def test_every_file_of_the_suite_is_judged_as_an_argument_as_it_must_be(capsys: pytest.CaptureFixture[str]) -> None:
    verdicts = {file.stem: verdict(file.read_bytes()) for file in files()}
    if not verdicts:
        with capsys.disabled():
            sys.stdout.write(f"\nleft out: {ABSENT}\n")
        return
    assert [name for name, found in verdicts.items() if name.startswith("n_") and found == "read"] == []
    refused = {name for name, found in verdicts.items() if name.startswith("y_") and found != "read"}
    assert refused == TWICE
    assert {verdicts[name] for name in TWICE} == {Reason.DUPLICATE_KEY}
    # Which of two reasons it is can depend on what stands around a text; whether it is read cannot.
    undecided = {name: found == "read" for name, found in verdicts.items() if name.startswith("i_")}
    assert undecided == {name: found == "read" for name, found in written().items()}


def written() -> dict[str, str]:
    """The decisions that the page tells."""
    return {name: reason or "read" for name, _, reason in ROW.findall(PAGE.read_text("utf-8"))}


def test_the_page_decides_every_file_that_the_standard_leaves_open() -> None:
    assert written() == UNDECIDED
