"""Text that somebody else chose does nothing to a terminal and gives no key away."""

import pytest

from mcpgov.cli.printable import plural, printable, repeated
from mcpgov.models import Json


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, ""),
        ("plain text", "plain text"),
        ("Zürich 🏔", "Zürich 🏔"),
        ("\x1b]0;title\x07", "\\x1b]0;title\\x07"),
        ("\x9b31m\x7f", "\\x9b31m\\x7f"),
        ("a\u200bb\u202ec\u2028d\u00a0e", "a\\u200bb\\u202ec\\u2028d\\xa0e"),
        (True, "true"),
        ([60, 59], "[60, 59]"),
    ],
)
def test_what_is_printed_cannot_do_anything_to_a_terminal(value: Json, shown: str) -> None:
    assert printable(value) == shown


@pytest.mark.parametrize(
    ("argument", "shown"),
    [
        ("3fGh81Kx", "3fGh81Kx"),
        ("mcpgov_3fGh81Kx", "mcpgov_3fGh81Kx"),
        ("mcpgov_3fGh81Kx…", "mcpgov_3fGh81Kx…"),
        ("mcpgov_3fGh81KxSECRET", "mcpgov_3fGh81Kx…"),
        ("Bearer mcpgov_3fGh81KxSECRETmcpgov_", "Bearer mcpgov_3fGh81Kx…"),
        ("\x1b[2J", "\\x1b[2J"),
    ],
)
def test_no_more_of_a_key_than_its_id_is_repeated(argument: str, shown: str) -> None:
    assert repeated(argument) == shown


def test_one_is_said_otherwise_than_none_and_many() -> None:
    assert [plural(count, "day") for count in (0, 1, 2)] == ["0 days", "1 day", "2 days"]
