"""What `context` offers to an expression: the request, its answer, the caller and the connection in the words of API
Management. A connection is an Api, a tool an Operation, the caller a Subscription, its project a Product.

What is refused is refused by name, with the reason: a body that streams, a credential, what only the platform has.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from mcpgov.policy.context import LastError, Response
from mcpgov.policy.csharp.jtokens import LIST_METHODS, OBJECT_METHODS, TOKEN_METHODS
from mcpgov.policy.csharp.kinds import ENUMERATIONS, NUMBERS, STRING, TYPES, Type, default_of, same, text_of, unboxed
from mcpgov.policy.csharp.moments import DATE_METHODS, GUID_METHODS, OFFSET_METHODS, WORD_METHODS, received_at
from mcpgov.policy.csharp.signatures import Method, Table, method, table
from mcpgov.policy.csharp.statics import ENCODING_METHODS
from mcpgov.policy.csharp.strings import ARRAY_METHODS, BYTES_METHODS, STRING_METHODS
from mcpgov.policy.draft import CREDENTIAL_HEADERS

if TYPE_CHECKING:
    from mcpgov.models import Json, MCPRequest, Principal
    from mcpgov.policy.csharp.typed_code import Run

_ANY: Final = " ".join(sorted(TYPES))
_HTTPS: Final = "https"


def _of(declared: str, read: Callable[[Run], object]) -> Method:
    return method(declared, read)


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
    _of("Parameters MatchedParameters", _nothing),
)
_URL: Final[Table] = table(
    _of("string Path", _path),
    _of("string Host", _host),
    _of("string Scheme", lambda _run: _HTTPS),
    _of("Parameters Query", _nothing),
    _of("string QueryString", lambda _run: ""),
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
    _of("string Region", lambda _run: ""),
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
    method("string [](string)", _variable),
    method("bool ContainsKey(string)", _has),
    method("string GetValueOrDefault(string)", _header),
    method("string GetValueOrDefault(string, string?)", _header),
)
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
    "Parameters": _PARAMETERS,
    "Body": _BODY,
    "Encoding": ENCODING_METHODS,
    "string": STRING_METHODS,
    "string[]": ARRAY_METHODS,
    "byte[]": BYTES_METHODS,
    "JToken": TOKEN_METHODS,
    "JObject": OBJECT_METHODS,
    "JArray": LIST_METHODS,
    "Guid": GUID_METHODS,
    "DateTime": DATE_METHODS,
    "DateTimeOffset": OFFSET_METHODS,
    **dict.fromkeys(("bool", "object", *NUMBERS), _PRINTED_METHODS),
    **dict.fromkeys(ENUMERATIONS, WORD_METHODS),
}
_STREAMS: Final = "reading the body of an answer would hold up a stream"
_NO_SUCH: Final = "there is none here"
_LATER: Final = "the claims of a token are not visible to expressions here"
REFUSED: Final[Mapping[tuple[str, str], str]] = {
    ("Response", "Body"): _STREAMS,
    ("Request", "Certificate"): "the client's certificate is not visible to expressions here",
    ("Subscription", "Key"): "the caller's credential is not visible to expressions",
    ("Subscription", "PrimaryKey"): "the caller's credential is not visible to expressions",
    ("Subscription", "SecondaryKey"): "the caller's credential is not visible to expressions",
    ("context", "Elapsed"): "the time that passed would make a decision that cannot be made again",
    ("string", "AsJwt"): _LATER,
    ("string", "TryParseJwt"): _LATER,
    ("string", "AsBasic"): "the caller's credential is not visible to expressions",
    ("string", "TryParseBasic"): "the caller's credential is not visible to expressions",
}
_CRYPTOGRAPHY: Final = "cryptography is not supported in expressions here"
REFUSED_CLASSES: Final[Mapping[str, str]] = {
    **dict.fromkeys(("SHA256", "HMACSHA256", "SHA512", "HMACSHA512", "MD5", "SHA1", "RSA", "Aes"), _CRYPTOGRAPHY),
    **dict.fromkeys(("Random", "Environment", "Thread", "Task"), "what gives another value each time is not supported"),
    **dict.fromkeys(("XDocument", "XElement", "XmlDocument"), "XML is not read in expressions here"),
}
LINQ: Final = frozenset(
    {
        "Where",
        "Select",
        "SelectMany",
        "OrderBy",
        "OrderByDescending",
        "GroupBy",
        "Aggregate",
        "All",
        "Sum",
        "Skip",
        "Take",
    }
    | {"Distinct", "ToList", "ToArray", "ToDictionary", "Cast", "OfType", "Single", "SingleOrDefault", "Zip", "Union"}
)
