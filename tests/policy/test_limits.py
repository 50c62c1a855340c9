"""What the limits have in common is tested through the elements; here is what no single one of them shows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mcpgov.decision import Hold, Spend
from tests.policy.calls import admitted, context, decision

if TYPE_CHECKING:
    from mcpgov.decision import Effect

EVERY = """\
inbound:
  - rate-limit: { calls: 300, renewal-period: 300 }
  - rate-limit-by-key: { calls: 300, renewal-period: 300 }
  - quota: { calls: 300, renewal-period: 300 }
  - quota-by-key: { calls: 300, renewal-period: 300 }
  - limit-concurrency: { max-count: 300 }
"""


def keys(text: str) -> list[str]:
    """The counters that one call is counted in."""
    found: list[str] = []

    def perform(effect: Effect) -> object:
        found.extend([effect.key] if isinstance(effect, Spend | Hold) else [])
        return admitted(effect)

    assert decision(text, context(), perform).allowed
    return found


def test_elements_never_share_a_counter() -> None:
    assert len(set(keys(EVERY))) == 5


@pytest.mark.parametrize(
    ("condition", "waits"),
    [
        ("response.status == 200", 1),
        ('response.headers["x-cost"] == "0"', 1),
        ('mcp.tool.name == "get_response"', 0),
        ('request.headers["x-response"] == ""', 0),
    ],
)
def test_only_a_condition_that_reads_the_response_waits_for_it(condition: str, waits: int) -> None:
    text = f"inbound: [rate-limit-by-key: {{ calls: 1, renewal-period: 1, increment-condition: '{condition}' }}]"
    assert len(keys(text)) == waits


@pytest.mark.parametrize(
    "condition",
    ["context.Response.StatusCode == 200", "context.Response?.StatusCode == 200", "context . Response.StatusCode == 1"],
)
def test_the_same_holds_for_expressions_in_xml(condition: str) -> None:
    element = f'<rate-limit-by-key calls="1" renewal-period="1" increment-condition="@({condition})" />'
    assert len(keys(f"<inbound>{element}</inbound>")) == 1
    other = element.replace(condition, "context.Api.Name == &quot;x&quot;")
    assert keys(f"<inbound>{other}</inbound>") == []
