"""Requests that two servers could frame, name or route differently: H1 to H5, H7 to H9."""

import base64
import itertools
from collections.abc import Iterator
from typing import Final

from tests.hostile.ground import SECRET
from tests.hostile.wire import (
    EVIL,
    HANDSHAKES,
    SAFE,
    STATELESS,
    Case,
    Fate,
    Fields,
    call,
    fields,
    message,
    post,
    request,
)

BODY: Final = message()
ARGUMENTS: Final = b'{"city": "Kyoto"}'
INNER: Final = call(message(EVIL), tool=EVIL)  # the request that hides within another
CHUNKED: Final = b"%x\r\n%s\r\n0\r\n\r\n" % (len(BODY), BODY)
NAMES: Final = (
    *("Transfer-Encoding", "transfer-encoding", "TRANSFER-ENCODING", "Transfer_Encoding", "Transfer-Encoding ",
    " Transfer-Encoding"),
    *("Transfer-Encoding\t", "Transfer-\tEncoding", "Transfer-Encoding\x0b", "Transfer\x00-Encoding",
    "X: y\nTransfer-Encoding", "X: y\rTransfer-Encoding"),
)  # fmt: skip
VALUES: Final = (
    *("chunked", "Chunked", "CHUNKED", " chunked", "\tchunked", "chunked ", "chunked\t", "\x0bchunked",
    "chunked\x0b", "chunked\x00"),
    *("identity, chunked", "chunked, identity", "chunked, chunked", "gzip, chunked", "chunked, gzip", "identity",
    "cow", "x-chunked"),
    *("chunk", "chunke", "chunkedd", "chun ked", '"chunked"', "chunked;q=1", "chunked;a=b", ",chunked", "chunked,",
    ", chunked"),
    *("\x00chunked", "\xa0chunked", "ch\u017funked", "chunked\r\n ", "\r\n chunked", "\n chunked", "", "null",
    "chunked, cow", "cow, chunked"),
)  # fmt: skip


def plain(more: Fields = (), *, length: object = None, keep: bool = True) -> tuple[tuple[str, str | bytes], ...]:
    """The fields of a good call, with a length if one is told, and `more`."""
    given = fields()
    if keep:
        given["Connection"] = "keep-alive"
    told = () if length is None else (("Content-Length", str(length)),)
    return (*given.items(), *told, *more)


def smuggled(*, every: bool) -> Iterator[Case]:
    """H1: where a request ends, told in two ways; the evil call hides in what one of the readers takes for the next."""
    variants = list(itertools.product(NAMES, VALUES))
    for number, (name, value) in enumerate(variants):
        shapes = {
            "CL.TE": post("/mcp/raw", plain(((name, value),), length=len(CHUNKED) + len(INNER))) + CHUNKED + INNER,
            "TE.CL": post("/mcp/raw", plain(((name, value),), length=len(BODY))) + CHUNKED + INNER,
            "CL+": post("/mcp/raw", plain(((name, value),), length=len(BODY))) + BODY + INNER,
            "TE": post("/mcp/raw", plain(((name, value),))) + CHUNKED + INNER,
            "TE.0": post("/mcp/raw", (*plain(((name, value),), length=0),)) + CHUNKED + INNER,
        }
        for at, (shape, raw) in enumerate(shapes.items()):
            if every or (number + at) % 5 == 0:
                yield Case(f"{shape} {name!r}: {value!r}", raw, Fate.EITHER)
    yield from lengths()
    yield from lines()


