"""What is changed in a module, one change at a time, to see whether a test notices. Pure: a tree in, mutants out.

Operators: an order is closed or opened (`<` `<=`), an equality, identity or membership turned round, `and` and `or`
exchanged, `not` dropped, `+` and `-`, `*` and `//` exchanged, a number one more and one less, True and False exchanged,
a string or bytes emptied (or filled, where empty), a result forgotten, a raise or a call left out, a condition always
and never met, a case and a guard left out, the end of a slice dropped. Numbers and strings that are defaults count.

Left out by rule, since no test should hold it or it changes nothing: imports, annotations, type aliases, casts,
protocols, decorators, asserts (they narrow types), what stands bare (docstrings), `__all__` and `__slots__`,
`__repr__` and `__str__`, calls of a log, names of threads and tasks, prose (a string with a letter and a space, with
all that an f-string puts into it), what a raised error is told in words, how a number is formatted, a raise that is all
that its `if` does (never meeting the condition is the same), a loop made endless.
"""

import ast
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final, cast

Owner = tuple[str, int]  # the qualified name of a function, and its first line: what its code object says of itself
Put = Callable[[ast.AST | None], None]

COMPARED: Final[dict[type[ast.cmpop], type[ast.cmpop]]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}
COUNTED: Final[dict[type[ast.operator], type[ast.operator]]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.FloorDiv,
    ast.FloorDiv: ast.Mult,
    ast.Div: ast.Mult,
}
PROSE: Final = re.compile(r"(?s)(?=.*[A-Za-z])(?=.*\s)")
LOGGED: Final = {"debug", "info", "warning", "error", "exception", "critical"}
UNSAID: Final = {"__repr__", "__str__"}
NAMED: Final = {"__all__", "__slots__"}
STARTED: Final = {"Thread", "create_task", "ThreadPoolExecutor"}
SHOWN: Final = 70


@dataclass(frozen=True, slots=True)
class Mutant:
    """One change. `owner` is the outermost function that it is inside of; None: it is read at import."""

    line: int
    owner: Owner | None
    operator: str
    was: str
    becomes: str
    apply: Callable[[], None]


def mutants_of(tree: ast.Module) -> list[Mutant]:
    """Every mutant of a module, in the order of its text. `apply` changes that very tree, for good."""
    finder = _Finder()
    finder.parts(tree, _Place())
    return finder.found


@dataclass(frozen=True, slots=True)
class _Place:
    """Where the walk is: inside of which function and classes."""

    owner: Owner | None = None
    within: tuple[str, ...] = ()


@dataclass(slots=True)
class _Finder:
    found: list[Mutant] = field(default_factory=list[Mutant])
    left_out: set[int] = field(default_factory=set[int])  # by identity: nodes met so far that are not looked at
    lone: set[int] = field(default_factory=set[int])  # raises that are all that their `if` does

    def add(self, place: _Place, operator: str, node: ast.AST, new: ast.AST | None, put: Put) -> None:
        """Note one change of `node` into `new`; None: it is gone."""
        if new is not None:
            ast.copy_location(new, node)
            ast.fix_missing_locations(new)
        line = getattr(node, "lineno", 0)
        self.found.append(Mutant(line, place.owner, operator, _shown(node), _shown(new), lambda: put(new)))

    def parts(self, node: ast.AST, place: _Place) -> None:
        """All that stands in a node, in the order of its fields."""
        for name, value in ast.iter_fields(node):
            if isinstance(value, list):
                self.each(cast("list[object]", value), place)
            elif isinstance(value, ast.AST):
                self.visit(value, place, _put(node, name))

    def each(self, nodes: list[object], place: _Place) -> None:
        """The nodes of a list."""
        for index, node in enumerate(nodes):
            if isinstance(node, ast.AST):
                self.visit(node, place, _put_item(nodes, index))

    def visit(self, node: ast.AST, place: _Place, put: Put) -> None:
        """The changes of one node, then those of what is in it."""
        if id(node) in self.left_out or _is_left_out(node, place):
            return
        self.left_out.update(map(id, _left_out_in(node)))
        for operator, new in (*_changed_expressions(node), *_changed_statements(node, place)):
            if id(node) not in self.lone or operator != "raise":
                self.add(place, operator, node, new, put)
        for operator, part, new, change in (*_conditions(node), *_bounds(node)):
            self.add(place, operator, part, new, change)
        if isinstance(node, ast.If) and not node.orelse and len(node.body) == 1:
            self.lone.add(id(node.body[0]))
        match node:
            case ast.FunctionDef(name) | ast.AsyncFunctionDef(name):
                first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
                self.visit(node.args, place, _put(node, "args"))  # defaults are read where the function is made
                inside = place if place.owner else _Place((".".join((*place.within, name)), first))
                self.each(cast("list[object]", node.body), inside)
            case ast.ClassDef(name):
                self.each(cast("list[object]", node.body), _Place(place.owner, (*place.within, name)))
            case _:
                self.parts(node, place)


Part = tuple[str, ast.AST, ast.AST | None, Put]  # the operator, what it was, what it becomes, and how


def _conditions(node: ast.AST) -> Iterator[Part]:
    """A condition that is always or never met."""
    match node:
        case ast.If() | ast.IfExp():
            yield from (("condition", node.test, ast.Constant(truth), _put(node, "test")) for truth in (True, False))
        case ast.While() if not isinstance(node.test, ast.Constant):
            yield "condition", node.test, ast.Constant(value=False), _put(node, "test")
        case ast.comprehension():
            for index, test in enumerate(node.ifs):
                yield "condition", test, ast.Constant(value=True), _put_item(cast("list[object]", node.ifs), index)
        case ast.match_case(ast.MatchAs(None, None), None, [ast.Pass() | ast.Return(None | ast.Constant(None))]):
            pass  # where nothing matches, nothing is done either
        case ast.match_case():
            never = None if node.guard is not None else ast.Constant(value=False)
            yield "case", node.guard or node.pattern, never, _put(node, "guard")
        case _:
            pass


