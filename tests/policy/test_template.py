"""Literal text stays as it is; what stands for something is put in, and secrets stay unseen."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from mcpgov.errors import ExpressionError, InvalidExpression
from mcpgov.models import Secret
from mcpgov.policy.draft import Draft
from mcpgov.policy.expression import NO_REFERENCES
from mcpgov.policy.template import compile_template
from tests.policy.calls import context

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Known:
    """References that know a few things."""

    values: Mapping[str, str | Secret] = field(default_factory=dict[str, str | Secret])

    def named(self, name: str) -> str | Secret | None:
        return self.values.get(name)

    def resolve(self, reference: str) -> Secret:
        if reference != "${env:TOKEN}":
            raise ValueError("names the environment variable OTHER, which is not set")
        return Secret("s3cr3t")


def asking() -> Draft:
    return Draft(context())


def test_template_joins_literals_and_expressions() -> None:
    def made(text: str) -> str:
        return compile_template(text, NO_REFERENCES).value(asking())

    assert made("") == ""
    assert made("plain }} ${x} $5 {{ a }} {{a b}} {{") == "plain }} ${x} $5 {{ a }} {{a b}} {{"
    assert made('{"a":{"b":{}}}') == '{"a":{"b":{}}}'
    assert made("a-${{ principal.id }}-${{mcp.tool.name}}") == "a-key:k1-get_issue"
    assert made("${{ 1 + 1 }}${{ true }}${{\n1.5\n}}") == "2true1.5"
    assert made("$${{ principal.id }} $${env:TOKEN}") == "${{ principal.id }} ${env:TOKEN}"
    with pytest.raises(ExpressionError):
        made("${{ request.headers['x'] }}")


def test_template_without_anything_in_it_is_literal() -> None:
    assert compile_template("eu $${x}", NO_REFERENCES).literal == "eu ${x}"
    assert compile_template("", NO_REFERENCES).parts == ()


def test_template_takes_named_values_and_references() -> None:
    known = Known({"region": "eu", "api.key-1_x": Secret("k3y"), "empty": "", "evil": "${{ 1 }}{{region}}"})
    template = compile_template("{{region}}{{empty}}-{{{api.key-1_x}}} ${env:TOKEN}{{evil}}", known)
    assert template.parts == ("eu", "-{", Secret("k3y"), "} ", Secret("s3cr3t"), "${{ 1 }}{{region}}")
    assert template.literal is None
    assert template.value(asking()) == "eu-{k3y} s3cr3t${{ 1 }}{{region}}"
    assert "k3y" not in repr(template)
    assert "s3cr3t" not in repr(template)


@pytest.mark.parametrize(
    ("template", "message", "mend"),
    [
        ("a ${{ principal.id", "${{ is not closed", "end it with }}"),
        ("a ${env:TOKEN", "${env: is not closed", "end it with }"),
        ("a ${{ principal.nobody }}", "not CEL at character 10: undeclared reference", "did you mean"),
        ("${{ }}", "not CEL", ""),
        ("${{ [1] }}", "the expression is LIST<INT>, and must be text", ""),
        ("a {{region}}", "there is no named value region", "add it to named_values in mcpgov.yaml"),
        ("a ${env:OTHER}", "names the environment variable OTHER, which is not set", ""),
        ("a ${evn:TOKEN}", "names the environment variable OTHER, which is not set", ""),
    ],
)
def test_template_that_cannot_be_compiled_is_refused(template: str, message: str, mend: str) -> None:
    with pytest.raises(InvalidExpression) as raised:
        compile_template(template, Known())
    assert raised.value.message.startswith(message)
    assert raised.value.mend.startswith(mend)


@pytest.mark.parametrize("text", ["@(context.Operation.Id)", "@{ return 1; }"])
def test_an_expression_of_api_management_is_no_text_here(text: str) -> None:
    with pytest.raises(InvalidExpression):
        compile_template(text, NO_REFERENCES)
