"""Drafts and named values for the tests of API Management's expressions, and what becomes of an expression on them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from mcpgov.errors import ExpressionError, InvalidExpression
from mcpgov.models import (
    Connection,
    Era,
    Headers,
    Kind,
    MCPRequest,
    Principal,
    PrincipalKind,
    RemoteUpstream,
    RequestHead,
    Secret,
)
from mcpgov.policy.context import Context
from mcpgov.policy.csharp.program import compile_csharp, is_expression
from mcpgov.policy.draft import Draft

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mcpgov.models import Json
    from mcpgov.policy.csharp.program import CSharp

MOMENT = datetime(2026, 11, 21, 9, 5, 7, 123456, tzinfo=UTC)  # a Saturday
HEADERS = (
    ("host", "gate.contoso.com"),
    ("x-region", "eu"),
    ("authorization", "Bearer x"),
    ("accept", "a"),
    ("accept", "b"),
)
ARGUMENTS: Mapping[str, Json] = {"n": 5, "half": 0.5, "name": "Ann", "on": True, "none": None, "list": [1, "b"]}
NAMED: Mapping[str, str | Secret] = {
    "region": "eu",
    "limit": "40 + 2",
    "more": "1" + "+1" * 4_000,
    "key": Secret("s3cret"),
    "quoted": '"eu"',
}


def draft(method: str = "tools/call", /, **given: object) -> Draft:
    """A call of get_issue by the key k1 of the project agents on the connection github; `given`: variables of it."""
    head = RequestHead("POST", "github", Headers(HEADERS), "10.0.0.1", "10.0.0.7", MOMENT, "c1")
    is_call = method == "tools/call"
    params: dict[str, Json] = {"name": "get_issue", "arguments": dict(ARGUMENTS)} if is_call else {}
    name = "get_issue" if is_call else ""
    number = 7 if method else None
    request = MCPRequest(head, Era.HANDSHAKE, Kind.REQUEST, "2025-11-25", b"{}", number, method, name, params)
    caller = Principal("key:k1", PrincipalKind.KEY, name="first", project="agents")
    connection = Connection("github", "com.contoso/github", RemoteUpstream("https://api.contoso.com"))
    return Draft(Context(request, caller, connection), variables=dict(given))


def compiled(text: str) -> CSharp:
    """The expression, with NAMED as its named values; @( … ) is put around it where it is missing."""
    return compile_csharp(_whole(text), NAMED.get)


def value(text: str, given: Draft | None = None) -> object:
    """What an expression gives."""
    return compiled(text).value(given or draft())


def failure(text: str, given: Draft | None = None) -> str:
    """Why an expression has no value."""
    program = compiled(text)
    with pytest.raises(ExpressionError) as raised:
        program.value(given or draft())
    return str(raised.value)


def refusal(text: str) -> str:
    """Why an expression is refused, as `what stands there <- message (mend)`, each as far as the next blank or |."""
    whole = _whole(text)
    with pytest.raises(InvalidExpression) as raised:
        compile_csharp(whole, NAMED.get)
    error = raised.value
    assert error.offset is not None
    return f"{whole[error.offset :][:12]} <- {error.message}" + (f" ({error.mend})" if error.mend else "")


def _whole(text: str) -> str:
    return text if is_expression(text) or text in ("@", "@[1]") else f"@({text})"
