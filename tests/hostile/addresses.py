"""Addresses that are not the caller's, and addresses that a list does not know as they are written: H10 and H11."""

from collections.abc import Iterator
from typing import Final

from tests.hostile.ground import PROXY
from tests.hostile.http_requests import ARGUMENTS, BODY
from tests.hostile.wire import Case, Fate, Fields, fields, request

GOOD: Final = "203.0.113.9"  # the wall lets it in
CLAIMS: Final = ("X-Forwarded-For", "X-Real-IP", "X-Client-IP", "True-Client-IP", "CF-Connecting-IP",
    "X-Cluster-Client-IP", "Forwarded-For", "X-Forwarded",
                 "X-Originating-IP", "X-Remote-IP", "X-Remote-Addr", "X-ProxyUser-Ip", "Fastly-Client-IP",
                 "X-Azure-ClientIP", "X-Azure-SocketIP", "Client-IP",
                 "X_Forwarded_For", "X-Forwarded-For_", "x-forwarded-for", "X-Appengine-User-Ip", "Via",
                 "X-Envoy-External-Address", "X-Host", "X-Forwarded-Host")  # fmt: skip
SPELLED: Final = (GOOD, f"{GOOD}:80", f"[::ffff:{GOOD}]", f"{GOOD}, {GOOD}", f"127.0.0.1, {GOOD}", f" {GOOD} ",
    f"for={GOOD}", f'for="[::ffff:{GOOD}]:80"', f"{GOOD},", f",{GOOD}")  # fmt: skip
BEYOND: Final = "198.51.100.7"  # a stranger that the proxy has seen
GARBAGE: Final = ("", ",", " ", "unknown", "_hidden", "203.0.113", "203.0.113.9.1", "203.0.113.009", "0xcb.0.113.9",
    "3405803785", "203.0.113.9/32", "203.0.113.0/24", "*", "localhost",
                  "203.0.113.9%eth0", ":80", "[::1]:80", "203.0.113.9\x00", "203.0.113.9;",
                  "\u0662\u0660\u0663.0.113.9", '"203.0.113.9"', "for=203.0.113.9",
                  "203.0.113.9 198.51.100.7", "-203.0.113.9", "203.0.113.9\t198.51.100.7", "x" * 5000,
                  "," * 5000)  # fmt: skip


def walled(name: str, more: Fields, fate: Fate, source: str = "") -> Case:
    """A call of the connection that only 203.0.113.0/24 may use."""
    return Case(name, request(BODY, fields(), "/mcp/walled", more), fate, BODY, ARGUMENTS, source=source)


def forwarded(*, every: bool) -> Iterator[Case]:
    """H10: nobody but the proxy speaks for a caller, and of a list what the proxy added counts."""
    del every
    for name in CLAIMS:
        for value in SPELLED:
            yield walled(f"{name}: {value!r} from a stranger", ((name, value),), Fate.REFUSED)
            yield walled(f"{name} twice from a stranger", ((name, value), (name, GOOD)), Fate.REFUSED)
            if name.lower() != "x-forwarded-for":
                yield walled(
                    f"{name}: {value!r} from the proxy",
                    ((name, value), ("X-Forwarded-For", BEYOND)),
                    Fate.REFUSED,
                    PROXY,
                )
    for value in (
        f"{GOOD}, {BEYOND}",
        f"{GOOD},{GOOD},{BEYOND}",
        f"{BEYOND}",
        f"{GOOD}, {BEYOND}, {PROXY}",
        f"{GOOD}, unknown",
        f"{GOOD}, 127.0.0.1",
        *GARBAGE,
    ):
        yield walled(f"{value[:40]!r} from the proxy", (("X-Forwarded-For", value),), Fate.REFUSED, PROXY)
    for first, second in ((GOOD, BEYOND), (f"{GOOD}, {GOOD}", BEYOND), (GOOD, ""), (GOOD, "unknown")):
        yield walled(
            f"{first!r} and {second!r}", (("X-Forwarded-For", first), ("X-Forwarded-For", second)), Fate.REFUSED, PROXY
        )
    for value in (GOOD, f"{BEYOND}, {GOOD}", f"{GOOD}:4711", f"::ffff:{GOOD}", f"{GOOD}, {PROXY}", f"rubbish, {GOOD}"):
        yield walled(f"{value!r} from the proxy, which is right", (("X-Forwarded-For", value),), Fate.EXECUTED, PROXY)
    for value in ("[203.0.113.9]", "203.0.113.9:"):  # the proxy itself names the caller so, oddly
        yield walled(f"{value!r} from the proxy", (("X-Forwarded-For", value),), Fate.EITHER, PROXY)


