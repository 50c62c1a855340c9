"""What the admin plane is given prints nothing that it should not."""

from tests.admin.house import SOME_POLICIES


def test_the_text_of_a_policy_is_in_no_log() -> None:
    assert "inbound" not in repr(SOME_POLICIES[0])
