"""What the limits have in common is tested through the elements; here is what no single one of them shows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mcpgov.decision import Charge, Hold, Spend
from mcpgov.policy.evaluate import Evaluation
from tests.policy.calls import admitted, answer, context, decision, document, performed, policy

if TYPE_CHECKING:
    from mcpgov.decision import Effect
    from mcpgov.models import Secret

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

    assert decision(policy(text, references=Named()), context(), perform).allowed
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
        ('"response.status" == ""', 0),
        ("((response)).status == 200", 1),
    ],
)
def test_only_a_condition_that_reads_the_response_waits_for_it(condition: str, waits: int) -> None:
    text = f"inbound: [rate-limit-by-key: {{ calls: 1, renewal-period: 1, increment-condition: '{condition}' }}]"
    assert len(keys(text)) == waits


@pytest.mark.parametrize(
    "condition",
    [
        *("context.Response.StatusCode == 200", "context.Response?.StatusCode == 200"),
        *("context . Response.StatusCode == 1", "context/**/.Response?.StatusCode == 200"),
        *("((context).Response.StatusCode == 200)", "context.{{member}}.StatusCode == 200"),
    ],
)
def test_the_same_holds_for_expressions_in_xml(condition: str) -> None:
    element = f'<rate-limit-by-key calls="1" renewal-period="1" increment-condition="@({condition})" />'
    assert len(keys(f"<inbound>{element}</inbound>")) == 1
    other = element.replace(condition, "context.Api.Name == &quot;x&quot;")
    assert keys(f"<inbound>{other}</inbound>") == []


class Named:
    """References that know one named value, which is a word of the language."""

    def named(self, name: str) -> str | Secret | None:
        """The member that it stands for."""
        return "Response" if name == "member" else None

    def resolve(self, reference: str) -> Secret:
        """There are none."""
        raise ValueError(reference)


@pytest.mark.parametrize(
    ("key", "is_told"),
    [
        ("principal.id", False),
        ('principal.project + "/" + source.address + connection.name + mcp.tool.name', False),
        ('request.headers["x-user"]', True),
        ('principal.id + "/" + string(mcp.tool.arguments.user)', True),
        ('string(variables["user"])', True),
    ],
)
@pytest.mark.parametrize("name", ["rate-limit-by-key", "quota-by-key"])
def test_a_key_that_the_caller_chooses_is_remarked_on(name: str, key: str, *, is_told: bool) -> None:
    text = f"inbound: [{name}: {{ calls: 1, renewal-period: 300, counter-key: '{key}' }}]"
    remarks = [remark.message for remark in document(text).remarks]
    assert [one.startswith("the caller chooses this key") for one in remarks] == [True] * is_told


@pytest.mark.parametrize(
    ("key", "is_told"),
    [
        ("@(context.Subscription.Id)", False),
        ("@(context.Request.Headers.GetValueOrDefault(&quot;x-user&quot;, &quot;&quot;))", True),
        ("{{member}}", False),
    ],
)
def test_the_same_is_said_of_keys_in_xml(key: str, *, is_told: bool) -> None:
    element = f'<quota-by-key calls="1" renewal-period="300" counter-key="{key}" />'
    remarks = document(f"<inbound><base />{element}</inbound>", references=Named()).remarks
    assert any(one.message.startswith("the caller chooses this key") for one in remarks) is is_told


def test_what_a_document_in_report_mode_spends_is_marked_as_apart() -> None:
    spends: list[Spend] = []
    charged: list[Spend] = []

    def perform(effect: Effect) -> object:
        spends.extend([effect] if isinstance(effect, Spend) else [])
        charged.extend([effect.spend] if isinstance(effect, Charge) else [])
        return admitted(effect)

    limits = "rate-limit: { calls: 9, renewal-period: 9 }, quota: { calls: 9, bandwidth: 9, renewal-period: 300 }"
    waiting = "quota-by-key: { bandwidth: 8, renewal-period: 300, increment-condition: 'response.status == 200' }"
    for mode, apart in (("enforce", False), ("report", True)):
        spends.clear()
        charged.clear()
        evaluation = Evaluation(policy(f"mode: {mode}\ninbound: [{limits}, {waiting}]"), context())
        assert performed(evaluation.decide(), perform).allowed
        performed(evaluation.answered(answer({})), perform)
        assert [spend.apart for spend in spends] == [apart] * 4
        assert {spend.apart for spend in charged} == {apart}
