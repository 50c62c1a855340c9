"""Keys that are none, tools under other names, bodies that are not looked at: S3, S6, P1, P3 and P6."""

import base64
import gzip
import json
import zlib
from collections.abc import Iterator
from typing import Final

from mcpgov.identity.api_key import mint_key
from tests.hostile.http_requests import ARGUMENTS, BODY
from tests.hostile.wire import EVIL, HANDSHAKES, KEY, META, SAFE, STATELESS, Case, Fate, call, fields, message, request

CARRIERS: Final = ("Cookie", "Proxy-Authorization", "X-Api-Token", "X-Auth-Token", "X-Access-Token",
    "X-Amz-Security-Token", "X-Goog-Api-Key", "Api-Key", "Ocp-Apim-Subscription-Key",
                   "X-Ms-Token-Aad-Access-Token", "X-Forwarded-Access-Token", "X-Id-Token", "X-Jwt-Assertion",
                   "X-User-Token", "X-Github-Token", "Private-Token", "X-Ms-Query-Source-Authorization",
                   "X-Upstream-Key", "Set-Cookie", "Authentication-Info", "Dpop", "X-Csrf-Token",
                   "Sec-Websocket-Protocol", "X-Original-Authorization")  # fmt: skip


def carried(*, every: bool) -> Iterator[Case]:
    """S3: what a caller carries, its key first of all, never reaches an upstream, which gets its own."""
    del every
    for name in CARRIERS:
        for value in (KEY, f"Bearer {KEY}", f"token={KEY}; path=/", EVIL):
            yield Case(
                f"{name}: {value}",
                request(BODY, fields(), more=((name, value),)),
                Fate.EITHER,
                BODY,
                ARGUMENTS,
                b"upstream-key-7f3a9c",
            )
    given = {name: value for name, value in fields().items() if name != "X-API-Key"}
    for more in ((("Authorization", f"Bearer {KEY}"),), (("api-key", KEY),), (("x-api-key", KEY),)):
        yield Case(
            f"the key in {more[0][0]}",
            request(BODY, given, more=more),
            Fate.EITHER,
            BODY,
            ARGUMENTS,
            b"upstream-key-7f3a9c",
        )


def guessed(*, every: bool) -> Iterator[Case]:
    """S6: a key with any one letter changed, cut, doubled or dressed up is no key."""
    given = {name: value for name, value in fields().items() if name != "X-API-Key"}
    _, key = mint_key(lambda alphabet: alphabet[7])
    real = key.reveal()
    wrong = [f"{real[:at]}{letter}{real[at + 1 :]}" for at in range(len(real)) for letter in ("0A_" if every else "0")]
    wrong += [real[:at] for at in range(0, len(real), 1 if every else 5)] + [real + tail for tail in ("x", " x",
        "\0", "%00", "=", real)]  # fmt: skip
    wrong += [real.upper(), real.swapcase(), f'"{real}"', f"Bearer {real}", "null", "undefined", "*", "' OR '1'='1",
        "../keys", "true", "\u0661" * 20]  # fmt: skip
    for spelled in wrong:
        for name, value in (("X-API-Key", spelled), ("Authorization", f"Bearer {spelled}")):
            yield Case(f"{name} {spelled[:50]!r}", request(BODY, given, more=((name, value),)))
    basic = base64.b64encode(f"user:{KEY}".encode()).decode()
    for value in (
        "",
        "Bearer",
        "Bearer ",
        f"Basic {basic}",
        f"bearer,{real}",
        f"Token {real}",
        f"Bearer {real},{real}",
        f"Bearer {real} {real}",
    ):
        yield Case(f"Authorization {value[:30]!r}", request(BODY, given, more=(("Authorization", value),)))
    yield Case("no key", request(BODY, given))
    yield Case("a key in the query", request(BODY, given, f"/mcp/raw?key={KEY}&api_key={KEY}&access_token={KEY}"))
    yield Case("a key in the body", request(json.dumps({"key": KEY}).encode() + BODY, given))
    for first, second in ((KEY, real), (real, KEY), (KEY, ""), ("", KEY)):
        yield Case("two keys", request(BODY, given, more=(("X-API-Key", first), ("X-API-Key", second))))
        yield Case(
            f"two credentials {first!r} {second!r}",
            request(BODY, given, more=(("X-API-Key", first), ("Authorization", f"Bearer {second or 'x'}"))),
            Fate.REFUSED if first and second else Fate.EITHER,
        )


