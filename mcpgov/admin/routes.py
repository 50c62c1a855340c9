"""What a route of the admin API is: what is asked, who may ask it, and what comes back. The document follows from it.

One declaration serves dispatch, the check of the role, the check of the parameters and the OpenAPI document, so that
none can say something else. A path has no default: what is not declared is not there.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import field
from typing import TYPE_CHECKING, Any, Final, cast
from urllib.parse import unquote

from mcpgov.admin.access import AdminRefusal, Fault, Role
from mcpgov.errors import Refusal
from mcpgov.frozen import frozen
from mcpgov.strict_json import JsonLimits, parse

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mcpgov.admin.access import Person

BASE: Final = "/admin/v1"
JSON_TYPE: Final = "application/json"
LIMITS: Final = JsonLimits(depth=8)  # of a body: none has more than lists in it
_VARIABLE: Final = re.compile(r"\{(\w+)\}")


@frozen
class Parameter:
    """Something that stands in the query, or a member of the body."""

    name: str
    summary: str
    choices: tuple[str, ...] = ()
    required: bool = False
    many: bool = False  # a list of texts; in a body only


@frozen
class Asked:
    """One request, checked as far as its route says: who asks, what the path names, the query, the body."""

    person: Person
    path: Mapping[str, str] = field(default_factory=dict[str, str])
    query: Mapping[str, str] = field(default_factory=dict[str, str])
    body: Mapping[str, Any] = field(default_factory=dict[str, Any])

    def text(self, name: str) -> str:
        """A text of the body; empty where it is not there."""
        return str(self.body.get(name, ""))


@frozen
class Reply:
    """What comes back: a value that becomes JSON, or `chunks` of another type, as they are ready. `headers` join it."""

    value: object = None
    status: int = 200
    content_type: str = JSON_TYPE
    chunks: AsyncIterator[bytes] | None = None
    filename: str = ""
    headers: tuple[tuple[str, str], ...] = ()


@frozen
class Route:
    """One thing that can be asked. `returns` is what the document says of the answer, `status` is that of success."""

    method: str
    path: str  # behind BASE
    role: Role
    summary: str
    returns: str
    answer: Callable[[Asked], Awaitable[Reply]]
    query: tuple[Parameter, ...] = ()
    body: tuple[Parameter, ...] = ()
    content_type: str = JSON_TYPE
    status: int = 200

    @property
    def name(self) -> str:
        """How the document calls it: get-audit-calls."""
        return "-".join(part for part in re.split(r"[/{}.]+", f"{self.method.lower()}/{self.path}") if part)


def matched(declared: str, path: str) -> Mapping[str, str] | None:
    """What a path names, as it is declared; None where it is another path."""
    pattern = _VARIABLE.sub(r"(?P<\1>[^/]{1,256})", declared.replace(".", r"\."))
    found = re.fullmatch(pattern, path)
    return {name: unquote(value) for name, value in found.groupdict().items()} if found else None


def find_route(routes: Sequence[Route], method: str, path: str) -> tuple[Route, Mapping[str, str]]:
    """The route that serves a request. Raises AdminRefusal (not-found, method-not-allowed)."""
    there = [(route, found) for route in routes if (found := matched(route.path, path)) is not None]
    for route, found in there:
        if route.method == method:
            return route, found
    if there:
        known = ", ".join(sorted({route.method for route, _ in there}))
        raise AdminRefusal(Fault.METHOD_NOT_ALLOWED, f"This path has {known}.", known)
    raise AdminRefusal(Fault.NOT_FOUND, f"There is no such path. See {BASE}/openapi.json.")


def check_query(route: Route, query: Mapping[str, str]) -> None:
    """Raise AdminRefusal (invalid-request) for a parameter that the route does not have, lacks, or cannot be so."""
    check(route.query, query, "parameter")


def parse_body(route: Route, raw: bytes) -> Mapping[str, Any]:
    """The members of a body, as the route declares them. Raises AdminRefusal (invalid-request)."""
    if not route.body:
        if raw:
            raise AdminRefusal(Fault.INVALID_REQUEST, "This has no body.")
        return {}
    try:
        body = parse(raw, LIMITS)
    except Refusal as refusal:
        raise AdminRefusal(Fault.INVALID_REQUEST, refusal.message) from None
    if not isinstance(body, dict):
        raise AdminRefusal(Fault.INVALID_REQUEST, "The body is not a JSON object.")
    for one in route.body:
        if not fits(body.get(one.name, [] if one.many else ""), many=one.many):
            kind = "a list of texts" if one.many else "text"
            raise AdminRefusal(Fault.INVALID_REQUEST, f"The member {one.name} must be {kind}.")
    check(route.body, body, "member")
    return body


def fits(value: object, *, many: bool) -> bool:
    """Whether a member of a body is text, or where it has to be a list of texts."""
    if not many:
        return isinstance(value, str)
    return isinstance(value, list) and all(isinstance(item, str) for item in cast("list[object]", value))


def check(declared: Sequence[Parameter], given: Mapping[str, object], what: str) -> None:
    """Raise AdminRefusal (invalid-request) unless what is given is what is declared."""
    known = {one.name: one for one in declared}
    if unknown := sorted(given.keys() - known.keys()):
        have = ", ".join(known) or "none"
        raise AdminRefusal(Fault.INVALID_REQUEST, f"There is no {what} {unknown[0][:64]}. There is: {have}.")
    for one in declared:
        if one.required and not given.get(one.name):
            raise AdminRefusal(Fault.INVALID_REQUEST, f"The {what} {one.name} is missing.")
        if one.choices and given.get(one.name) and given[one.name] not in one.choices:
            raise AdminRefusal(Fault.INVALID_REQUEST, f"The {what} {one.name} must be one of {', '.join(one.choices)}.")
