"""The statements of `@{ … }`: declarations, assignments to them, if, return and blocks. Nothing that repeats.

Every path ends in a return, which is seen when the expression is compiled. What it returns has one type, or is an
object. Refuses to know how an expression is read.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from mcpgov.errors import InvalidExpression
from mcpgov.frozen import frozen
from mcpgov.policy.csharp.kinds import NULL, OBJECT, Type, joint_type
from mcpgov.policy.csharp.operators import chain, convertible, truth, want_bool
from mcpgov.policy.csharp.parser import CONTEXT, Variable, reading, unsupported
from mcpgov.policy.csharp.refused import WORDS
from mcpgov.policy.csharp.tokens import END, NAME
from mcpgov.policy.csharp.typed_code import Code

if TYPE_CHECKING:
    from mcpgov.policy.csharp.parser import Parser
    from mcpgov.policy.csharp.typed_code import Run

_GOES_ON: Final = object()  # what a statement gives that does not return
_ASSIGNMENTS: Final = ("=", "+=", "-=", "*=", "/=", "%=")


@frozen
class _Statement:
    """One statement. `run` gives what is returned, or _GOES_ON. `returns`: it always does."""

    run: Callable[[Run], object]
    returns: bool = False


class Body:
    """Reads statements with a parser of expressions. `returned` has the values that are returned."""

    def __init__(self, parser: Parser) -> None:
        self._parser = parser
        self._slots = 0
        self._returned: list[Code] = []

    def read(self) -> Code:
        """The body, from its { to its }. Raises InvalidExpression."""
        at = self._parser.here.at
        block = self._block()
        if not block.returns:
            raise InvalidExpression("not every path returns a value", "end it with return …;", at)
        kind: Type | None = self._returned[0].type
        for code in self._returned[1:]:
            kind = kind and joint_type(kind, code.type)
        return Code(kind or OBJECT, at, block.run)

    def _block(self) -> _Statement:
        parser = self._parser
        parser.expect("{")
        statements: list[_Statement] = []
        parser.scopes.append({})
        with parser.nested():
            while not parser.accept("}"):
                if parser.here.sort == END:
                    raise InvalidExpression("the block is not closed", "end it with }", parser.here.at)
                statements.append(self._statement())
        parser.scopes.pop()

        def run(run: Run) -> object:
            for statement in statements:
                outcome = statement.run(run)
                if outcome is not _GOES_ON:
                    return outcome
            return _GOES_ON

        return _Statement(run, any(statement.returns for statement in statements))

    def _statement(self) -> _Statement:
        parser = self._parser
        if parser.sees("{"):
            return self._block()
        if parser.accept(";"):
            return _Statement(lambda _run: _GOES_ON)
        if parser.accept("if"):
            return self._if()
        if parser.accept("return"):
            return self._return()
        if parser.sees(*WORDS):
            raise unsupported(parser.here.text, parser.here, WORDS[parser.here.text])
        statement = self._declaration() if parser.begins_type() else self._assignment()
        parser.expect(";")
        return statement

    def _return(self) -> _Statement:
        code = self._parser.expression()
        self._parser.expect(";")
        self._returned.append(code)
        return _Statement(lambda run: run.of(code), returns=True)

    def _if(self) -> _Statement:
        parser = self._parser
        branches = [self._branch()]
        otherwise: _Statement | None = None
        while otherwise is None and parser.accept("else"):
            if parser.accept("if"):
                branches.append(self._branch())
            else:
                otherwise = self._embedded()

        def run(run: Run) -> object:
            for test, then in branches:
                if truth(run.of(test)):
                    return then.run(run)
            return otherwise.run(run) if otherwise else _GOES_ON

        returns = otherwise is not None and otherwise.returns and all(then.returns for _, then in branches)
        return _Statement(run, returns)

    def _branch(self) -> tuple[Code, _Statement]:
        self._parser.expect("(")
        test = self._parser.expression()
        want_bool(test, "if")
        self._parser.expect(")")
        return test, self._embedded()

    def _embedded(self) -> _Statement:
        """A statement that belongs to an if, in a scope of its own."""
        self._parser.scopes.append({})
        with self._parser.nested():
            statement = self._statement()
        self._parser.scopes.pop()
        return statement

    def _declaration(self) -> _Statement:
        parser = self._parser
        at = parser.here.at
        name = parser.type_name() or ""
        kind = None if name == "var" else parser.type_named(name, at)
        steps = [self._declared(kind)]
        while parser.accept(","):
            steps.append(self._declared(kind))

        def run(run: Run) -> object:
            for slot, code in steps:
                if code is None:
                    run.variables.pop(slot, None)
                else:
                    run.variables[slot] = run.of(code)
            return _GOES_ON

        return _Statement(run)

    def _declared(self, kind: Type | None) -> tuple[int, Code | None]:
        """The place of one variable, and its first value, if it has one."""
        parser, token = self._parser, self._parser.take()
        if token.sort != NAME:
            raise InvalidExpression("a name for the variable is expected", "", token.at)
        if parser.variable(token.text) or token.text == CONTEXT:
            raise InvalidExpression(f"there is a {token.text} already", "give it another name", token.at)
        if parser.sees("("):
            raise unsupported("a local function", token)
        code = parser.expression() if parser.accept("=") else None
        if kind is None and (code is None or code.type == NULL):
            raise InvalidExpression("var says no type here", f"write string {token.text} = …;", token.at)
        self._slots += 1
        parser.scopes[-1][token.text] = Variable(self._slots, kind or (code.type if code else OBJECT))
        return self._slots, convertible(kind, code) if kind and code else code

    def _assignment(self) -> _Statement:
        parser, token = self._parser, self._parser.here
        variable = parser.variable(token.text) if token.sort == NAME else None
        operator = parser.ahead(1).text
        if variable is None or operator not in _ASSIGNMENTS:
            parser.expression()
            raise InvalidExpression("a value stands alone", "return it, or give it to a variable", token.at)
        parser.take()
        parser.take()
        code = parser.expression()
        if operator != "=":
            code = chain(reading(token, variable), [(operator[0], code)])
        code = convertible(variable.type, code)

        def run(run: Run) -> object:
            run.variables[variable.slot] = run.of(code)
            return _GOES_ON

        return _Statement(run)
