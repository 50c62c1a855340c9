"""Words, numbers, operators and text."""

from __future__ import annotations

import pytest

from mcpgov.models import Secret
from mcpgov.policy.csharp.tokens import END, NAME, NUMBER, OPERATOR, TEXT, Lexer, Token
from tests.policy.csharp.drafts import NAMED, compiled, refusal, value

OPERATORS = "?. ?[ ?? => ++ -- += && || == != <= >= ! < > = ? : . , ; ( ) { } [ ] & | ^ ~"


def read(text: str) -> list[tuple[str, str]]:
    """The tokens of a text, END left out."""
    return [(token.sort, token.text) for token in Lexer(text, NAMED.get).tokens()[:-1]]


def test_words_numbers_and_operators_are_told_apart() -> None:
    assert read("a1 _b 1 1.5 .5 1e-3 0x1F 2L 1.0d") == [
        *((NAME, "a1"), (NAME, "_b"), (NUMBER, "1"), (NUMBER, "1.5"), (NUMBER, ".5"), (NUMBER, "1e-3")),
        *((NUMBER, "0x1F"), (NUMBER, "2L"), (NUMBER, "1.0d")),
    ]
    operators = OPERATORS.split()
    assert read(" ".join(operators)) == [(OPERATOR, each) for each in operators]
    assert read("a?.5:1") == [(NAME, "a"), (OPERATOR, "?"), (NUMBER, ".5"), (OPERATOR, ":"), (NUMBER, "1")]
    assert read("1.ToString") == [(NUMBER, "1"), (OPERATOR, "."), (NAME, "ToString")]


def test_comments_and_blanks_are_dropped() -> None:
    assert read("1 // one\n /* and\n * two */ /**/ 2") == [(NUMBER, "1"), (NUMBER, "2")]


def test_every_token_keeps_its_place() -> None:
    tokens = Lexer(' a "b" {{limit}}', NAMED.get).tokens()
    assert [(token.sort, token.at) for token in tokens] == [
        *((NAME, 1), (TEXT, 3), (NUMBER, 7), (OPERATOR, 7), (NUMBER, 7), (END, 16)),
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('"a\\"b\\\\\\n\\t\\r\\0\\a\\b\\f\\v\\\'"', "a\"b\\\n\t\r\0\a\b\f\v'"),
        ('"\\u00e9\\x41\\U0001F600"', "éA😀"),
        ('"\\ud83d\\ude00"', "😀"),
        ('@"a\\b""c"', 'a\\b"c'),
        ('""', ""),
        ("'it''s'", None),
        ("'it\\'s'", "it's"),
        ('$"{1 + 1}{{ x }} {"a" + "b"}"', "2{ x } ab"),
        ('$@"\\{1}"""', '\\1"'),
        ('@$"{2}"', "2"),
        ('$"{new[] { "a" }[0]}"', "a"),
        ('$"{(true ? "a" : "b")}"', "a"),
        ('$"{$"{1}"}"', "1"),
        ('$"{{{1}}}"', "{1}"),
        ('"{{region}}-{{"', "eu-{{"),
        ('$"{{region}}{{{{region}}"', "eu{eu"),
        ("'{{region}}'", "eu"),
        ("{{quoted}} + {{limit}}", "eu402"),
        ("{{limit}} * 2", 44),
        ('"a\nb"', "a\nb"),
    ],
)
def test_text_is_read_as_csharp_reads_it(text: str, expected: object) -> None:
    if expected is None:
        assert "' <- a text is not expected here" not in refusal(text)
    else:
        assert value(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('"a', '"a) <- the string is not closed (end it with ")'),
        ("'a", "'a) <- the string is not closed (end it with ')"),
        ('"\\q"', '\\q") <- this escape is not known (write \\\\ for a \\, or use @"…")'),
        ('"\\UFFFFFFFF"', '\\UFFFFFFFF" <- this escape is not known (write \\\\ for a \\, or use @"…")'),
        ('"\\', "\\) <- this escape"),
        ('"\\ud83d"', '"\\ud83d") <- half a character stands in the string (write both \\u escapes)'),
        ('$"a}"', '}") <- a } alone in $"…" (write }})'),
        ('$"{1"', " <- the string is not closed"),
        ('$"{1', ' <- a { in $"…" is not closed (write {{ for a brace)'),
        ("1 # 2", "# 2) <- '#' means nothing here"),
        ("1 /* 2", "/* 2) <- the comment is not closed (end it with */)"),
        ("{{nope}}", "{{nope}}) <- there is no named value nope (add it to named_values in mcpgov.yaml)"),
        ('"a{{nope}}"', '{{nope}}") <- there is no named value nope (add it to named_values in mcpgov.yaml)'),
        ("{{key}}", "{{key}}) <- the named value key is a secret (write it inside a string)"),
        ('$"{1:N2}"', ':N2}") <- a format inside { } is not supported (use ToString(…))'),
        ('$"{1,5}"', ',5}") <- a format inside { } is not supported (use ToString(…))'),
        ('$"{}"', '}") <- a value is expected, and here is the end'),
        ('$"{1 2}"', '2}") <- 2 is not expected here'),
    ],
)
def test_what_cannot_be_read_is_refused_where_it_stands(text: str, expected: str) -> None:
    at, _, message = expected.partition(" <- ")
    found = refusal(text)
    assert message in found
    assert found.startswith(at) or not at.strip()


def test_the_value_of_a_named_value_is_not_expanded_again() -> None:
    named = {"a": '"{{b}}"', "b": "x"}
    (token, _) = Lexer("{{a}}", named.get).tokens()
    assert token == Token(TEXT, "", 0, ("{{b}}",))


def test_named_values_are_bounded_together() -> None:
    with pytest.raises(ValueError, match="too long"):
        Lexer("{{a}}{{a}}", {"a": "1 " * 5000}.get).tokens()


def test_a_secret_stays_one_and_its_text_keeps_its_parts() -> None:
    (token, _) = Lexer('"a{{key}}b"', NAMED.get).tokens()
    assert token.parts == ("a", Secret("s3cret"), "b")
    assert "s3cret" not in repr(token)


def test_only_a_longer_single_quoted_text_is_noted() -> None:
    assert [bool(compiled(f"'{text}'").notes) for text in ("a", "", "ab", "\\n", "{{key}}")] == [
        *(False, True, True, False, True),
    ]
