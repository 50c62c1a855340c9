"""Where the ids of tasks stand in messages, and their rewriting. Pure.

Sources: MCP 2025-11-25, Utilities, "Tasks"; the extension io.modelcontextprotocol/tasks for 2026-07-28 (SEP-2663).
Rules: a request names a task by the id that its caller was given and no other (a server behind one shared credential
cannot tell the gateway's callers apart: CVE-2026-52870), else it is refused as one for a task that never was. In what
comes back the same ids are sealed; a place that is missed there shows an id that nobody can use. `tasks/list` is
refused: it shows what everybody's credential sees. In 2025-11-25 a client may run tasks of its own for the server;
their ids are the client's, and pass.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from mcpgov.decision import Reason
from mcpgov.errors import Refusal
from mcpgov.json_spans import with_value
from mcpgov.messages import LIMITS, is_response, mapping
from mcpgov.models import Era, Kind
from mcpgov.strict_json import parse

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from mcpgov.models import Json, MCPRequest

    Path = tuple[str, ...]
    Opened = Callable[[str], str | None]
    Sealed = Callable[[str], str]

LIST: Final = "tasks/list"
REMOVED: Final = "tasks/result"  # in 2026-07-28 (SEP-2663)
KEY: Final = "taskId"
_KEY: Final = KEY.encode()
METHOD_NOT_FOUND: Final = -32601
_RELATED: Final = ("_meta", "io.modelcontextprotocol/related-task", KEY)
_SUBSCRIBED: Final = ("params", "notifications", "taskIds")
# A task is told by its id and its status. In a completed one, the result may be inside (2026-07-28).
_RESULTS: Final = (("result",), ("result", "task"), ("result", "result"))


def opened(request: MCPRequest, own: Opened) -> MCPRequest:
    """The request with the upstream's ids of tasks in it. `own` gives the one that an id stands for.

    Raises Refusal (unknown-task).
    """
    if request.kind is Kind.REQUEST:
        return _with_own(request, own)
    if request.kind in {Kind.NOTIFICATION, Kind.RESPONSE} and KEY.encode() in request.body:
        return _with_known(request, own)
    return request


def _require_served(request: MCPRequest) -> None:
    """Refuse what is asked of tasks and answered by nobody here. Raises Refusal (unknown-task)."""
    if request.method == REMOVED and request.era is Era.STATELESS:
        refusal = unknown("Method not found: a task's result comes with the task.")
        refusal.code = METHOD_NOT_FOUND
        raise refusal
    if request.method == LIST:
        refusal = unknown("Method not found: the tasks that one server has for several callers are not listed.")
        refusal.code = METHOD_NOT_FOUND
        raise refusal


def _with_own(request: MCPRequest, own: Opened) -> MCPRequest:
    _require_served(request)
    if _names_none(request.params):
        return request
    message: dict[str, Json] = {"params": dict(request.params)}
    named = ("params", KEY)
    for path in (named, ("params", *_RELATED)):
        given = _at(message, path)
        if given is None:
            continue
        found = own(given) if isinstance(given, str) else None
        if found is None:
            raise unknown()
        request = _put(request, path, found)
        if path == named and request.name == given:
            request = replace(request, name=found)
    wanted = _at(message, _SUBSCRIBED)
    if isinstance(wanted, list):  # a server leaves out those that it does not know
        known: list[Json] = [found for one in wanted if isinstance(one, str) and (found := own(one)) is not None]
        request = _put(request, _SUBSCRIBED, known)
    return request


def _names_none(params: Mapping[str, Json]) -> bool:
    """Whether there is nothing in any of the places where the id of a task may stand."""
    meta = params.get("_meta")
    related = isinstance(meta, dict) and _RELATED[1] in meta
    return not (related or KEY in params or "notifications" in params)


def _with_known(request: MCPRequest, own: Opened) -> MCPRequest:
    """What is said of a task of the upstream's; any other is the client's own."""
    message = mapping(parse(request.body, LIMITS))
    for path in (("params", *_RELATED), ("result", *_RELATED)):
        given = _at(message, path)
        if isinstance(given, str) and (found := own(given)) is not None:
            request = _put(request, path, found)
    return request


def _put(request: MCPRequest, path: Path, value: Json) -> MCPRequest:
    body = with_value(request.body, path, json.dumps(value))
    params = _replaced(request.params, path[1:], value) if path[0] == "params" else request.params
    return replace(request, body=body or request.body, params=params)


def _replaced(parent: Mapping[str, Json], path: Path, value: Json) -> dict[str, Json]:
    first, *rest = path
    return {**parent, first: _replaced(mapping(parent[first]), tuple(rest), value) if rest else value}


def may_name_one(data: bytes) -> bool:
    """Whether the id of a task may stand in a message."""
    return _KEY in data


def sealed(data: bytes, seal: Sealed, message: Mapping[str, Json] | None = None) -> bytes:
    """The upstream's message with its ids of tasks sealed; `message` is what was read there, if it was.

    Every other byte stays, and so does what is no message.
    """
    if not may_name_one(data):
        return data
    try:
        message = mapping(parse(data, LIMITS)) if message is None else message
    except Refusal:
        return data
    for path in _sealable(message):
        given = _at(message, path)
        value: Json = [seal(one) for one in given if isinstance(one, str)] if isinstance(given, list) else None
        if isinstance(given, str):
            value = seal(given)
        if value is not None:
            data = with_value(data, path, json.dumps(value)) or data
    return data


def _sealable(message: Mapping[str, Json]) -> Iterator[Path]:
    """The places in a message from the upstream where an id of one of its tasks may stand."""
    if is_response(message):
        for path in _RESULTS:
            if isinstance(_at(message, (*path, "status")), str):
                yield (*path, KEY)
            yield (*path, *_RELATED)
        return
    yield ("params", *_RELATED)
    yield _SUBSCRIBED
    if str(message.get("method")).startswith("notifications/tasks"):  # a request names a task that the client runs
        yield ("params", KEY)


def _at(message: Mapping[str, Json], path: Sequence[str]) -> Json:
    found: Json = dict(message)
    for key in path:
        found = found.get(key) if isinstance(found, dict) else None
    return found


def unknown(message: str = "Task not found.") -> Refusal:
    """The refusal of a task that is not this caller's: as of one that never was."""
    return Refusal(Reason.UNKNOWN_TASK, message)
