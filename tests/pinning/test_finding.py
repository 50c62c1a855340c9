"""A finding says how bad, where, what, and how to mend it, and nothing in it acts."""

from __future__ import annotations

import pytest

from mcpgov.pinning.finding import Finding, Path, Severity, path_text


@pytest.mark.parametrize(
    ("path", "text"),
    [
        (("inputSchema", "properties", "a", "enum", 2), "inputSchema.properties.a.enum[2]"),
        (("$defs", "x-y"), "$defs.x-y"),
        (("a b", "c.d", ""), '["a b"]["c.d"][""]'),
        (("d\u0435l", "\x1b"), '["d\\u{435 CYRILLIC SMALL LETTER IE}l"]["\\u{1B ESCAPE}"]'),
        (("\u00e9",), '["\\u{E9 LATIN SMALL LETTER E WITH ACUTE}"]'),
        ((), "(the definition)"),
    ],
)
def test_a_path_is_read_as_one_would_write_it(path: Path, text: str) -> None:
    assert path_text(path) == text


def test_a_finding_is_one_line() -> None:
    finding = Finding(Severity.ERROR, "a\x1b", ("title",), "it is bad", "make it good")
    assert str(finding) == "a\\u{1B ESCAPE}: title: error: it is bad (make it good)"
    assert str(Finding(Severity.WARNING, "", (), "it is bad")) == "(the definition): warning: it is bad"