def lengths() -> Iterator[Case]:
    """Lengths that are no numbers, or two; chunks that are none."""
    size = len(BODY)
    spelled = (f"+{size}", f"-{size}", f"{size}, {size}", f"{size},{size}", f"0x{size:x}", f"{size}.0", f"{size}e0",
        f"{size} {size}", f"0{size}a",
               "9" * 30, "-1", "", f"{size}\x00", f"\x0b{size}", "\u0661", f"{size};", "NaN", f"{size}_0",
               str(2**64 + size), str(2**32 + size))  # fmt: skip
    for told in spelled:
        yield Case(f"Content-Length: {told!r}", post("/mcp/raw", plain(length=told)) + BODY + INNER)
    for second in (0, size, size + 1, len(INNER), "x", ""):
        raw = post("/mcp/raw", plain((("Content-Length", str(second)),), length=size)) + BODY + INNER
        yield Case(f"Content-Length {size} and {second!r}", raw)
    chunks = (b"%x;a=b\r\n", b"%x \r\n", b" %x\r\n", b"0x%x\r\n", b"+%x\r\n", b"-%x\r\n", b"%x\n", b"%x\r",
        b"%x\r\n\r\n", b"fffffffffffffff%x\r\n",
              b"%x\x00\r\n", b"%x;" + b"a" * 40_000 + b"\r\n", b"_%x\r\n", b"%x\x0b\r\n", b"g%x\r\n",
              b"%x\r\r\n")  # fmt: skip
    for chunk in chunks:
        raw = post("/mcp/raw", plain((("Transfer-Encoding", "chunked"),)))
        yield Case(f"chunk {chunk[:20]!r}", raw + chunk % size + BODY + b"\r\n0\r\n\r\n" + INNER, Fate.EITHER)
    yield Case("pipelined", post("/mcp/raw", plain(length=size)) + BODY + INNER, Fate.EITHER)
    yield Case("no length", post("/mcp/raw", plain()) + BODY)
    trailer = b"%x\r\n%s\r\n0\r\nX-API-Key: other\r\nMcp-Name: %s\r\n\r\n" % (size, BODY, EVIL.encode())
    yield Case("trailer", post("/mcp/raw", plain((("Transfer-Encoding", "chunked"),))) + trailer, Fate.EITHER)


def lines() -> Iterator[Case]:
    """Heads whose lines end, begin or fold as they must not."""
    good = post("/mcp/raw", plain(length=len(BODY)))
    bent = {
        "bare LF": good.replace(b"\r\n", b"\n"),
        "bare LF in between": good.replace(b"\r\nContent-Type", b"\nContent-Type"),
        "bare CR": good.replace(b"\r\nContent-Type", b"\rContent-Type"),
        "folded": good.replace(b"application/json", b"\r\n application/json", 1),
        "folded with tab": good.replace(b"Mcp-Name: ", b"Mcp-Name:\r\n\t"),
        "space before colon": good.replace(b"Content-Length:", b"Content-Length :"),
        "space before the first field": good.replace(b"HTTP/1.1\r\n", b"HTTP/1.1\r\n "),
        "no colon": good.replace(b"Accept:", b"Accept"),
        "empty name": good.replace(b"Accept:", b":"),
        "NUL in a name": good.replace(b"Accept:", b"Acc\x00ept:"),
        "HTTP/1.0": good.replace(b"HTTP/1.1", b"HTTP/1.0"),
        "HTTP/0.9": b"GET /mcp/raw\r\n\r\n",
        "HTTP/2.0": good.replace(b"HTTP/1.1", b"HTTP/2.0"),
        "HTTP/1.9": good.replace(b"HTTP/1.1", b"HTTP/1.9"),
        "http/1.1": good.replace(b"HTTP/1.1", b"http/1.1"),
        "two spaces": good.replace(b"POST ", b"POST  "),
        "tab": good.replace(b"POST ", b"POST\t"),
        "post": good.replace(b"POST ", b"post "),
        "no version": good.replace(b" HTTP/1.1", b""),
        "leading lines": b"\r\n\r\n" + good,
        "preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + good,
    }
    for name, head in bent.items():
        yield Case(name, head + BODY + INNER, Fate.EITHER)
    for verb in (
        "GET",
        "PUT",
        "PATCH",
        "HEAD",
        "TRACE",
        "CONNECT",
        "OPTIONS",
        "PROPFIND",
        "G\x00ET",
        "POST\x00",
        "P" * 5000,
    ):
        raw = post("/mcp/raw", plain(length=len(BODY)), verb) + BODY + INNER
        yield Case(f"verb {verb[:10]!r}", raw)


SINGLE: Final = ("Host", "Content-Type", "Mcp-Name", "Mcp-Method", "MCP-Protocol-Version", "X-API-Key",
    "Authorization", "Origin", "Traceparent")  # fmt: skip
