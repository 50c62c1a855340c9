"""The policies' pages."""

from mcpgov.console.policies import policies_page, policy_page
from tests.admin.house import SOME_POLICIES


def test_a_policy_says_where_it_is_in_force() -> None:
    page = str(policies_page(SOME_POLICIES))
    assert "every connection" in page
    assert "nowhere, left out on connection city" in page
    assert "There is no policy" in str(policies_page(()))
    assert "inbound: []" in str(policy_page(SOME_POLICIES[0]))
