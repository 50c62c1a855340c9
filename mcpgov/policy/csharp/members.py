"""What `context` offers to an expression: the request, its answer, the caller and the connection in the words of API
Management. A connection is an Api, a tool an Operation, the caller a Subscription, its project a Product.

What only the platform has is empty here, and a note says so. What is refused by name stands in refused.py.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from mcpgov.policy.context import LastError, Response
from mcpgov.policy.csharp.claims import AUTHORIZATION_METHODS, CLAIMS_METHODS, JWT_METHODS, as_jwt
from mcpgov.policy.csharp.jtokens import LIST_METHODS, OBJECT_METHODS, TOKEN_METHODS
from mcpgov.policy.csharp.kinds import ENUMERATIONS, NUMBERS, STRING, TYPES, Type, default_of, same, text_of, unboxed
from mcpgov.policy.csharp.moments import DATE_METHODS, GUID_METHODS, OFFSET_METHODS, WORD_METHODS, received_at
from mcpgov.policy.csharp.signatures import Check, Method, Table, method, table, unchecked
from mcpgov.policy.csharp.statics import ENCODING_METHODS
from mcpgov.policy.csharp.strings import ARRAY_METHODS, BYTES_METHODS, STRING_METHODS
from mcpgov.policy.draft import CREDENTIAL_HEADERS

if TYPE_CHECKING:
    from mcpgov.models import Json, MCPRequest, Principal
    from mcpgov.policy.csharp.typed_code import Run

_ANY: Final = " ".join(sorted(TYPES))
_HTTPS: Final = "https"


def _of(declared: str, read: Callable[[Run], object], check: Check = unchecked) -> Method:
    return method(declared, read, check)


def _of_error(declared: str, read: Callable[[LastError], object]) -> Method:
    return method(declared, read)


def _of_response(declared: str, read: Callable[[Response], object]) -> Method:
    return method(declared, read)


def _of_principal(declared: str, read: Callable[[Principal], object]) -> Method:
    return method(declared, read)


def _request(run: Run) -> MCPRequest:
    return run.draft.context.request


def _path(run: Run) -> str:
    return f"/mcp/{run.draft.context.connection.name}"


def _host(run: Run) -> str:
    return run.draft.request_headers.get("host", "")


def _operation(run: Run) -> str:
    return _request(run).tool or _request(run).method


def _message(run: Run) -> dict[str, Json] | None:
    """The JSON-RPC message, as far as it has a method; None where the body holds none."""
    request = _request(run)
    if not request.method:
        return None
    named: dict[str, Json] = {"jsonrpc": "2.0", "method": request.method}
    if request.id is not None:
        named["id"] = request.id
    return {**named, "params": dict(request.params)} if request.params else named


def _body_as(message: dict[str, Json], kind: Type, *_preserve: object) -> object:
    return text_of(message) if kind == STRING else message


def _variable(variables: Mapping[str, object], name: str) -> object:
    return variables[name]


def _variable_or_null(variables: Mapping[str, object], name: str) -> object:
    return variables.get(name)


def _variable_as(variables: Mapping[str, object], kind: Type, name: str, *default: object) -> object:
    if name not in variables:
        return default[0] if default else default_of(kind)
    return unboxed(variables[name], kind)


def _has(names: Mapping[str, object], name: str) -> bool:
    return name in names


def _has_header(headers: Mapping[str, str], name: str) -> bool:
    return name.lower() in headers


def _header(headers: Mapping[str, str], name: str, default: str | None = None) -> str | None:
    return headers.get(name.lower(), default)


def _header_values(headers: Mapping[str, str], name: str) -> tuple[str, ...]:
    return (headers[name.lower()],)


def _check_header(literals: Sequence[str | None]) -> str:
    name = literals[0] or ""
    if name.lower() not in CREDENTIAL_HEADERS:
        return ""
    return f"{name} is not visible to expressions here, as it carries the caller's credential: it is never there"


def _status_reason(response: Response) -> str:
    return HTTPStatus(response.status).phrase


def _noting(note: str) -> Check:
    """A check that has only something to say."""
    return lambda _literals: note


_NO_QUERY: Final = _noting("a query is always empty here: an MCP client sends none, and one that comes means nothing")
_NO_PARAMETERS: Final = _noting("MatchedParameters is always empty here: the path of an MCP endpoint has no parameters")
_NO_REGION: Final = _noting("Deployment.Region is always empty here: no comparison with a region holds")


def _nothing(_run: Run) -> dict[str, str]:
    return {}


def _itself(run: Run) -> Run:
    return run


_CONTEXT: Final[Table] = table(
    _of("Variables Variables", lambda run: run.draft.variables),
    _of("Request Request", _itself),
    _of("Response Response", lambda run: run.draft.response),
    _of("LastError LastError", lambda run: run.draft.last_error),
    _of("string RequestId", lambda run: _request(run).head.correlation_id),
    _of("DateTime Timestamp", received_at),
    _of("Api Api", _itself),
    _of("Operation Operation", _itself),
    _of("Subscription Subscription", lambda run: run.draft.context.principal),
    _of("Product Product", lambda run: run.draft.context.principal if run.draft.context.principal.project else None),
    _of("User User", lambda run: run.draft.context.principal),
    _of("Deployment Deployment", _itself),
    _of("bool Tracing", lambda _run: False),
)
_REQUEST: Final[Table] = table(
    _of("Headers Headers", lambda run: run.draft.request_headers),
    _of("string Method", lambda run: _request(run).head.http_method),
    _of("string IpAddress", lambda run: _request(run).head.source_address),
    _of("Body Body", _message),
    _of("Url Url", _itself),
    _of("Url OriginalUrl", _itself),
    _of("MatchedParameters MatchedParameters", _nothing, _NO_PARAMETERS),
)
_URL: Final[Table] = table(
    _of("string Path", _path),
    _of("string Host", _host),
    _of("string Scheme", lambda _run: _HTTPS),
    _of("Query Query", _nothing, _NO_QUERY),
    _of("string QueryString", lambda _run: "", _NO_QUERY),
    _of("string ToString()", lambda run: f"{_HTTPS}://{_host(run)}{_path(run)}"),
)
_RESPONSE: Final[Table] = table(
    _of_response("int StatusCode", lambda response: response.status),
    _of_response("string StatusReason", _status_reason),
    _of_response("Headers Headers", lambda response: response.headers),
)
_LAST_ERROR: Final[Table] = table(
    _of_error("string Source", lambda error: error.source),
    _of_error("string Reason", lambda error: error.reason),
    _of_error("string Message", lambda error: error.message),
    _of_error("string Scope", lambda error: error.scope),
    _of_error("string Section", lambda error: error.section),
    _of_error("string Path", lambda error: error.path),
    _of_error("string PolicyId", lambda error: error.policy_id),
)
_API: Final[Table] = table(
    _of("string Id", lambda run: run.draft.context.connection.name),
    _of("string Name", lambda run: run.draft.context.connection.name),
    _of("string Path", lambda run: _path(run).removeprefix("/")),
    _of("string Version", lambda _run: ""),
    _of("string Revision", lambda _run: "1"),
    _of("bool IsCurrentRevision", lambda _run: True),
)
_OPERATION: Final[Table] = table(
    _of("string Id", _operation),
    _of("string Name", _operation),
    _of("string Method", lambda run: _request(run).head.http_method),
    _of("string UrlTemplate", _path),
)
_DEPLOYMENT: Final[Table] = table(
    _of("string Region", lambda _run: "", _NO_REGION),
    _of("string ServiceName", lambda _run: "mcpgov"),
    _of("string GatewayId", lambda _run: "mcpgov"),
)
_SUBSCRIPTION: Final[Table] = table(
    _of_principal("string Id", lambda caller: caller.id),
    _of_principal("string Name", lambda caller: caller.name),
)
_PRODUCT: Final[Table] = table(
    _of_principal("string Id", lambda caller: caller.project),
    _of_principal("string Name", lambda caller: caller.project),
)
_USER: Final[Table] = table(
    _of_principal("string Id", lambda caller: caller.object_id or caller.id),
    _of_principal("string Name", lambda caller: caller.name),
)
_VARIABLES: Final[Table] = table(
    method("object [](string)", _variable),
    method("bool ContainsKey(string)", _has),
    method("object GetValueOrDefault(string)", _variable_or_null),
    method(f"T GetValueOrDefault<T: {_ANY}>(string)", _variable_as),
    method(f"T GetValueOrDefault<T: {_ANY}>(string, T)", _variable_as),
)
_HEADERS: Final[Table] = table(
    method("string[] [](string)", _header_values, _check_header),
    method("bool ContainsKey(string)", _has_header, _check_header),
    method("string GetValueOrDefault(string)", _header, _check_header),
    method("string GetValueOrDefault(string, string?)", _header, _check_header),
)
_PARAMETERS: Final[Table] = table(
    method("bool ContainsKey(string)", _has),
    method("string GetValueOrDefault(string)", _header),
    method("string GetValueOrDefault(string, string?)", _header),
)
_QUERY: Final[Table] = {**_PARAMETERS, **table(method("string [](string)", _variable))}
_BODY: Final[Table] = table(
    method("T As<T: string JObject JToken object>()", _body_as),
    method("T As<T: string JObject JToken object>(bool)", _body_as),
)
_PRINTED_METHODS: Final[Table] = table(method("string ToString()", text_of), method("bool Equals(object)", same))
MEMBERS: Final[Mapping[str, Table]] = {
    "context": _CONTEXT,
    "Request": _REQUEST,
    "Response": _RESPONSE,
    "LastError": _LAST_ERROR,
    "Url": _URL,
    "Api": _API,
    "Operation": _OPERATION,
    "Deployment": _DEPLOYMENT,
    "Subscription": _SUBSCRIPTION,
    "Product": _PRODUCT,
    "User": _USER,
    "Variables": _VARIABLES,
    "Headers": _HEADERS,
    "MatchedParameters": _PARAMETERS,
    "Query": _QUERY,
    "Body": _BODY,
    "Encoding": ENCODING_METHODS,
    "string": {**STRING_METHODS, **table(method("context Jwt AsJwt()", as_jwt))},
    "string[]": ARRAY_METHODS,
    "byte[]": BYTES_METHODS,
    "JToken": TOKEN_METHODS,
    "JObject": OBJECT_METHODS,
    "JArray": LIST_METHODS,
    "Guid": GUID_METHODS,
    "Jwt": JWT_METHODS,
    "Authorization": AUTHORIZATION_METHODS,
    "Claims": CLAIMS_METHODS,
    "DateTime": DATE_METHODS,
    "DateTimeOffset": OFFSET_METHODS,
    **dict.fromkeys(("bool", "object", *NUMBERS), _PRINTED_METHODS),
    **dict.fromkeys(ENUMERATIONS, WORD_METHODS),
}
