"""Writes our span into the message that goes upstream, and changes no other byte of it. Pure.

A server that logs `params._meta.traceparent` (SEP-414), as every server over stdio must that wants to take part in a
trace, logs the id that leads back to our records. This is the one thing that mcpgov writes into a message by itself:
what a policy saw goes up as it stood, the arguments' bytes above all.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from mcpgov.json_spans import with_first_member, with_value
from mcpgov.models import Kind
from mcpgov.trace_context import FIELD, context_of

if TYPE_CHECKING:
    from mcpgov.models import MCPRequest

META: Final = "_meta"
PARAMS: Final = "params"
UNTRACED: Final = "initialize"  # what both sides say of themselves; the header has it


def traced(request: MCPRequest) -> MCPRequest:
    """The request as it is sent: with our traceparent where it has `params`, else as it is (the header has it)."""
    if request.kind is not Kind.REQUEST or request.method == UNTRACED:
        return request
    written = f'"{context_of(request.head, request).traceparent}"'
    meta = request.params.get(META)
    if META not in request.params:
        body = with_first_member(request.body, (PARAMS,), META, f'{{"{FIELD}":{written}}}')
    elif isinstance(meta, dict) and FIELD in meta:
        body = with_value(request.body, (PARAMS, META, FIELD), written)
    else:
        body = with_first_member(request.body, (PARAMS, META), FIELD, written)
    return request if body is None else replace(request, body=body)
