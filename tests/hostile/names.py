"""URLs that lead back to this machine, however they are written: S1. No catalog calls any of them private."""

import itertools
from collections.abc import Iterator
from typing import Final

ADDRESSES: Final = (
    *("127.0.0.2", "127.0.2", "127.2", "2130706434", "0x7f000002", "0x7f.0.0.2", "0x7F.2", "0177.0.0.2", "0177.2",
    "017700000002", "127.0.0.02", "127.0.0.0x2"),
    *("127.000.000.002", "00127.0.0.2", "127.0.0.2.", "127.0.0.2%20", "\u2460\u2461\u2466.0.0.2",
    "\uff11\uff12\uff17.0.0.2", "127\u3002\uff10\uff0e0\uff612", "127.0.0.\u00b2"),
    *("[::ffff:127.0.0.2]", "[::ffff:7f00:2]", "[::127.0.0.2]", "[::7f00:2]", "[64:ff9b::7f00:2]",
    "[64:ff9b:1::7f00:2]", "[2002:7f00:2::]", "[2002:7f00:2::1]"),
    *("[::ffff:0:127.0.0.2]", "[::FFFF:127.0.0.2]", "[0:0:0:0:0:ffff:127.0.0.2]",
    "[0000:0000:0000:0000:0000:ffff:7f00:0002]", "[2001:0:7f00:2::]", "[fe80::1%25lo]", "[::1]"),
    *("[::]", "[0:0:0:0:0:0:0:1]", "[::1%25lo]", "0", "0.0.0.0", "localhost", "LOCALHOST", "localhost.",
    "ip6-localhost", "localhost.localdomain", "127.0.0.1",
    "\u24db\u24de\u24d2\u24d0\u24db\u24d7\u24de\u24e2\u24e3"),
    *("169.254.169.254", "[::ffff:a9fe:a9fe]", "[fd00:ec2::254]", "168.63.129.16", "100.100.100.200", "10.0.0.1",
    "192.168.0.1", "172.16.0.1", "100.64.0.1", "[fc00::1]", "224.0.0.1"),
)  # fmt: skip
SHAPES: Final = ("https://{host}:{port}/mcp", "http://{host}:{port}/mcp", "https://user:word@{host}:{port}/mcp",
    "https://good.example@{host}:{port}/mcp", "HTTPS://{host}:{port}")  # fmt: skip
ODD: Final = (
    *("https://127.0.0.2:{port}#@good.example/", "https://good.example#@127.0.0.2:{port}/",
    "https://127.0.0.2:{port}\\@good.example/", "https://good.example\\@127.0.0.2:{port}/"),
    *("https:/127.0.0.2:{port}/", "https:127.0.0.2:{port}", "//127.0.0.2:{port}/", "https:///127.0.0.2:{port}/",
    "https://\t127.0.0.2:{port}/", "https://127.0.0.2\n:{port}/", " https://127.0.0.2:{port}/"),
    *("ftp://127.0.0.2:{port}/", "file:///etc/passwd", "gopher://127.0.0.2:{port}/_x", "dict://127.0.0.2:{port}/",
    "unix:///tmp/x", "data:text/plain,x", "ws://127.0.0.2:{port}/", "jar:http://127.0.0.2:{port}!/"),
    *("https://127.0.0.2:{port}%2f@good.example/", "https://good.example:443@127.0.0.2:{port}/",
    "https://[127.0.0.2]:{port}/", "https://127.0.0.2%00.good.example:{port}/",
    "https://127.0.0.2 good.example:{port}/"),
    *("https://127.0.0.2;good.example:{port}/", "https://127.0.0.2,good.example:{port}/",
    "https://[::ffff:127.0.0.2:{port}/", "https://127.0.0.2:{port}:443/", "https://127.0.0.2:0{port}/",
    "https://127.0.0.2:+{port}/"),
)  # fmt: skip


def leading_here(port: int) -> Iterator[str]:
    """Every spelling of a URL that leads to a listener of ours, or to where clouds keep their metadata."""
    for host, shape in itertools.product(ADDRESSES, SHAPES):
        yield shape.format(host=host, port=port)
    for odd in ODD:
        yield odd.replace("{port}", str(port))
