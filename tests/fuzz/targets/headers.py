"""The gate out, towards the upstream: whatever a caller sends and a policy edits, no credential and no second field.

A case is the caller's fields, a line each; then an empty line and edits, `action name: value`, a line each.
"""

from __future__ import annotations

import re
from dataclasses import replace

from mcpgov.decision import Changes, HeaderEdit
from mcpgov.errors import Refusal
from mcpgov.models import Credential, Era, Headers, Secret
from mcpgov.upstream.headers import encoded, outgoing
from tests.fuzz.target import Target
from tests.upstream.calls import ALLOWED, call

OURS = "Bearer upstream-key"
KEYED = Credential("CustomKeys", "test#key", (("Authorization", Secret(OURS)),))
URL = "https://mcp.example.com:8443/mcp"
NAME, VALUE = re.compile(r"[!#$%&'*+.^_`|~0-9a-z-]+"), re.compile(r"[ -~\t]*")
ACTIONS = ("override", "skip", "append", "delete")
ONCE = {"host", "authorization", "content-type", "accept", "mcp-method", "mcp-name", "mcp-protocol-version"}
WORDS = (
    *("authorization: Bearer caller-secret", "cookie: caller-secret", "x-api-key: caller-secret", "connection: x-a"),
    *("mcp-param-a: 1", "mcp_param_a: 1", "baggage: a=b", "accept-language: de", "x-forwarded-for: 1.2.3.4", "host: e"),
    *("override ", "skip ", "append ", "delete ", "Authorization: x", "Mcp-Name: x", "x_a: 1", "\n\n", "\r", "\0"),
    *("content-length: 5", "transfer-encoding: chunked", "accept: */*", "last-event-id: 3", "=?base64?", "?="),
    *("accept-encoding: gzip", "traceparent: x", "tracestate: a=1", "x-a: caller"),
)


def judge(data: bytes) -> None:
    """One set of fields and edits."""
    top, _, below = data.decode("latin-1").partition("\n\n")
    fields = tuple(
        (name.strip().lower(), value.strip()) for name, _, value in (one.partition(":") for one in lines(top))
    )
    changes = Changes(edits(below), forwarded=("x-a", "authorization", "cookie", "x-api-key", "host", "te"))
    for era in Era:
        tool = below[:40] or "echo"
        request = call(params={"name": tool, "arguments": {}}, era=era)
        request = replace(request, head=replace(request.head, headers=Headers(fields)))
        try:
            sent = outgoing(request, replace(ALLOWED, changes=changes), KEYED, URL)
        except Refusal as error:
            judge_refused(error, Headers(fields), edits(below))
            continue
        judge_sent(sent, Headers(fields), edits(below))
        if era is Era.STATELESS:
            assert dict(sent)["mcp-name"] == encoded(tool)
            assert dict(sent)["mcp-method"] == "tools/call"


def judge_refused(error: Refusal, given: Headers, made: tuple[HeaderEdit, ...]) -> None:
    """No value of a field is told. The name of one is, as a literal, whatever somebody took for a name."""
    told = error.message + error.detail
    for name in (*(name for name, _ in given.fields), *(edit.name for edit in made)):
        told = told.replace(ascii(name), "").replace(ascii(name.lower()), "")
    assert "caller-secret" not in told, "a value was told"


def judge_sent(sent: tuple[tuple[str, str], ...], given: Headers, made: tuple[HeaderEdit, ...]) -> None:
    """What goes out is ours."""
    names = [name.replace("_", "-") for name, _ in sent]
    assert all(NAME.fullmatch(name) and VALUE.fullmatch(value) for name, value in sent), "a field that is none"
    assert all(names.count(name) <= 1 for name in ONCE), "a field that stands twice"
    assert dict(sent)["authorization"] == OURS, "not the connection's credential"
    assert dict(sent)["host"] == "mcp.example.com:8443"
    assert dict(sent)["accept-encoding"] == "identity"
    edited = {edit.name.lower().replace("_", "-") for edit in made}
    for name in ("cookie", "x-api-key", "x-forwarded-for", "transfer-encoding", "content-length", "connection", "te"):
        assert name not in names or name in edited, "a field of the caller crossed"
    nominated = {one.strip().lower() for value in given.all("connection") for one in value.split(",")}
    assert "x-a" not in nominated or "x-a" not in names or "x-a" in edited, "a hop-by-hop field crossed"


def lines(text: str) -> list[str]:
    """The lines of a text, at most a few."""
    return text.split("\n")[:24] if text else []


def edits(text: str) -> tuple[HeaderEdit, ...]:
    """The edits that a text names."""
    made: list[HeaderEdit] = []
    for line in lines(text):
        action, _, rest = line.partition(" ")
        name, _, value = rest.partition(": ")
        if action in ACTIONS:
            made.append(HeaderEdit(name, action, (value,)))
    return tuple(made)


TARGET = Target(judge, WORDS)
