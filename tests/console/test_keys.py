"""What the keys' page says of a key."""

from mcpgov.console.keys import MOODS, Said, scope_text, when
from mcpgov.models import CallerScope, Secret
from tests.audit.calls import NOW


def test_a_scope_and_a_day_are_told_in_words() -> None:
    assert scope_text(CallerScope()) == "everything"
    assert scope_text(CallerScope(("city", "t*"), ("get_*",))) == "connections city, t*; tools get_*"
    assert (when(None), when(NOW)) == ("never", "20 Nov 2026")
    assert set(MOODS) == {"in force", "overlapping", "expired", "revoked"}


def test_a_new_key_is_in_no_log() -> None:
    assert "hunter2" not in repr(Said(made=Secret("hunter2")))
