"""Requests that a policy document is tried on, whatever it says: it decides, and what was recorded decides the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mcpgov.decision import GetAuthorization, GetToken
from mcpgov.errors import Refusal
from mcpgov.models import Issued, Secret
from mcpgov.policy.compiled import compile_policy
from mcpgov.policy.evaluate import Evaluation
from tests.policy.calls import admitted, answer, context, performed

if TYPE_CHECKING:
    from mcpgov.decision import Effect
    from mcpgov.policy.document import PolicyDocument

ASKED = (
    context(headers={"x-region": "eu", "authorization": "Bearer s3cret"}, arguments={"owner": "contoso", "n": 7}),
    context(tool="delete_repository", address="203.0.113.9"),
    context("tools/list", headers=(("x", "1"), ("x", "2"))),
)


def decided(document: PolicyDocument) -> None:
    """Try a document. Raises AssertionError where a decision cannot be made again from its record."""
    in_force = compile_policy([], [], [document], {})
    for asked in ASKED:
        evaluation = Evaluation(in_force, asked)
        made = performed(evaluation.decide(), tried)
        again = performed(Evaluation(in_force, asked, given=made.answers).decide(), tried)
        assert (again.reason, again.rule, again.answers) == (made.reason, made.rule, made.answers), "not replayed"
        assert "s3cret" not in made.detail, "a credential is told"
        if made.allowed:
            answered(evaluation)
        else:
            performed(evaluation.refused(Refusal(made.reason, made.message, reply=made.reply)), tried)


def answered(evaluation: Evaluation) -> None:
    """Show a document an answer."""
    try:
        performed(evaluation.answered(answer({"jsonrpc": "2.0", "id": 1, "result": {}})), tried)
    except Refusal as refusal:
        performed(evaluation.refused(refusal), tried)


def tried(effect: Effect) -> object:
    """An effect, performed: there is room, and a token to be had."""
    if isinstance(effect, GetToken | GetAuthorization):
        return Issued(Secret("token"), "identity")
    return admitted(effect)
