"""Reads an expression by recursive descent, and makes typed code of it as it goes.

What C# has and expressions here do not is refused by name: lambdas, LINQ, new objects, assignments inside an
expression, out and ref. Nesting is bounded while reading. Refuses to know statements, and what members there are.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import Final

from mcpgov.errors import ExpressionError, InvalidExpression
from mcpgov.frozen import frozen
from mcpgov.models import Secret
from mcpgov.policy.csharp import literals
from mcpgov.policy.csharp.calls import Call, Link, Named, link, linked, refuse_class, static
from mcpgov.policy.csharp.kinds import NULL, STRINGS, TYPES, Type, named_type
from mcpgov.policy.csharp.operators import (
    BY_REFERENCE,
    PRECEDENCE,
    as_type,
    cast_to,
    chain,
    compares_references,
    conditional,
    first_not_null,
    inverted,
    negated,
    type_test,
)
from mcpgov.policy.csharp.refused import CLASSES, NO_LAMBDA, NO_NEW, WORDS
from mcpgov.policy.csharp.statics import STATICS
from mcpgov.policy.csharp.tokens import END, NAME, NUMBER, OPERATOR, TEXT, Token
from mcpgov.policy.csharp.typed_code import MAX_DEPTH, SPLIT, TOO_DEEP, Code, Run
from mcpgov.yaml_source import nearest

_NAMESPACES: Final = frozenset(
    {
        "System",
        "System.Text",
        "System.Net",
        "System.Text.RegularExpressions",
        "System.Security",
        "System.Security.Cryptography",
    }
    | {
        "System.Collections",
        "System.Collections.Generic",
        "System.Linq",
        "Newtonsoft",
        "Newtonsoft.Json",
        "Newtonsoft.Json.Linq",
    }
)
_WORDS: Final = frozenset({"true", "false", "null", "new", "var", "if", "else", "return", "is", "as"})
_KEYWORD_TYPES: Final = frozenset({"string", "bool", "int", "long", "double", "object"})
CONTEXT: Final = "context"
SINGLE: Final = "single-quoted string: API Management reads '...' as one character and refuses longer ones"


@frozen
class Variable:
    """A variable that the expression declares: where its value is kept, and of which type it is."""

    slot: int
    type: Type


class Parser:
    """Reads the tokens of one expression. `scopes` are the variables that can be seen, the innermost last."""

    def __init__(self, tokens: list[Token]) -> None:
        self._tokens: list[Token] | tuple[Token, ...] = tokens
        self._at = 0
        self._depth = 0
        self.scopes: list[dict[str, Variable]] = []
        self.notes: dict[str, None] = {}
        self.holds_secret = False

    @property
    def here(self) -> Token:
        """The next token."""
        return self._tokens[self._at]

    def ahead(self, count: int) -> Token:
        """The token `count` after the next one, or END."""
        return self._tokens[min(self._at + count, len(self._tokens) - 1)]

    def take(self) -> Token:
        """The next token, which is then behind; END never is."""
        token = self.here
        self._at += token.sort != END
        return token

    def sees(self, *texts: str) -> bool:
        """Whether the next token is one of these."""
        return self.here.text in texts and self.here.sort in (NAME, OPERATOR)

    def accept(self, text: str) -> bool:
        """Take the next token if it is this one."""
        return self.sees(text) and bool(self.take())

    def expect(self, text: str) -> None:
        """Take the next token, which must be this one. Raises InvalidExpression."""
        if not self.accept(text):
            raise InvalidExpression(f"{text} is expected, and here is {_shown(self.here)}", "", self.here.at)

    @contextmanager
    def nested(self) -> Generator[None]:
        """One level deeper. Raises InvalidExpression where that is too deep."""
        if self._depth == MAX_DEPTH:
            raise InvalidExpression(TOO_DEEP, SPLIT, self.here.at)
        self._depth += 1
        yield
        self._depth -= 1

    def expression(self) -> Code:
        """An expression, as far as it reaches. Raises InvalidExpression."""
        with self.nested():
            parts = [self._binary(1)]
            while self.accept("??"):
                parts.append(self._binary(1))
            code = first_not_null(parts) if len(parts) > 1 else parts[0]
            if self.accept("?"):
                then = self.expression()
                self.expect(":")
                code = conditional(code, then, self.expression())
        if self.sees("=", "+=", "-=", "*=", "/=", "%=", "++", "--"):
            raise unsupported("an assignment inside an expression", self.here)
        if self.sees("&", "|", "^", "~"):
            raise unsupported(self.here.text, self.here)
        return code

    def type_name(self) -> str | None:
        """The type that is named here, without its namespace; None (and anything taken) where there is none."""
        if self.here.sort != NAME or self.here.text in _WORDS - {"var"}:
            return None
        name = self._qualified(self.take().text)
        if self.sees("<"):
            with self.nested():
                self.take()
                inner = self.type_name()
                if inner is None or not self.accept(">"):
                    return None
            name = f"{name}<{inner}>"
        if self.sees("?"):
            name += self.take().text
        if self.sees("[") and self.ahead(1).text == "]":
            self._at += 2
            name += "[]"
        return name

    def type_named(self, name: str, at: int) -> Type:
        """The type of this name. Raises InvalidExpression where it is not supported."""
        kind = named_type(name)
        if kind is None:
            raise InvalidExpression(f"the type {name} is not supported in expressions here", nearest(name, TYPES), at)
        return kind

    def begins_type(self) -> bool:
        """Whether a type and a name stand here, as a declaration begins."""
        before = self._at
        declares = self.type_name() is not None and self.here.sort == NAME and self.here.text not in ("is", "as")
        self._at = before
        return declares

    def variable(self, name: str) -> Variable | None:
        """The variable of this name, if there is one."""
        return next((scope[name] for scope in reversed(self.scopes) if name in scope), None)

    def _qualified(self, name: str) -> str:
        """The name behind a namespace."""
        path = name
        while path in _NAMESPACES and self.sees(".") and self.ahead(1).sort == NAME:
            self.take()
            name = self.take().text
            path = f"{path}.{name}"
        return name

    def _binary(self, minimum: int) -> Code:
        left = self._unary()
        while (precedence := self._precedence()) >= minimum:
            left = self._typed(left) if self.sees("is", "as") else self._row(left, precedence)
        return left

    def _precedence(self) -> int:
        return PRECEDENCE.get(self.here.text, 0) if self.here.sort in (NAME, OPERATOR) else 0

    def _row(self, left: Code, precedence: int) -> Code:
        rest: list[tuple[str, Code]] = []
        while self._precedence() == precedence and not self.sees("is", "as"):
            operator = self.take().text
            with self.nested():
                rest.append((operator, self._binary(precedence + 1)))
        if compares_references([name for name, _ in rest], [left, *(operand for _, operand in rest)]):
            self.notes[BY_REFERENCE] = None
        return chain(left, rest)

    def _typed(self, left: Code) -> Code:
        word, at = self.take().text, self.here.at
        if word == "is" and self.accept("null"):
            return chain(left, [("==", Code(NULL, at, lambda _run: None))])
        name = self.type_name()
        if name is None:
            raise InvalidExpression(f"a type is expected after {word}", "", at)
        if word == "is" and self.here.sort == NAME and self.here.text not in _WORDS:
            raise unsupported("a declaration inside an expression", self.here)
        kind = self.type_named(name, at)
        return type_test(left, kind) if word == "is" else as_type(left, kind)

    def _unary(self) -> Code:
        token = self.here
        if self.sees("!", "-"):
            with self.nested():
                self.take()
                operand = self._unary()
            return inverted(operand, token.at) if token.text == "!" else negated(operand, token.at)
        kind = self._cast()
        if kind is None:
            return self._postfix(self._primary())
        with self.nested():
            return cast_to(kind, self._unary(), token.at)

    def _cast(self) -> Type | None:
        """The type that is cast to here, behind its parentheses; None (and nothing taken) where there is no cast."""
        before = self._at
        at = self.ahead(1).at
        name = self.type_name() if self.accept("(") else None
        if name is not None and self.variable(name) is None and name != CONTEXT and self.accept(")"):
            operand = self.here.sort in (NUMBER, TEXT) or self.sees("(", "!")
            named = self.here.sort == NAME and self.here.text not in ("is", "as")
            if operand or named or (self.sees("-") and name in _KEYWORD_TYPES):
                return self.type_named(name, at)
        self._at = before
        return None

    def _primary(self) -> Code:
        token = self.take()
        if token.sort == TEXT:
            return self._text(token)
        if token.sort == NUMBER:
            return literals.number(token)
        if token.sort == NAME:
            return self._word(token)
        parameters = self.ahead(self.here.sort == NAME)
        if token.text == "(" and not (parameters.text == ")" and self.ahead((self.here.sort == NAME) + 1).text == "=>"):
            code = self.expression()
            self.expect(")")
            return code
        if token.text in ("(", "=>"):
            raise unsupported("a lambda", token, NO_LAMBDA)
        raise InvalidExpression(f"a value is expected, and here is {_shown(token)}", "", token.at)

    def _word(self, token: Token) -> Code:
        if literal := literals.word(token):
            return literal
        if token.text == "new":
            return self._array(token)
        if token.text in WORDS:
            raise unsupported(token.text, token, WORDS[token.text])
        if self.sees("=>"):
            raise unsupported("a lambda", token, NO_LAMBDA)
        if variable := self.variable(token.text):
            return reading(token, variable)
        if token.text == CONTEXT:
            return Code(Type(CONTEXT), token.at, lambda run: run)
        name = self._qualified(token.text)
        if name not in STATICS:
            raise refuse_class(name, {CONTEXT, *STATICS, *(each for scope in self.scopes for each in scope)}, token.at)
        self.expect(".")
        code, notes = static(name, self._member(safe=False))
        self.notes.update(dict.fromkeys(notes))
        return code

    def _postfix(self, first: Code) -> Code:
        links: list[Link] = []
        while self.sees(".", "?.", "[", "?["):
            token = self.take()
            safe = token.text.startswith("?")
            if token.text in (".", "?."):
                named = self._member(safe=safe)
            else:
                named = Named("[]", token.at, Call((self.expression(),)), safe)
                self.expect("]")
            each = link(links[-1].type if links else first.type, named)
            self.notes.update(dict.fromkeys(each.notes))
            links.append(each)
        if self.sees("("):
            raise InvalidExpression("what stands before it cannot be called", "", self.here.at)
        return linked(first, links) if links else first

    def _member(self, *, safe: bool) -> Named:
        token = self.take()
        if token.sort != NAME:
            raise InvalidExpression(f"a name is expected, and here is {_shown(token)}", "", token.at)
        kind = self._type_argument()
        return Named(token.text, token.at, Call(self._arguments(), kind) if self.sees("(") else None, safe)

    def _type_argument(self) -> Type | None:
        """<T>, where a call follows."""
        before, at = self._at, self.ahead(1).at
        name = self.type_name() if self.accept("<") else None
        if name is not None and self.accept(">") and self.sees("("):
            return self.type_named(name, at)
        self._at = before
        return None

    def _arguments(self) -> tuple[Code, ...]:
        values: list[Code] = []
        self.expect("(")
        while not self.accept(")"):
            if values:
                self.expect(",")
            if self.here.sort == NAME and self.ahead(1).text == ":":
                if self.here.text != "preserveContent":
                    raise unsupported(f"the name {self.here.text} of an argument", self.here)
                self._at += 2
            values.append(self.expression())
        return tuple(values)

    def _text(self, token: Token) -> Code:
        if token.single and not (
            len(token.parts) == 1 and isinstance(token.parts[0], str) and len(token.parts[0]) == 1
        ):
            self.notes[SINGLE] = None
        self.holds_secret |= any(isinstance(part, Secret) for part in token.parts)
        parts = [self._hole(part) if isinstance(part, tuple) else part for part in token.parts]
        return literals.text(token.at, parts)

    def _hole(self, tokens: tuple[Token, ...]) -> Code:
        around = self._tokens, self._at
        self._tokens, self._at = tokens, 0
        code = self.expression()
        if self.sees(":", ","):
            raise InvalidExpression("a format inside { } is not supported", "use ToString(…)", self.here.at)
        self.end()
        self._tokens, self._at = around
        return code

    def end(self) -> None:
        """Raises InvalidExpression where anything is left."""
        if self.here.sort != END:
            raise InvalidExpression(f"{_shown(self.here)} is not expected here", "", self.here.at)

    def _array(self, new: Token) -> Code:
        name = "[]" if self.sees("[") and self.take() and self.accept("]") else self.type_name()
        kind = STRINGS if name == "[]" else named_type(name or "")
        if kind != STRINGS or not self.accept("{"):
            if name and name in CLASSES:
                raise refuse_class(name, (), new.at)
            raise unsupported(f"new {name or 'object'}", new, NO_NEW)
        items: list[Code] = []
        while not self.accept("}"):
            if items:
                self.expect(",")
            if not self.sees("}"):
                items.append(self.expression())
        return literals.array(new.at, items)


def reading(token: Token, variable: Variable) -> Code:
    """The value that a variable has when it is read."""

    def compute(run: Run) -> object:
        if variable.slot not in run.variables:
            raise ExpressionError("a variable is read that has no value yet")
        return run.variables[variable.slot]

    return Code(variable.type, token.at, compute)


def _shown(token: Token) -> str:
    return {END: "the end", TEXT: "a text"}.get(token.sort, token.text)


def unsupported(what: str, token: Token, instead: str = "") -> InvalidExpression:
    """Why something that C# has is refused, and what to do instead."""
    return InvalidExpression(f"{what} is not supported in expressions here", instead, token.at)
