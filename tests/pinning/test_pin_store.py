"""What was seen and what was decided never undo each other."""

from dataclasses import replace

from mcpgov.pinning.judgement import Pin
from mcpgov.pinning.pin_store import FIRST_SIGHT, KnownServer, Seen
from tests.audit.calls import NOW

ECHO = Pin("s", "echo", "sha256:1", "sha256:1")


def test_what_is_seen_leaves_what_was_decided() -> None:
    known = KnownServer("s", 3, pins={"echo": ECHO})
    after = known.after(Seen("s", NOW, {"echo": Pin("s", "echo", "sha256:2", "sha256:2", fault="x")}, to_end=True))
    pins = {"echo": replace(ECHO, digest="sha256:2", fault="x")}
    assert after == KnownServer("s", 3, listed=True, pins=pins, since=NOW)
    assert after.after(Seen("s", NOW)).listed


def test_of_two_lists_the_later_says_what_is_listed_and_the_earlier_what_was_approved() -> None:
    new = Pin("s", "new", "sha256:3")
    first = Seen("s", NOW, {"echo": ECHO}, {"sha256:1": "1"}, to_end=True)
    later = Seen("s", NOW, {"echo": Pin("s", "echo", "sha256:2", "sha256:2"), "new": new}, {"sha256:2": "2"})
    both = first.followed_by(later)
    assert (both.pins, both.to_end) == ({"echo": replace(ECHO, digest="sha256:2"), "new": new}, True)
    assert both.definitions == {"sha256:1": "1", "sha256:2": "2"}


def test_first_sight_ends_with_the_first_whole_list_or_in_an_hour() -> None:
    later = NOW + FIRST_SIGHT
    assert KnownServer("s").is_first_sight(NOW)
    begun = KnownServer("s").after(Seen("s", NOW))
    assert (begun.is_first_sight(NOW), begun.is_first_sight(later), begun.after(Seen("s", later)).since) == (
        *(True, False),
        NOW,
    )
    assert not begun.after(Seen("s", NOW, to_end=True)).is_first_sight(NOW)


def test_what_is_kept_is_counted_in_characters() -> None:
    known = KnownServer("s", kept=3).after(Seen("s", NOW, {"echo": ECHO}, {"sha256:1": "äöü", "sha256:2": "2"}))
    assert known.kept == 7
