"""What was seen and what was decided never undo each other."""

from dataclasses import replace

from mcpgov.catalog.pin_store import KnownServer, Seen
from mcpgov.catalog.pinning import Pin
from tests.audit.calls import NOW

ECHO = Pin("s", "echo", "sha256:1", "sha256:1")


def test_what_is_seen_leaves_what_was_decided() -> None:
    known = KnownServer("s", 3, pins={"echo": ECHO})
    after = known.after(Seen("s", NOW, {"echo": Pin("s", "echo", "sha256:2", "sha256:2", fault="x")}, to_end=True))
    assert after == KnownServer("s", 3, listed=True, pins={"echo": replace(ECHO, digest="sha256:2", fault="x")})
    assert after.after(Seen("s", NOW)).listed


def test_of_two_lists_the_later_counts() -> None:
    first = Seen("s", NOW, {"echo": ECHO}, {"sha256:1": "1"}, to_end=True)
    later = Seen("s", NOW, {"echo": replace(ECHO, digest="sha256:2")}, {"sha256:2": "2"})
    both = first.followed_by(later)
    assert (both.pins, both.to_end) == (later.pins, True)
    assert both.definitions == {"sha256:1": "1", "sha256:2": "2"}
