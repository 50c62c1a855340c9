"""Hosts, targets and paths that lead somewhere else than they seem to: H8, H9 and S10."""

import itertools
from collections.abc import Iterator
from typing import Final

from tests.hostile.http_requests import ARGUMENTS, BODY
from tests.hostile.wire import Case, Fate, fields, post, request

HOSTS: Final = (
    *("evil.example", "evil.example:80", "127.0.0.1.evil.example", "127.0.0.1@evil.example",
    "evil.example#127.0.0.1", "evil.example/127.0.0.1"),
    *("evil.example?127.0.0.1", "127.0.0.1/../admin", "localhost.evil.example", "evil-localhost",
    "127.0.0.1,evil.example", "evil.example,127.0.0.1"),
    *("evil.example\\127.0.0.1", "127.0.0.1 evil.example", "[::1", "[evil.example]", "[::ffff:7f00:1]",
    "127.0.0.1:evil", "0x7f.1", "2130706433", "127.1"),
    *("0", "0.0.0.0", "localhost%00.evil.example", "loc\u0430lhost", "127.0.0.2", "10.0.0.1", "169.254.169.254",
    "metadata.google.internal", ""),
)  # fmt: skip
GOOD_HOSTS: Final = ("127.0.0.1", "localhost", "127.0.0.1:80", "LOCALHOST", "[::1]")
ORIGINS: Final = (
    *("https://evil.example", "null", "http://evil.example:8080", "http://127.0.0.1.evil.example",
    "http://localhost.evil.example", "http://evil.example#localhost"),
    *("http://localhost@evil.example", "file://", "chrome-extension://abc", "http://10.0.0.1",
    "http://[::ffff:10.0.0.1]", "http://0.0.0.0", "http://2130706433"),
    *("evil.example", "//evil.example", "http://evil.example, http://localhost",
    "http://localhost http://evil.example", "data:text/html,x", "http://127.0.0.2", "http://loc\u0430lhost"),
)  # fmt: skip


def confused(*, every: bool) -> Iterator[Case]:
    """H8: the Host field never chooses a route, and a target that is no path is no target."""
    del every
    targets = [f"{scheme}://{host}{path}" for scheme in ("http", "https", "ftp", "file",
        "HTTP") for host in ("127.0.0.1", "evil.example") for path in ("/mcp/raw", "/admin", "")]  # fmt: skip
    targets += ["*", "127.0.0.1:80", "evil.example:443", "mcp/raw", "?mcp/raw", "#", "raw", "\\mcp\\raw",
        "http:/mcp/raw", "http:mcp/raw", "x:/mcp/raw"]  # fmt: skip
    for target, host in itertools.product(targets, ("127.0.0.1", "evil.example")):
        given = (*(fields() | {"Host": host}).items(), ("Content-Length", str(len(BODY))))
        yield Case(f"{target} at {host}", post(target, given) + BODY)
    for tail in ("/abc?bar=", "/../mcp/raw", "#", "?", "/", "\\", ";x", "%2f", "\t", " "):
        yield Case(f"Host 127.0.0.1{tail!r}", request(BODY, fields() | {"Host": f"127.0.0.1{tail}x"}))
        yield Case(
            f"the admin plane by Host {tail!r}",
            post("/admin/v1/keys", (("Host", f"127.0.0.1{tail}"), ("Connection", "close")), "GET"),
        )


def rebound(*, every: bool) -> Iterator[Case]:
    """S10: names that lead here by rebinding, and pages of anybody's, each alone and both together."""
    del every
    for host in HOSTS:
        yield Case(f"Host {host!r}", request(BODY, fields() | {"Host": host}))
        given = {name: value for name, value in fields().items() if name != "Host"} | {"Host": host}
        yield Case(f"Host and Origin {host!r}", request(BODY, given | {"Origin": f"http://{host}"}))
    for origin in ORIGINS:
        for spelled in ("Origin", "origin", "ORIGIN"):
            yield Case(f"{spelled} {origin!r}", request(BODY, fields() | {spelled: origin}))
        options = (("Host", "127.0.0.1"), ("Origin", origin), ("Access-Control-Request-Method", "POST"),
            ("Connection", "close"))  # fmt: skip
        yield Case(f"preflight from {origin!r}", post("/mcp/raw", options, "OPTIONS"))
    for host in GOOD_HOSTS:
        yield Case(
            f"Host {host!r}, which is ours", request(BODY, fields() | {"Host": host}), Fate.EXECUTED, BODY, ARGUMENTS
        )
    bare = tuple((name, value) for name, value in fields().items() if name != "Host")
    yield Case("no Host", post("/mcp/raw", (*bare, ("Content-Length", str(len(BODY))))) + BODY)