REQUIRED: Final = ("Content-Type", "Mcp-Name", "Mcp-Method", "MCP-Protocol-Version", "X-API-Key")
TWICE: Final = ("Mcp-Name", "Mcp-Method", "MCP-Protocol-Version", "Host", "Content-Type", "Mcp-Session-Id",
    "Traceparent", "Last-Event-ID", "X-API-Key", "Origin", "Mcp-Param-City")  # fmt: skip


def spelled_headers(*, every: bool) -> Iterator[Case]:
    """H2: fields that stand twice, and fields whose name only some servers take for another."""
    del every
    for name in TWICE:
        own = fields().get(name, EVIL)
        for first, second in itertools.product((own, EVIL, "", "x" + str(own)), repeat=2):
            given = {key: value for key, value in fields().items() if key.lower() != name.lower()}
            for other in (name.lower(), name.upper()):
                raw = request(BODY, given, more=((name, first), (other, second)))
                yield Case(f"{name}: {first!r} and {other}: {second!r}", raw)
    for name in (
        *SINGLE,
        "Transfer-Encoding",
        "X-Forwarded-For",
        "X-Upstream-Key",
        "Mcp-Session-Id",
        "Content-Length",
        "Connection",
    ):
        for other in dict.fromkeys(
            (
                name.replace("-", "_"),
                name.replace("-", "_", 1),
                f"{name}_",
                f"_{name}",
                f"HTTP_{name.upper().replace('-', '_')}",
            )
        ):
            for more in (((other, EVIL),), ((other, EVIL), (other, EVIL))):
                yield Case(
                    f"{other} {len(more)} times", request(BODY, fields(), more=more), Fate.EITHER, BODY, ARGUMENTS
                )
                given = {key: value for key, value in fields().items() if key.lower() != name.lower()}
                if name in REQUIRED and other != name:
                    yield Case(f"{other} in place of {name}", request(BODY, given, more=((other, fields()[name]),)))


HOP_BY_HOP: Final = ("Keep-Alive", "TE", "Trailer", "Upgrade", "Proxy-Authorization", "Proxy-Authenticate",
    "Proxy-Connection", "HTTP2-Settings", "X-Nominated")  # fmt: skip
NOMINATED: Final = ("X-Upstream-Key", "Authorization", "Mcp-Name", "Mcp-Method", "MCP-Protocol-Version",
    "X-Correlation-Id", "Traceparent", "Content-Length", "Host", "Content-Type", "X-API-Key",
    "close, X-Upstream-Key, Authorization")  # fmt: skip


def hop_by_hop(*, every: bool) -> Iterator[Case]:
    """H3: fields for one hop stay on it, and none of ours can be nominated away."""
    del every
    key = f"x-upstream-key: {SECRET}".encode()
    for name in HOP_BY_HOP:
        for connection in ("close", f"close, {name}", f"{name}, close", name):
            given = fields() | {"Connection": connection}
            yield Case(
                f"{name} with {connection}",
                request(BODY, given, more=((name, EVIL),)),
                Fate.EITHER,
                BODY,
                ARGUMENTS,
                key,
            )
    for name in NOMINATED:
        for spelled in (name, name.lower(), f" {name} ", f"{name},,", f'"{name}"'):
            given = fields() | {"Connection": f"close, {spelled}"}
            yield Case(f"Connection: {spelled}", request(BODY, given), Fate.EITHER, BODY, ARGUMENTS, key)


BREAKS: Final = ("\r\n", "\n", "\r", "\x00", "\r\n ", "\n\t", "\x0b", "\x0c", "\x85", "\u2028", "\u560d\u560a",
    "%0d%0a", "\\r\\n", "\x7f", "\x1b[2J")  # fmt: skip
FIELDS: Final = ("Mcp-Name", "Mcp-Param-City", "User-Agent", "X-Correlation-Id", "Traceparent", "Tracestate",
    "Baggage", "Accept", "Accept-Language")  # fmt: skip


def injected(*, every: bool) -> Iterator[Case]:
    """H4: a line break in a name or a value makes no new field at the upstream."""
    del every
    for name, mark in itertools.product(FIELDS, BREAKS):
        given = {key: value for key, value in fields().items() if key != name}
        value = f"{given.get(name, SAFE)}{mark}X-Injected: yes"
        yield Case(f"{mark!r} in {name}", request(BODY, given, more=((name, value),)), Fate.EITHER, BODY, ARGUMENTS)
    for mark in BREAKS:
        tool = f"{SAFE}{mark}X-Injected: yes"
        given = fields(tool=f"=?base64?{base64.b64encode(tool.encode()).decode()}?=")
        yield Case(f"{mark!r} in the tool's name", request(message(tool), given), Fate.EITHER)