# Every form in which 10.0.0.1, 127.0.0.1 and 169.254.169.254 can be written or lead to.
LEADING: Final = tuple(
    form.format(v4=v4, hi=f"{int(a):02x}{int(b):02x}", lo=f"{int(c):02x}{int(d):02x}", dec=sum(int(n) << s for n,
    s in zip(v4.split("."), (24, 16, 8, 0), strict=True)),
                rhi=f"{int(a) ^ 255:02x}{int(b) ^ 255:02x}", rlo=f"{int(c) ^ 255:02x}{int(d) ^ 255:02x}")
    for v4 in ("10.0.0.1", "127.0.0.1", "169.254.169.254")
    for a, b, c, d in [v4.split(".")]
    for form in ("{v4}", "::ffff:{v4}", "::ffff:{hi}:{lo}", "::{v4}", "::{hi}:{lo}", "64:ff9b::{v4}",
    "64:ff9b::{hi}:{lo}", "64:ff9b:1::{hi}:{lo}", "2002:{hi}:{lo}::", "2002:{hi}:{lo}::1",
                 "::ffff:0:{v4}", "::ffff:0:{hi}:{lo}", "2001:0:{hi}:{lo}::", "2001::ffff:{rhi}:{rlo}",
                 "0:0:0:0:0:ffff:{hi}:{lo}", "[::ffff:{v4}]:80", "[::{v4}]", "{v4}:80", "::FFFF:{v4}",
                 "0000::ffff:{v4}",
                 "{dec}", "::ffff:{v4}%eth0", "0{v4}", "{v4}.", " {v4}")
)  # fmt: skip
OUTSIDE: Final = ("::1", "[::1]:80", "0:0:0:0:0:0:0:1", "::ffff:7f00:1", "127.255.255.254", "10.255.255.255",
    "127.1", "0x7f000001", "0177.0.0.1", "localhost", "")  # fmt: skip
CLAIMING: Final = ("64:ff9b::cb00:7109", "2002:cb00:7109::1", "::203.0.113.9", "::ffff:0:203.0.113.9",
    "2001:0:cb00:7109::", "fe80::1", "203.0.112.255", "203.0.114.0", "203.0.113.256", "3405803785")  # fmt: skip


def fenced(*, every: bool) -> Iterator[Case]:
    """H11: a list that forbids knows every form of an address; one that admits takes no form for what it claims."""
    del every
    for address in (*LEADING, *OUTSIDE):
        for more in ((("X-Forwarded-For", address),), (("X-Forwarded-For", f"{GOOD}, {address}"),)):
            yield Case(f"forbidden {more[0][1]}", request(BODY, fields(), "/mcp/fenced", more), source=PROXY)
    for address in (*CLAIMING, *LEADING):
        yield walled(f"not admitted {address}", (("X-Forwarded-For", address),), Fate.REFUSED, PROXY)
    for address in (GOOD, "8.8.8.8", "2001:db8::1", "::ffff:8.8.8.8", "11.0.0.1", "126.255.255.255"):
        more = (("X-Forwarded-For", address),)
        yield Case(
            f"not forbidden {address}",
            request(BODY, fields(), "/mcp/fenced", more),
            Fate.EXECUTED,
            BODY,
            ARGUMENTS,
            source=PROXY,
        )
