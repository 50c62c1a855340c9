"""Every reason has its answer, inside the bounds that JSON-RPC and MCP set for codes."""

import pytest

from mcpgov.decision import Reason
from mcpgov.errors import ANSWERS, UNKNOWN_CALLER, InvalidConfiguration, Problem, Refusal

SPECIFIED = {-32700, -32600, -32602, -32020, -32022, -32042}
ALLOWED_ON_A_STATELESS_400 = SPECIFIED - {-32042}


def test_every_reason_that_refuses_has_an_answer_and_no_other_has() -> None:
    assert set(Reason) - set(ANSWERS) == {Reason.ALLOWED, Reason.CLIENT_GONE}


@pytest.mark.parametrize("reason", ANSWERS)
def test_a_code_of_our_own_lies_outside_what_json_rpc_and_mcp_reserve(reason: Reason) -> None:
    for code in (ANSWERS[reason].code, ANSWERS[reason].stateless_code):
        assert code in SPECIFIED or not -32768 <= code <= -32000


@pytest.mark.parametrize("reason", ANSWERS)
def test_a_stateless_400_carries_one_of_the_specifications_own_errors(reason: Reason) -> None:
    if ANSWERS[reason].status == 400:
        assert ANSWERS[reason].stateless_code in ALLOWED_ON_A_STATELESS_400


def test_only_identity_answers_401() -> None:
    refused = {reason for reason, shape in ANSWERS.items() if shape.status == 401}
    assert {reason.split("-")[0] for reason in refused} == {"credential", "jwt"}
    assert refused == UNKNOWN_CALLER


def test_a_refusal_does_not_print_its_detail() -> None:
    refusal = Refusal(Reason.UPSTREAM_RESET, "The upstream broke off.", detail="http://10.0.0.1")
    assert "10.0.0.1" not in str(refusal)


def test_problems_read_as_a_compiler_writes_them() -> None:
    found = Problem("a.yaml", 3, 7, "no such key", "did you mean x?"), Problem("b.yaml", 0, 0, "is empty")
    assert str(InvalidConfiguration(found)) == "a.yaml:3:7: no such key (did you mean x?)\nb.yaml: is empty"
