"""docs/reasons.md says of each reason exactly what errors.ANSWERS answers it with."""

import re
from pathlib import Path

from mcpgov.decision import Reason
from mcpgov.errors import ANSWERS

PAGE = Path(__file__).parents[2] / "docs" / "reasons.md"


def test_the_page_has_each_reason_once_in_order_with_its_codes() -> None:
    rows = [re.split(r"\s*\|\s*", line.strip("| \n")) for line in PAGE.read_text("utf-8").splitlines() if "| `" in line]
    told = [(row[0].strip("`"), row[2] if len(row) > 2 else "", row[3] if len(row) > 3 else "") for row in rows]
    assert told == [(reason.value, *codes(reason)) for reason in Reason]


def codes(reason: Reason) -> tuple[str, str]:
    """HTTP status and JSON-RPC codes as the page writes them."""
    answer = ANSWERS.get(reason)
    if answer is None:
        return "", ""
    return str(answer.status), ", ".join(str(code) for code in dict.fromkeys((answer.code, answer.stateless_code)))