def disagreeing(*, every: bool) -> Iterator[Case]:
    """H5: what the header says and what the body says."""
    del every

    def encoded(text: str, start: str = "=?base64?", end: str = "?=") -> str:
        return f"{start}{base64.b64encode(text.encode()).decode()}{end}"

    good = encoded(SAFE)
    names = ("", EVIL, SAFE.upper(), SAFE.title(), f"{SAFE}x", SAFE[:-1], f'"{SAFE}"', f"{SAFE},{SAFE}", f"{SAFE};",
        SAFE.replace("_", "-"), "safe%5ftool",
             encoded(EVIL), encoded(good), encoded(SAFE, "=?BASE64?"), encoded(SAFE, end="="), encoded(SAFE,
             "=?utf-8?B?"), good + " x",
             good.replace("?=", "\n?="), good[:12] + " " + good[12:], encoded(SAFE + "\n"), encoded(SAFE + "\0"),
             encoded("\ufeff" + SAFE), "=?base64??=", "=?base64?!?=", "s\u0430fe_tool",
             "safe\u200b_tool")  # fmt: skip
    for name in names:
        yield Case(f"Mcp-Name {name!r}", request(BODY, fields(tool=name)))
    for name in (SAFE, good, f"{SAFE} ", f"\t{SAFE}"):
        yield Case(
            f"Mcp-Name {name!r}, which is right", request(BODY, fields(tool=name)), Fate.EXECUTED, BODY, ARGUMENTS
        )
    for method in (
        "",
        "tools/list",
        "Tools/Call",
        "tools/call/",
        "tools%2fcall",
        "ping",
        encoded("tools/list"),
        "tools/call, tools/list",
    ):
        yield Case(f"Mcp-Method {method!r}", request(BODY, fields(method=method)))
    for version in (
        "",
        "2025-11-25",
        "2025-06-18",
        "2026-07-29",
        "2026-7-28",
        "v2026-07-28",
        "2026-07-28,2025-11-25",
        "latest",
        "9999-12-31",
        "DRAFT-2026-v1",
    ):
        yield Case(f"version {version!r} over {STATELESS}", request(BODY, fields() | {"MCP-Protocol-Version": version}))
    for version in HANDSHAKES:
        yield Case(f"{version} in the body alone", request(message(version=version), fields()))
    for missing in (
        "Mcp-Name",
        "Mcp-Method",
        "MCP-Protocol-Version",
        "Mcp-Name Mcp-Method",
        "Mcp-Name Mcp-Method MCP-Protocol-Version",
    ):
        given = {name: value for name, value in fields().items() if name not in missing.split()}
        yield Case(f"without {missing}", request(BODY, given))


def floods(*, every: bool) -> Iterator[Case]:
    """H7: 64 fields and 16 KiB of them are read, and not one more."""
    del every
    own = len(fields()) + 1  # and the length
    for count, fate in (
        (63, Fate.EXECUTED),
        (64, Fate.EXECUTED),
        (65, Fate.REFUSED),
        (128, Fate.REFUSED),
        (1000, Fate.REFUSED),
        (20_000, Fate.REFUSED),
    ):
        more = tuple((f"X-{number}", "y") for number in range(count - own))
        yield Case(f"{count} fields", request(BODY, fields(), more=more), fate, BODY, ARGUMENTS)
    for size in (17 << 10, 64 << 10, 1 << 20, 8 << 20):
        yield Case(f"a field of {size} bytes", request(BODY, fields(), more=(("X-Long", "x" * size),)))
        yield Case(f"a name of {size} bytes", request(BODY, fields(), more=(("X" * size, "x"),)))
        yield Case(f"a target of {size} bytes", request(BODY, fields(), "/mcp/raw?" + "x" * size))
        yield Case(f"a key of {size} bytes", request(BODY, fields() | {"X-API-Key": "k" * size}))
    for _ in range(50):
        yield Case("the same field again and again", request(BODY, fields(), more=(("X-Same", "x"),) * 5000))
