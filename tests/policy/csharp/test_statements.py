"""Statements: what is declared, assigned, decided and returned."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from tests.policy.csharp.drafts import compiled, draft, failure, refusal, value

VARIABLES: Mapping[str, object] = {"s": "a", "i": 5, "b": True, "n": None}


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("return 1;", 1),
        (";; return 1;", 1),
        ("var x = 1; return x + 1;", 2),
        ('string s = "a"; s += 1; return s;', "a1"),
        ("int x = 7; x -= 1; x *= 2; x /= 5; x %= 2; return x;", 0),
        ("double x = 1; return x / 2;", 0.5),
        ("long x = 1; x = 5000000000; return x;", 5_000_000_000),
        ("int? x = null; return x ?? 3;", 3),
        ('object x = 1; x = "a"; return x;', "a"),
        ("string[] p = \"a.b\".Split('.'); return p[1];", "b"),
        ('string a = "1", b = "2"; return a + b;', "12"),
        ('string a; a = "1"; return a;', "1"),
        ('JObject o = JObject.Parse("{}"); return o.Count;', 0),
        ('System.Guid g = Guid.Empty; return g.ToString("N");', "0" * 32),
        ('string s = context.Variables["s"]; return s;', "a"),
        ("var c = context.Request; return c.Method;", "POST"),
        ("if (1 < 2) { return 1; } return 2;", 1),
        ("if (1 > 2) return 1; else return 2;", 2),
        ("if (1 > 2) return 1; else if (2 > 3) { return 2; } else if (true) return 3; return 4;", 3),
        ("if (1 > 2) { return 1; } else if (2 > 1) { } return 4;", 4),
        ("if (1 > 2) { var x = 1; } else { var x = 2; } { var x = 3; return x; }", 3),
        ('if (context.Variables["b"]) return 1; return 2;', 1),
        ("if (true) { if (false) { return 1; } else { return 2; } } else { return 3; }", 2),
        ("return 1; return 2;", 1),
        ("var x = 1; { x = 2; } return x;", 2),
        ("int x = 2147483647; x = x + 1; return x;", 2_147_483_648),
    ],
)
def test_a_body_returns_what_it_does_in_csharp(body: str, expected: object) -> None:
    found = value(f"@{{ {body} }}", draft(**VARIABLES))
    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ("return 1;", "int"),
        ("if (true) { return 1; } return 2L;", "long"),
        ('if (true) { return null; } return "a";', "string"),
        ("if (true) { return null; } return 1;", "int?"),
        ('if (true) { return 1; } if (true) { return "a"; } return 2;', "object"),
    ],
)
def test_a_body_has_the_type_of_what_it_returns(body: str, kind: str) -> None:
    assert compiled(f"@{{ {body} }}").kind == kind


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("", "{  } <- not every path returns a value (end it with return …;)"),
        ("var x = 1;", "{ var x = 1; <- not every path returns a value (end it with return …;)"),
        ("if (true) { return 1; }", "{ if (true)  <- not every path returns a value (end it with return …;)"),
        ("if (true) { } else { return 1; }", "{ if (true)  <- not every path returns a value (end it with return …;)"),
        ("return;", "; } <- a value is expected, and here is ;"),
        ("return 1", "} <- ; is expected, and here is }"),
        ("{ return 1;", " <- the block is not closed (end it with })"),
        ("if true) return 1;", "true) return <- ( is expected, and here is true"),
        ("if (1) return 1;", "1) return 1; <- if needs true or false, and this is int"),
        ("else return 1;", "else return  <- there is no else in expressions here"),
        ("var x;", "x; } <- var says no type here (write string x = …;)"),
        ("var x = null;", "x = null; } <- var says no type here (write string x = …;)"),
        ("string 5;", "5; } <- . is expected, and here is 5"),
        ("var x = 1; var x = 2;", "x = 2; } <- there is a x already (give it another name)"),
        ("var x = 1; { int x = 2; }", "x = 2; } } <- there is a x already (give it another name)"),
        ("var context = 1;", "context = 1; <- there is a context already (give it another name)"),
        ('string a = "", 5;', "5; } <- a name for the variable is expected"),
        ('int x = "a";', '"a"; } <- a variable of the type int cannot hold string (cast it, or declare it with var)'),
        (
            "int x = 1; x = 2.5;",
            "2.5; } <- a variable of the type int cannot hold double (cast it, or declare it with var)",
        ),
        (
            'int x = 1; x += "a";',
            'x += "a"; } <- a variable of the type int cannot hold string (cast it, or declare it with var)',
        ),
        ("Foo x = 1;", "Foo x = 1; } <- the type Foo is not supported in expressions here"),
        ("List<string> x = 1;", "List<string> <- the type List<string> is not supported in expressions here"),
        ("x = 1;", "x = 1; } <- there is no x in expressions here"),
        ('context.Variables["x"] = 1;', "= 1; } <- an assignment inside an expression is not supported"),
        ("1 + 1;", "1 + 1; } <- a value stands alone (return it, or give it to a variable)"),
        ("var x = 1; x++;", "++; } <- an assignment inside an expression is not supported"),
        ("var x = 1; x;", "x; } <- a value stands alone (return it, or give it to a variable)"),
        ("foreach (var x in y) { }", "foreach (var <- foreach is not supported in expressions here"),
        ("for (int i = 0; i < 3; i++) { }", "for (int i = <- for is not supported in expressions here"),
        ("while (true) { }", "while (true) <- while is not supported in expressions here"),
        ("try { return 1; } catch { }", "try { return <- try is not supported in expressions here"),
        ("throw new Exception();", "throw new Ex <- throw is not supported in expressions here"),
        ("using (var x = 1) { }", "using (var x <- using is not supported in expressions here"),
        ('const string x = "a";', "const string <- const is not supported in expressions here"),
        ("int f(int x) { return x; } return f(1);", "f(int x) { r <- a local function is not supported"),
        ("return await x;", "await x; } <- await is not supported in expressions here"),
    ],
)
def test_what_is_no_statement_here_is_refused_by_name(body: str, expected: str) -> None:
    assert expected in refusal(f"@{{ {body} }}")


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("string x; return x;", "a variable is read that has no value yet"),
        ('string x; if (false) { x = "a"; } return x + 1;', "a variable is read that has no value yet"),
        ('string x = context.Variables["i"]; return x;', "a value cannot be cast to string"),
        ('if (context.Variables["s"]) return 1; return 2;', "a condition is neither true nor false for this request"),
    ],
)
def test_a_statement_without_a_value_is_an_error(body: str, expected: str) -> None:
    assert failure(f"@{{ {body} }}", draft(**VARIABLES)) == expected


def test_blocks_are_bounded_too() -> None:
    assert "nested deeper than 64 levels" in refusal("@" + "{" * 70 + "return 1;" + "}" * 70)
    assert value("@{" + "if (false) { return 1; } else " * 500 + "return 2; }") == 2
