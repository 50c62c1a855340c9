"""A draft shows what the elements before have done, and notes what was asked, so that it can be answered again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from mcpgov.decision import HeaderEdit, QueryEdit, Reply
from mcpgov.errors import ExpressionError
from mcpgov.policy.draft import CREDENTIAL_HEADERS, KEY_PREFIX, MAX_ANSWERS, Answers, Draft, Seen
from tests.policy.calls import context


def refused() -> bool:
    raise ExpressionError("no value")


def letters(answers: Answers) -> str:
    return "".join(answers.letters)


def asked(answers: Answers) -> list[object]:
    """What becomes of a few questions."""
    questions: list[Callable[[], object]] = [
        lambda: answers.ask("a#1", "yes", lambda: True),
        lambda: answers.ask("a#1", "no", lambda: False),
        lambda: answers.ask("a#2", "neither", refused),
        lambda: answers.value("a#3", "text", lambda: "text", ""),
        lambda: answers.value("a#3", "none", refused, True),
    ]
    found: list[object] = []
    for question in questions:
        try:
            found.append(question())
        except ExpressionError:
            found.append(None)
    return found


def test_every_question_is_noted_with_its_answer() -> None:
    answers = Answers(seen=[])
    assert asked(answers) == [True, False, None, "text", None]
    assert letters(answers) == "tfeve"
    assert answers.seen == [
        Seen("a#1", "yes", "true"),
        Seen("a#1", "no", "false"),
        Seen("a#2", "neither", "no value"),
        Seen("a#3", "text", "'text'"),
        Seen("a#3", "none", "no value"),
    ]


def test_recorded_answers_are_given_again_and_note_themselves() -> None:
    again = Answers("tfeve", seen=[])
    assert asked(again) == [True, False, None, "text", None]
    assert letters(again) == "tfeve"
    assert [seen.answer for seen in again.seen or []] == [
        "true",
        "false",
        "no usable value",
        "'text'",
        "no usable value",
    ]


def test_recorded_answer_counts_whatever_the_request_would_say_now() -> None:
    assert asked(Answers("fttev")) == [False, True, True, None, True]


@pytest.mark.parametrize("given", ["", "v", "x"])
def test_record_without_a_usable_answer_is_an_error(given: str) -> None:
    with pytest.raises(ExpressionError, match="no usable value"):
        Answers(given).ask("a#1", "yes", lambda: True)


def test_nothing_is_collected_unless_it_is_to_be_explained() -> None:
    answers = Answers()
    assert asked(answers) == [True, False, None, "text", None]
    assert answers.seen is None


def test_answers_of_one_request_are_bounded() -> None:
    answers = Answers()
    for _ in range(MAX_ANSWERS + 10):
        assert answers.ask("a#1", "yes", lambda: True)
    assert letters(answers) == "t" * MAX_ANSWERS
    again = Answers(letters(answers))
    for _ in range(MAX_ANSWERS):
        assert again.ask("a#1", "yes", lambda: True)
    with pytest.raises(ExpressionError):
        again.ask("a#1", "yes", lambda: True)


def test_repeated_header_is_one_list() -> None:
    draft = Draft(context(headers=(("x-a", "1"), ("x-b", "2"), ("x-a", "3"))))
    assert draft.request_headers == {"x-a": "1, 3", "x-b": "2"}


@pytest.mark.parametrize("name", sorted(CREDENTIAL_HEADERS))
def test_header_with_the_callers_credential_is_not_visible(name: str) -> None:
    assert Draft(context(headers={name: "s3cr3t"})).request_headers == {}


def test_header_that_holds_a_gateway_key_is_not_visible_whatever_its_name() -> None:
    draft = Draft(context(headers=(("x-team-key", f"{KEY_PREFIX}abc"), ("x-team-key", "blue"), ("x", "mcpgov"))))
    assert draft.request_headers == {"x-team-key": "blue", "x": "mcpgov"}


def test_headers_are_seen_as_the_elements_before_have_left_them() -> None:
    draft = Draft(context(headers={"x-a": "1", "x-b": "2", "x-c": "3"}))
    before = draft.request_headers
    assert draft.request_headers is before
    draft.edit_request(HeaderEdit("x-a", "delete"))
    draft.edit_request(HeaderEdit("x-b", "append", ("4", "5")))
    draft.edit_request(HeaderEdit("x-c", "skip", ("6",)))
    draft.edit_request(HeaderEdit("x-d", "override", ("7",)))
    assert draft.request_headers == {"x-b": "2, 4, 5", "x-c": "3", "x-d": "7"}
    assert before == {"x-a": "1", "x-b": "2", "x-c": "3"}


def test_changes_are_all_that_elements_said_of_the_request_that_goes_upstream() -> None:
    header, query = HeaderEdit("x-a", "delete"), QueryEdit("q", "skip", ("1",))
    draft = Draft(context(), backend="https://europe-api.contoso.com", path="/x", own_query=False, timeout=3.5)
    draft.edit_request(header)
    draft.query_edits.append(query)
    draft.forwarded.append("x-b")
    draft.fail_on_error = True
    changes = draft.changes
    assert (changes.headers, changes.query, changes.forwarded) == ((header,), (query,), ("x-b",))
    assert (changes.backend, changes.path, changes.own_query) == ("https://europe-api.contoso.com", "/x", False)
    assert (changes.timeout, changes.fail_on_error, changes.retry) == (3.5, True, None)


def test_reply_is_only_made_where_something_was_said_of_it() -> None:
    edit = HeaderEdit("x-a", "delete")
    assert Draft(context()).reply is None
    assert Draft(context(), reply_edits=[edit]).reply == Reply(None, (edit,), None)
    assert Draft(context(), reply_status=403).reply == Reply(403, (), None)
    assert Draft(context(), reply_body=b"").reply == Reply(None, (), b"")


def test_secret_value_is_kept_for_explanations_to_leave_out() -> None:
    answers = Answers(seen=[])
    assert answers.value("r", "q", lambda: "Basic c2VjcmV0", "", secret=True) == "Basic c2VjcmV0"
    assert answers.secrets == ["Basic c2VjcmV0"]
    assert [one.answer for one in answers.seen or []] == ["***"]
    assert "c2VjcmV0" not in repr(answers)


def test_what_came_of_an_effect_is_what_came_of_it_then() -> None:
    live = Answers()
    assert [live.outcome(came=came) for came in (True, False)] == [True, False]
    again = Answers("".join(live.letters))
    assert [again.outcome(came=True), again.outcome(came=True), again.outcome(came=True)] == [True, False, False]


def test_more_answers_than_a_record_keeps_are_no_answers() -> None:
    draft = Draft(context())
    for _ in range(MAX_ANSWERS + 1):
        draft.answers.outcome(came=True)
    assert len(draft.answers.letters) == MAX_ANSWERS
    assert draft.answered == "-"


def test_a_field_in_which_a_credential_may_come_is_not_read_by_expressions() -> None:
    asked = context(headers=(("x-team-key", "opaque"), ("x_team_key", "opaque"), ("x-tenant", "blue")))
    draft = Draft(replace(asked, withheld=frozenset({"x-team-key"})))
    assert draft.request_headers == {"x-tenant": "blue"}
    assert draft.header_values("x-team-key") == ["opaque"]
    draft.edit_request(HeaderEdit("x-team-key", "override", ("ours",)))
    assert draft.request_headers["x-team-key"] == "ours"
