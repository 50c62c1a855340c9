"""The question in the URL of the review."""

from mcpgov.console.review import Query, mood_of


def test_a_question_without_a_time_is_about_the_last_day() -> None:
    assert Query({}).since == "24h"
    assert Query({"until": "2026-11-20"}).since == ""
    assert Query({"since": "7d", "tool": " x "}).to(tool="y") == "/console?since=7d&tool=y"
    assert Query({"cursor": "c", "nonsense": "n"}).to() == "/console?since=24h"


def test_how_a_call_ended_has_one_of_four_colours() -> None:
    assert [mood_of(status) for status in ("ok", "denied", "open", "failed")] == ["ok", "denied", "given-up", "trouble"]
