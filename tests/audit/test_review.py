"""The values of a review."""

from mcpgov.audit.review import KINDS, Bar, Kept
from tests.audit.calls import NOW


def test_a_bar_is_all_of_its_parts() -> None:
    assert Bar(NOW, dict(zip(KINDS, (1, 2, 3, 4), strict=True))).total == 10


def test_a_record_is_in_no_log() -> None:
    assert "hunter2" not in repr(Kept(1, "w", 1, "", {"x": "hunter2"}))


def test_the_parts_of_a_bar_are_called_as_the_page_colours_them() -> None:
    assert KINDS == ("ok", "trouble", "denied", "given-up")