def _bounds(node: ast.AST) -> Iterator[Part]:
    """The end of a slice that is gone."""
    if isinstance(node, ast.Slice):
        for name, bound in (("lower", node.lower), ("upper", node.upper)):
            if bound is not None:
                yield "slice", bound, None, _put(node, name)


def _changed_expressions(node: ast.AST) -> Iterator[tuple[str, ast.AST]]:
    """The expressions that may stand in the place of one, each with the name of its operator."""
    match node:
        case ast.Compare():
            for index, was in enumerate(node.ops):
                ops = [*node.ops[:index], COMPARED[type(was)](), *node.ops[index + 1 :]]
                yield "comparison", ast.Compare(node.left, ops, node.comparators)
        case ast.BoolOp():
            yield "and/or", ast.BoolOp(ast.Or() if isinstance(node.op, ast.And) else ast.And(), node.values)
        case ast.UnaryOp(ast.Not(), operand):
            yield "not", operand
        case ast.BinOp() if type(node.op) in COUNTED:
            yield "arithmetic", ast.BinOp(node.left, COUNTED[type(node.op)](), node.right)
        case ast.Constant():
            yield from (("constant", ast.Constant(value)) for value in _other_values(node.value))
        case _:
            pass


def _changed_statements(node: ast.AST, place: _Place) -> Iterator[tuple[str, ast.AST]]:
    """The statements that may stand in the place of one."""
    match node:
        case ast.AugAssign() if type(node.op) in COUNTED:
            yield "arithmetic", ast.AugAssign(node.target, COUNTED[type(node.op)](), node.value)
        case ast.Return(value) if value is not None and not isinstance(value, ast.Constant):
            yield "result", ast.Return(ast.Constant(None))
        case ast.Raise():
            yield "raise", ast.Pass()
        case ast.Expr(ast.Call() | ast.Await(ast.Call())) if place.owner:
            yield "call", ast.Pass()
        case _:
            pass


def _other_values(value: object) -> Iterator[str | bytes | float]:
    match value:
        case bool():
            yield not value
        case int() | float():
            yield from (value + 1, value - 1)
        case str() if not PROSE.match(value):
            yield "" if value else "mutant"
        case bytes() if not PROSE.match(value.decode("latin-1")):
            yield b"" if value else b"mutant"
        case _:
            pass


def _is_left_out(node: ast.AST, place: _Place) -> bool:
    match node:
        case (
            ast.Import()
            | ast.ImportFrom()
            | ast.Assert()
            | ast.Expr(ast.Constant())
            | ast.If(ast.Name("TYPE_CHECKING"))
        ):
            return True
        case ast.FunctionDef(name) | ast.AsyncFunctionDef(name):
            return name in UNSAID
        case ast.ClassDef():
            return any(ast.unparse(base).partition("[")[0] == "Protocol" for base in node.bases)
        case ast.Assign([ast.Name(name)], value):
            return name in NAMED or (
                place.owner is None and isinstance(value, ast.Subscript | ast.BinOp) and _is_type(value)
            )
        case ast.Expr(ast.Call(ast.Attribute(of, name))):
            return name in LOGGED and "log" in ast.unparse(of).lower()
        case ast.JoinedStr():
            return (
                PROSE.match("".join(str(part.value) for part in node.values if isinstance(part, ast.Constant)))
                is not None
            )
        case _:
            return False


def _left_out_in(node: ast.AST) -> Iterator[ast.AST | None]:
    """What is not looked at inside of a node."""
    match node:
        case ast.AnnAssign(_, annotation) | ast.arg(_, annotation):
            yield annotation
        case ast.FormattedValue():
            yield node.format_spec
        case ast.While(ast.Constant() as endless):
            yield endless
        case ast.Raise(ast.Call(_, arguments)):
            yield from filter(_is_text, arguments)
        case ast.Call(ast.Name("cast"), [kind, _]):
            yield kind
        case ast.Call(ast.Name(name) | ast.Attribute(_, name), _, keywords) if name in STARTED:
            yield from (keyword for keyword in keywords if keyword.arg == "name")
        case _:
            pass


def _is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and isinstance(node.value, str))


def _is_type(value: ast.expr) -> bool:
    """`list["Json"] | dict[str, "Json"]`: names, subscripts and bars, and strings for names that come later."""
    match value:
        case ast.Subscript(ast.Name(), inner):
            return _is_type(inner)
        case ast.BinOp(left, ast.BitOr(), right):
            return _is_type(left) and _is_type(right)
        case ast.Tuple(items) | ast.List(items):
            return all(map(_is_type, items))
        case _:
            return isinstance(value, ast.Name | ast.Attribute | ast.Constant)


def _put(node: ast.AST, name: str) -> Put:
    return lambda new: setattr(node, name, new)


def _put_item(nodes: list[object], index: int) -> Put:
    def put(new: ast.AST | None) -> None:
        nodes[index] = new

    return put


def _shown(node: ast.AST | None) -> str:
    """One line of it, for people."""
    if node is None:
        return ""
    text = " ".join(ast.unparse(node).split())
    return text if len(text) <= SHOWN else text[: SHOWN - 3] + "..."