def named(tool: str, version: str = STATELESS) -> bytes:
    """A call of the connection with rules, under any name."""
    body = message(tool, version)
    encoded = f"=?base64?{base64.b64encode(tool.encode('utf-8', 'surrogatepass')).decode()}?="
    return call(
        body, version, "/mcp/picky", tool if tool.isascii() and tool.isprintable() and tool.strip() == tool else encoded
    )


TRICKS: Final = ("{0}\n", "\n{0}", "{0} ", " {0}", "{0}\0", "{0}\r", "{0}\t", "\ufeff{0}", "{0}\u200b", "{0}\u00ad",
    "{0}/", "./{0}", "{0}.", "{0};", "{0}?", "{0}#", "{0}%00", "{0}\\", "*{0}", "{0}*", "{0}\u0301", "\u202e{0}",
    "{0}\u2028")  # fmt: skip


def tricky_names(*, every: bool) -> Iterator[Case]:
    """P1: the rules know a tool by its exact letters; what only looks like an allowed one is none."""
    names = [trick.format(tool) for tool in (SAFE, "get_secret", "safe") for trick in TRICKS]
    names += [SAFE.upper(), SAFE.title(), "s\u0430fe_tool", "\uff53afe_tool", "\u017fafe_tool", "safe\uff3ftool",
        "GET_secret", "Get_x", "g\u0435t_x", "get\uff3fx", "get-x", "getx", "get", "", "*", "get_*", "**",
        "[a-z]*", "get_secret"]  # fmt: skip
    names += [f"get_{mark}secret" for mark in "\n\0\u200b\u00ad"] if every else []
    names += ["x" * 129, "x" * 10_000, "delete_all", "safe_tool|delete_all", "safe_tool,delete_all",
        "safe_tool\ndelete_all"]  # fmt: skip
    for version in (STATELESS, *HANDSHAKES):
        for name in names:
            fate = Fate.EITHER if name.startswith("get_") and name != "get_secret" else Fate.REFUSED
            yield Case(f"{version} {name[:40]!r}", named(name, version), fate)
        yield Case(f"{version} the tool itself", named(SAFE, version), Fate.EXECUTED, message(SAFE, version), ARGUMENTS)


def hidden(*, every: bool) -> Iterator[Case]:
    """P6: a tool that the list does not show cannot be called, in any version, by any way of asking."""
    del every
    for version in (STATELESS, *HANDSHAKES):
        for tool in ("get_secret", "delete_all", EVIL, "safe_tool2", "list"):
            for arguments in ({}, {"name": SAFE}, {"tool": SAFE}, {"_meta": {"name": SAFE}}):
                yield Case(
                    f"{version} {tool} {arguments}",
                    call(message(tool, version, arguments=arguments), version, "/mcp/picky", tool),
                )
            params = {"name": tool, "arguments": {},
                "task": {"ttl": 1}} | ({"_meta": META} if version == STATELESS else {})  # fmt: skip
            body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}).encode()
            yield Case(f"{version} {tool} as a task", call(body, version, "/mcp/picky", tool))


def unlooked(*, every: bool) -> Iterator[Case]:
    """P3: a body that is encoded is not read; one that is long is read to its last byte."""
    del every
    packed = {"gzip": gzip.compress(BODY), "deflate": zlib.compress(BODY), "br": BODY, "zstd": BODY,
        "compress": BODY, "x-gzip": gzip.compress(BODY), "aws-chunked": BODY}  # fmt: skip
    for name, body in packed.items():
        for spelled in (name, name.upper(), f"identity, {name}", f"{name}, identity", f" {name} ", f"{name};q=1"):
            for version in (STATELESS, "2025-11-25"):
                yield Case(f"{version} {spelled}", request(body, fields(version) | {"Content-Encoding": spelled}))
    yield Case(
        "two encodings", request(BODY, fields(), more=(("Content-Encoding", "identity"), ("Content-Encoding", "gzip")))
    )
    yield Case("gzip without saying so", request(packed["gzip"], fields()))
    yield Case("identity", request(BODY, fields() | {"Content-Encoding": "identity"}), Fate.EXECUTED, BODY, ARGUMENTS)
    for size in (1 << 16, 1 << 17, 1 << 20, 3 << 20):
        late = message(SAFE, arguments={f"k{at}": "x" * 60_000 for at in range(size // 60_000)}).decode()
        evil = late.replace(f'"name": "{SAFE}"', '"name2": "x"', 1)[:-2].replace('"arguments"',
            f'"name": "{EVIL}", "arguments"', 1)  # fmt: skip
        yield Case(
            f"the name behind {size} bytes", call(late[:-1].encode() + f', "params": {{"name": "{EVIL}"}}}}'.encode())
        )
        yield Case(f"another name behind {size} bytes", call(evil.encode() + b"}}"))
