"""No secret that a policy drew in is shown, however it was written."""

import json
from urllib.parse import quote

import pytest

from mcpgov.cli.hiding import Hiding
from mcpgov.models import Secret


def hiding(*secrets: str) -> Hiding:
    return Hiding.of(map(Secret, secrets))


def test_a_secret_is_replaced_wherever_it_stands() -> None:
    assert hiding("s3cret").text("Bearer s3cret, s3cret!") == "Bearer ***, ***!"
    assert hiding("s3cret").value("x-s3cret") == "x-***"


SECRET = 'it\'s a "quoted" \\ one\nwith / é'


@pytest.mark.parametrize("written", [repr(SECRET), repr(SECRET.replace('"', "")), json.dumps(SECRET)])
def test_a_secret_is_found_between_quotes(written: str) -> None:
    hidden = hiding(SECRET, SECRET.replace('"', "")).text(written)
    assert hidden[1:-1] == "***"


def test_a_secret_is_found_in_a_url() -> None:
    assert hiding("a b/c&d").text(f"https://host/?key={quote('a b/c&d', safe='')}") == "https://host/?key=***"


def test_the_longest_secret_is_replaced_first() -> None:
    assert hiding("abcd", "abcdef").text("abcdef abcd") == "*** ***"


def test_a_short_secret_hides_the_whole_value_that_holds_it_and_no_text() -> None:
    assert hiding("ab").value("cab") == "***"
    assert hiding("ab").value("cad") == "cad"
    assert hiding("ab").text("company#1 rate-limit, available") == "company#1 rate-limit, available"


def test_an_empty_secret_hides_nothing() -> None:
    assert hiding("").value("x") == "x"
    assert Hiding().text("x") == "x"
