"""The words of `pin` are those of the page."""

from mcpgov.models import Connection, LocalUpstream
from mcpgov.pinning.mode import PinMode


def test_a_connection_of_which_nothing_is_said_trusts_what_it_sees_first() -> None:
    assert Connection("a", "b", LocalUpstream(("c",))).pin is PinMode.TRUST_ON_FIRST_USE
    assert [*PinMode] == ["require", "trust-on-first-use", "off"]
