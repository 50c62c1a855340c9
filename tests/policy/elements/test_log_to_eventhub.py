"""log-to-eventhub has a text sent, cut where API Management cuts, and no secret in it."""

from __future__ import annotations

import pytest

from mcpgov.decision import Effect, LogEvent, Reason
from mcpgov.errors import InvalidConfiguration
from mcpgov.policy.compiled import compile_policy
from mcpgov.policy.elements.log_to_eventhub import LONGEST
from tests.policy.calls import admitted, context, decision, document, problems
from tests.policy.elements.test_trace import ENCODED, Known

YAML = """\
inbound:
  - log-to-eventhub: { logger-id: audit, partition-key: "${{ principal.id }}", body: "by ${{ principal.name }}" }
"""
XML = """\
<inbound>
  <log-to-eventhub logger-id="audit" partition-key="@(context.Subscription.Id)">
    @("by " + context.Subscription.Name)
  </log-to-eventhub>
</inbound>
"""


def sent(text: str) -> list[LogEvent]:
    """What is sent for one request."""
    effects: list[Effect] = []

    def perform(effect: Effect) -> object:
        effects.append(effect)
        return admitted(effect)

    assert decision(text, context(), perform).allowed
    return [effect for effect in effects if isinstance(effect, LogEvent)]


@pytest.mark.parametrize("text", [YAML, XML], ids=["yaml", "xml"])
def test_a_text_is_sent_to_a_partition_by_its_key(text: str) -> None:
    assert sent(text) == [LogEvent("test#1 log-to-eventhub", "audit", "by first", "", "key:k1")]


def test_a_partition_may_be_named_by_its_number() -> None:
    (one,) = sent("inbound: [log-to-eventhub: { logger-id: audit, partition-id: '3', body: '' }]")
    assert (one.partition_id, one.partition_key, one.body) == ("3", "", "")


@pytest.mark.parametrize("letter", ["x", "ä", "€"])
def test_what_is_too_long_is_cut_at_a_whole_character(letter: str) -> None:
    (one,) = sent(f"inbound: [log-to-eventhub: {{ logger-id: audit, body: {letter * 300_000} }}]")
    assert LONGEST - 3 <= len(one.body.encode()) <= LONGEST
    assert set(one.body) == {letter}


def test_a_key_is_cut_where_event_hubs_would_refuse_it() -> None:
    (one,) = sent(f"inbound: [log-to-eventhub: {{ logger-id: audit, partition-key: {'k' * 200}, body: a }}]")
    assert one.partition_key == "k" * 128


def test_a_value_that_is_not_there_denies() -> None:
    text = "inbound: [log-to-eventhub: { logger-id: a, body: '${{ request.headers[\"nowhere\"] }}' }]"
    assert decision(text, context()).reason is Reason.POLICY_ERROR


@pytest.mark.parametrize(
    ("element", "expected"),
    [
        ("{ body: a }", "logger-id is missing"),
        ("{ logger-id: audit }", "body is missing"),
        ("{ logger-id: '${{ principal.name }}', body: a }", "logger-id is the name of a logger"),
        ("{ logger-id: audit, partition-id: first, body: a }", "partition-id is no number"),
        ("{ logger-id: audit, partition-id: '1', partition-key: k, body: a }", "there is a partition-id, too"),
    ],
)
def test_what_cannot_be_in_force_is_refused_at_load(element: str, expected: str) -> None:
    (found,) = problems(f"inbound: [log-to-eventhub: {element}]")
    assert expected in found


@pytest.mark.parametrize(
    "text",
    [
        "inbound: [log-to-eventhub: { logger-id: audit, body: 'x {{key}}' }]",
        "inbound: [log-to-eventhub: { logger-id: audit, body: x, partition-key: '{{key}}' }]",
        f'<inbound><log-to-eventhub logger-id="audit">{ENCODED}</log-to-eventhub></inbound>',
    ],
)
def test_a_secret_is_refused_at_load(text: str) -> None:
    with pytest.raises(InvalidConfiguration, match="a secret would be written down here") as caught:
        document(text, references=Known())
    assert "s3cret" not in str(caught.value)


def test_a_logger_that_the_settings_do_not_have_is_a_problem_of_the_files() -> None:
    in_force = compile_policy([], [], [document(YAML)], {})
    assert in_force.unknown_loggers(["audit"]) == ()
    (problem,) = in_force.unknown_loggers(["audits"])
    assert "log-to-eventhub names audit, which is none of the loggers" in str(problem)
    assert "audits" in problem.mend
    assert "add loggers:" in str(in_force.unknown_loggers([])[0])