DOTS: Final = ("..", ".", "%2e%2e", "%2E.", ".%2e", "%252e%252e", "..%00", "...", "....", "%c0%ae%c0%ae",
    "%e0%80%ae", "\uff0e\uff0e", "..;", "..%0d", "%u002e%u002e", ".%00.")  # fmt: skip
SLASHES: Final = ("/", "//", "\\", "%2f", "%2F", "%5c", "%252f", "%c0%af", "/./", ";/", "/;/", "\u2215",
    "%ef%bc%8f", "/%20/", "/%09/", "%00/")  # fmt: skip
GOALS: Final = ("raw", "admin", "admin/v1/keys", "console", "metrics", "python", "v0.1/servers/../../mcp/raw",
    "mcp/raw")  # fmt: skip
STARTS: Final = ("/mcp", "/mcp/raw", "/mcp/picky", "/v0.1/servers", "/livez",
    "/.well-known/oauth-protected-resource/mcp/raw", "/consent", "/oauth/callback", "")  # fmt: skip
BENT: Final = ("/MCP/raw", "/Mcp/raw", "/mcp/RAW", "/mcp/Raw", "/mcp/raw/", "/mcp/raw//", "//mcp/raw", "/mcp//raw",
    "/mcp/raw;x", "/mcp/raw;", "/mcp;/raw", "/mcp/raw%00",
               "/mcp/raw%20", "/mcp/raw%0a", "/mcp/%72aw", "/mcp/r%61w", "/%6dcp/raw", "/mcp%2fraw", "/mcp/raw%2f",
               "/mcp/raw.", "/mcp/.raw", "/mcp/raw.json", "/mcp/raw~",
               "/mcp/*", "/mcp/%2a", "/mcp/raw,python", "/mcp/raw|python", "/mcp/raw&x", "/mcp/raw=1",
               "/mcp/r\u0430w", "/mcp/\uff52aw", "/mcp/ra\u0000w", "/mcp/raw\t", "/mcp/raw\x7f",
               "/mcp/-raw", "/mcp/" + "r" * 64, "/mcp/" + "r" * 5000, "/mcp/raw/raw", "/mcp/raw/../raw",
               "/mcp/./raw", "/./mcp/raw", "/x/../mcp/raw", "/mcp/%", "/mcp/%zz", "/mcp/%r")  # fmt: skip


def paths(*, every: bool) -> Iterator[Case]:
    """H9: no spelling of a path leads to a route or a connection that its letters do not name."""
    bent = [f"{start}{slash}{dots}{slash}{goal}" for start, slash, dots, goal in itertools.product(STARTS, SLASHES,
        DOTS, GOALS)]  # fmt: skip
    bent += [f"{start}{(slash + dots) * times}{slash}{goal}" for start, slash, dots, goal,
        times in itertools.product(STARTS[:3], SLASHES[:8], DOTS[:8], GOALS[:3], (2, 5))]  # fmt: skip
    for path in (*BENT, *(bent if every else bent[::11])):
        yield Case(path[:80], post(path, (*fields().items(), ("Content-Length", str(len(BODY))))) + BODY)
    for query in ("?", "?x=/../admin", "?connection=python", "#python", "?/mcp/python", "??", "?%00", "?a=1&a=2"):
        raw = post(f"/mcp/raw{query}", (*fields().items(), ("Content-Length", str(len(BODY))))) + BODY
        yield Case(f"/mcp/raw{query}", raw, Fate.EITHER, BODY, ARGUMENTS)
