"""Which HTTP header names and values a policy may write, so that none can end a line or change what a message is.

Sources: RFC 9110 sections 5.1 (names are tokens), 5.5 (values), 7.6.1 (fields of one hop).
"""

from __future__ import annotations

import re
from typing import Final

_TOKEN: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,128}")
_VALUE: Final = re.compile(r"(?:[!-~](?:[ -~]*[!-~])?)?")  # visible ASCII, blanks only inside
_OF_ONE_HOP: Final = frozenset({
    *("connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection", "te", "trailer"),
    *("transfer-encoding", "upgrade"),
})  # fmt: skip
_OF_THE_MESSAGE: Final = frozenset({
    *("host", "content-length", "content-type", "content-encoding", "accept", "accept-encoding", "expect"),
    "last-event-id",
})  # fmt: skip


def is_token(name: str) -> bool:
    """Whether `name` can be the name of a header field."""
    return _TOKEN.fullmatch(name) is not None


def is_value(value: str) -> bool:
    """Whether `value` can be sent as it stands: no CR, LF, NUL or anything else that is not visible ASCII."""
    return _VALUE.fullmatch(value) is not None


def folded(name: str) -> str:
    """One spelling for the names that a server may read as one."""
    return name.lower().replace("_", "-")


def is_ours(name: str) -> bool:
    """Whether the field says how the message is carried or read (framing, routing, MCP's own); no policy may touch it.

    Some servers read `_` as `-`, so the two are not told apart.
    """
    name = folded(name)
    return name in _OF_ONE_HOP or name in _OF_THE_MESSAGE or name.startswith("mcp-")
