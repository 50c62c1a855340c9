"""What a refused caller is told of how to sign in: the WWW-Authenticate header of 401 and 403. Pure.

Sources: RFC 6750 section 3, RFC 9728 section 5.1, MCP 2026-07-28, Authorization. Rules: only a refusal that says who
calls is not known, or that their token is not enough, invites to sign in; a policy that says no never does, or clients
would ask people to sign in again and again. `error` stands there only where a token was presented. Nothing of the
token is in it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from mcpgov.decision import Reason
from mcpgov.endpoint.metadata import document_url, scopes_of
from mcpgov.errors import ANSWERS, UNKNOWN_CALLER

if TYPE_CHECKING:
    from mcpgov.endpoint.metadata import ResourceMetadata
    from mcpgov.errors import Refusal
    from mcpgov.models import RequestHead

UNAUTHENTICATED: Final = 401
FORBIDDEN: Final = 403
LONGEST_DESCRIPTION: Final = 200  # characters
_NOT_DESCRIBABLE: Final = re.compile(r"[^\x20-\x21\x23-\x5b\x5d-\x7e]+")  # error_description, RFC 6750 section 3


def challenge(refusal: Refusal, head: RequestHead, metadata: ResourceMetadata | None) -> tuple[tuple[str, str], ...]:
    """The header fields that go with a refusal: one WWW-Authenticate, or none.

    None without `metadata`: there is nothing to sign in to, and the reply says plain Bearer.
    """
    if metadata is None:
        return ()
    status = (refusal.reply and refusal.reply.status) or ANSWERS[refusal.reason].status
    fields: dict[str, str] = {}
    if refusal.reason in UNKNOWN_CALLER and status == UNAUTHENTICATED:
        if "authorization" in head.headers:
            fields = {"error": "invalid_token", "error_description": _described(refusal.message)}
    elif refusal.reason is Reason.SCOPE_MISSING and status == FORBIDDEN:
        fields = {"error": "insufficient_scope"}
    else:
        return ()
    if scopes := scopes_of(metadata, head.connection):
        fields["scope"] = " ".join(scopes)
    fields["resource_metadata"] = document_url(metadata, head.connection)
    written = ", ".join(f'{name}="{value}"' for name, value in fields.items())
    return (("WWW-Authenticate", f"Bearer {written}"),)


def _described(message: str) -> str:
    """A message as a quoted string can hold it."""
    return _NOT_DESCRIBABLE.sub("'", message)[:LONGEST_DESCRIPTION]
