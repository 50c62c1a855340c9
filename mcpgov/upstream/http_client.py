"""The seam between forwarding and HTTP: one request out, one answer back, and the five ways in which that fails.

A client follows nothing, decodes nothing, keeps no cookie, knows no proxy, and sends a request once: what broke may
have run. Its failures are told as refusals, without any text of the upstream's or of an error.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from mcpgov.decision import Reason
from mcpgov.errors import Refusal
from mcpgov.frozen import frozen
from mcpgov.models import RemoteUpstream

Fields = tuple[tuple[str, str], ...]


@frozen
class HttpRequest:
    """What is sent: `url` as it is written, `fields` with `host` among them and checked for what no header can hold.

    `deadline` is a time of the loop's clock: until then the connection and the head have to be here, and the body too,
    unless the answer `may_take_its_time`.
    """

    method: str  # POST, GET or DELETE
    url: str
    fields: Fields
    body: bytes
    deadline: float


class HttpResponse(Protocol):
    """An answer whose head is here. Its fields have lower-case names, and values as latin-1 text."""

    @property
    def status(self) -> int:
        """The status code."""
        ...

    @property
    def fields(self) -> Fields:
        """The header fields, in the order received."""
        ...

    async def read(self) -> bytes:
        """All that has come of the body, at least a byte; empty at its end. Raises Refusal."""
        ...

    def may_take_its_time(self) -> None:
        """The deadline no longer counts."""
        ...

    def close(self) -> None:
        """Hang up at once, unless the answer is whole."""
        ...


class HttpClient(Protocol):
    """What speaks to one upstream, and to its backends."""

    async def request(self, request: HttpRequest) -> HttpResponse:
        """Send a request, once. Raises Refusal."""
        ...

    async def close(self) -> None:
        """Close every socket, also of calls that run or are still connecting: those get upstream-reset."""
        ...


OpenClient = Callable[[RemoteUpstream], HttpClient]


def timed_out() -> Refusal:
    """The deadline passed."""
    return Refusal(Reason.UPSTREAM_TIMEOUT, "The upstream did not answer in time.")


def address_denied(detail: str = "") -> Refusal:
    """What the URL leads to is not allowed."""
    message = "This upstream is not allowed to have such an address."
    return Refusal(Reason.UPSTREAM_ADDRESS_DENIED, message, detail=detail)


def unreachable(detail: str) -> Refusal:
    """No connection could be made."""
    return Refusal(Reason.UPSTREAM_UNREACHABLE, "The upstream cannot be reached.", detail=detail)


def invalid(detail: str) -> Refusal:
    """What came is no HTTP answer."""
    return Refusal(Reason.UPSTREAM_INVALID, "The upstream did not answer as an HTTP server.", detail=detail)


def broke_off(detail: str) -> Refusal:
    """The connection ended before the answer did."""
    return Refusal(Reason.UPSTREAM_RESET, "The upstream broke off the connection.", detail=detail)
