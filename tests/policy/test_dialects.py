"""Each syntax reads its own expressions, and text that is none stays as it is."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from mcpgov.errors import InvalidExpression
from mcpgov.models import Secret
from mcpgov.policy.dialects import Xml, Yaml
from mcpgov.policy.draft import Draft
from tests.policy.calls import context, decision, policy

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class Names:
    values: Mapping[str, str | Secret] = field(default_factory=lambda: {"team": "blue", "token": Secret("hunter2")})

    def named(self, name: str) -> str | Secret | None:
        return self.values.get(name)

    def resolve(self, reference: str) -> Secret:
        return Secret(reference)


YAML, XML = Yaml(Names()), Xml(Names())


def draft() -> Draft:
    return Draft(context())


def test_yaml_reads_cel() -> None:
    assert YAML.condition("mcp.tool.name == 'get_issue'").truth(draft())
    assert YAML.key("principal.id").value(draft()) == "key:k1"
    assert YAML.template("a ${{ principal.id }} {{team}}").value(draft()) == "a key:k1 blue"
    assert YAML.typed("${{ 1 + 1 }}").value(draft()) == 2
    assert YAML.typed("a ${{ principal.id }}").value(draft()) == "a key:k1"
    number = YAML.number("${{ 1 + 1 }}")
    assert number is not None
    assert number.value(draft()) == 2
    assert YAML.number("12") is None
    assert YAML.remarks("anything") == ()


def test_xml_reads_the_expressions_of_api_management() -> None:
    assert XML.condition('@(context.Operation.Id == "get_issue")').truth(draft())
    assert XML.condition(" True ").truth(draft())
    assert XML.key("@(context.Subscription.Id)").value(draft()) == "key:k1"
    assert XML.key("literal").value(draft()) == "literal"
    assert XML.template('@("a " + context.Subscription.Id)').value(draft()) == "a key:k1"
    assert XML.typed("@(1 + 1)").value(draft()) == 2
    assert XML.typed("text").value(draft()) == "text"
    number = XML.number("@(1 + 1)")
    assert number is not None
    assert number.value(draft()) == 2
    assert XML.number("12") is None
    assert XML.remarks("literal") == ()
    assert XML.remarks("a @(1)") == ("@( stands inside text, where it is no expression",)
    assert len(XML.remarks("@('ab' == 'c')")) > 0


def test_named_values_stand_in_literal_text_and_secrets_stay_secret() -> None:
    template = XML.template("Bearer {{token}} of {{team}}")
    assert template.value(draft()) == "Bearer hunter2 of blue"
    assert "hunter2" not in repr(template)
    assert template.literal is None
    assert XML.template("{{team}}").literal == "blue"
    with pytest.raises(InvalidExpression, match="there is no named value nobody"):
        XML.template("{{nobody}}")


@pytest.mark.parametrize("text", ["perhaps", '@("text")', "@(1)"])
def test_condition_that_is_neither_true_nor_false_is_refused(text: str) -> None:
    with pytest.raises(InvalidExpression):
        XML.condition(text)


@pytest.mark.parametrize("dialect", [YAML, XML], ids=["yaml", "xml"])
def test_named_value_may_be_a_plain_value_unless_it_is_secret(dialect: Yaml | Xml) -> None:
    assert dialect.literal("a {{team}}") == "a blue"
    for text, message in (
        ("{{nobody}}", "there is no named value nobody"),
        ("{{token}}", "a secret cannot stand here"),
    ):
        with pytest.raises(InvalidExpression, match=message):
            dialect.literal(text)


@pytest.mark.parametrize(
    "text",
    [
        "inbound: [rate-limit-by-key: { calls: '{{calls}}', renewal-period: 60 }]",
        "<inbound><rate-limit-by-key calls='{{calls}}' renewal-period='60'/></inbound>",
    ],
)
def test_named_value_may_stand_for_a_number(text: str) -> None:
    policy_ = policy(text, references=Names({"calls": "7"}))
    assert decision(policy_, context()).limits[0].limit == 7


@pytest.mark.parametrize("text", ["a ${{ principal.id }}", "${env:TOKEN}"])
def test_what_only_yaml_reads_is_refused_in_xml(text: str) -> None:
    with pytest.raises(InvalidExpression, match="is not read here") as refused:
        XML.template(text)
    assert refused.value.offset == text.index("$")
