"""Which changes are made, and which are left out by rule."""

import ast

import pytest

from tests.mutation.operators import mutants_of


def changes(source: str) -> list[str]:
    """`was -> becomes` of each mutant of a module."""
    return [f"{mutant.was} -> {mutant.becomes}" for mutant in mutants_of(ast.parse(source))]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("x = a < b", ["a < b -> a <= b"]),
        ("x = a == b", ["a == b -> a != b"]),
        ("x = a not in b", ["a not in b -> a in b"]),
        ("x = a is None", ["a is None -> a is not None"]),
        ("x = a and b", ["a and b -> a or b"]),
        ("x = not a", ["not a -> a"]),
        ("x = 4", ["4 -> 5", "4 -> 3"]),
        ("x = True", ["True -> False"]),
        ("x = 'key'", ["'key' -> ''"]),
        ("x = b''", ["b'' -> b'mutant'"]),
        ("x += y", ["x += y -> x -= y"]),
        ("x = a[b:]", ["b -> "]),
        ("x = a if b else c", ["b -> True", "b -> False"]),
        ("x = [a for a in b if c]", ["c -> True"]),
        ("while a:\n  b", ["a -> False"]),
        ("def f(a=1):\n  return a", ["1 -> 2", "1 -> 0", "return a -> return None"]),
        ("def f():\n  g()", ["g() -> pass"]),
        ("def f():\n  a = b\n  raise c", ["raise c -> pass"]),
        ("if a:\n  raise b", ["a -> True", "a -> False"]),
        ("match a:\n  case B():\n    c = d", ["B() -> False"]),
        ("match a:\n  case b if c:\n    d = e", ["c -> "]),
    ],
)
def test_each_operator_makes_its_changes(source: str, expected: list[str]) -> None:
    assert changes(source) == expected


@pytest.mark.parametrize(
    "source",
    [
        "from a import b",
        "'''What it decides.'''",
        "def f(a: Literal['x']) -> 'T': ...",
        "x: Final[Literal['x']] = y",
        "Path = list['Json'] | dict[str, 'Json']",
        "class C(Protocol):\n  x: int = 1",
        "@decorated(x=True)\nclass C: ...",
        "@decorated(x=True)\ndef f(): ...",
        "__all__ = ['a']",
        "def __repr__(self):\n  return f'{self.a}'",
        "assert a == 1",
        "if TYPE_CHECKING:\n  a = 1",
        "x = 'a word to people'",
        "x = f'line {a + 1}'",
        "x = f'{a:g}'",
        "x = cast('T', a)",
        "def f():\n  self.log.warning('said', count=1)",
        "x = Thread(name='writer')",
        "while True:\n  a",
    ],
)
def test_what_no_test_should_hold_is_left_out(source: str) -> None:
    assert changes(source) == []


def test_what_a_raised_error_is_told_is_left_out_but_not_what_it_carries() -> None:
    source = "def f():\n  a = b\n  raise E('code', f'{a}', 3, headers=['Allow'])"
    assert changes(source)[1:] == ["3 -> 4", "3 -> 2", "'Allow' -> ''"]


def test_a_change_knows_the_outermost_function_it_is_in() -> None:
    source = "class C:\n  @property\n  def f(self):\n    def g():\n      return a\n    return g\nx = lambda: 1"
    owners = [mutant.owner for mutant in mutants_of(ast.parse(source))]
    assert owners == [("C.f", 2), ("C.f", 2), None, None]


def test_a_change_is_made_in_the_tree_itself() -> None:
    tree = ast.parse("def f(a):\n  return cast('T', a < 1)")
    change = next(mutant for mutant in mutants_of(tree) if mutant.operator == "comparison")
    change.apply()
    assert "cast('T', a <= 1)" in ast.unparse(tree)
    compile(tree, "planted", "exec")
