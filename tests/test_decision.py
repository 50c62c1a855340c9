"""The vocabulary of why."""

import re

import pytest

from mcpgov.decision import Decision, Reason


@pytest.mark.parametrize("reason", Reason)
def test_a_reason_is_one_kebab_case_string_like_its_name(reason: Reason) -> None:
    assert re.fullmatch(r"[a-z]+(-[a-z]+)*", reason)
    assert reason.name.lower().replace("_", "-") == reason


@pytest.mark.parametrize("reason", Reason)
def test_only_allowed_lets_a_call_through(reason: Reason) -> None:
    assert Decision(reason).allowed == (reason == "allowed")
