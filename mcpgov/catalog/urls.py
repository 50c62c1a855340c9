"""Which URLs an upstream may have: https to a public host, unless the entry says `private: true`; and never one of a
cloud's metadata service, which gives the secrets of the machine to whoever asks. Pure.

Rules: two readers must not see two hosts in one URL, so anything unusual is refused rather than repaired. A host that a
resolver would read as an IPv4 address is judged as that address, however it is written: 127.1, 2130706433, 0x7f.1.
Names are judged here only where they can never be public; what a name resolves to is judged when we connect, and again
the address that an entry gives a name itself (`resolve`).
Sources: RFC 3986; WHATWG URL section 3.5 (numeric hosts); the forms are those seen in attacks on gateways.
"""

from __future__ import annotations

import ipaddress
import re
from typing import TYPE_CHECKING, Final
from urllib.parse import SplitResult, urlsplit

from mcpgov.credential.references import Unfit, has_reference
from mcpgov.destinations import IPAddress, is_metadata, is_public, origin

if TYPE_CHECKING:
    from collections.abc import Iterable

MAX_URL: Final = 2048
_URL: Final = re.compile(r"[A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=%]+")
_HOST_NAME: Final = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)(\.(?!-)[a-z0-9_-]{1,63}(?<!-))*")
_NUMBER: Final = re.compile(r"0[xX][0-9a-fA-F]*|[0-9]+")
_METADATA_NAMES: Final = ("metadata.google.internal", "metadata.goog", "metadata")
_PRIVATE_NAMES: Final = ("localhost", "local", "localdomain", "internal", "home.arpa")
_FIXED: Final = re.compile(
    r"(?P<host>[A-Za-z0-9._-]{1,253}):(?P<port>[0-9]{1,5}):(?P<address>[0-9.]+|\[[0-9A-Fa-f:.]+\])(?::(?P<other>[0-9]{1,5}))?"
)
_IPV6: Final = re.compile(r"[0-9a-f:.]+")  # no zone: it names an interface of one machine


def check_url(url: str, *, private: bool) -> None:
    """Raise Unfit unless mcpgov may connect to `url`. `private` allows plain http and what is not public.

    A metadata service of a cloud is never allowed.
    """
    parts, host = _split(url)
    if parts.scheme == "http" and not private:
        raise Unfit("is plain http, which shows the credential to the network", "use https, or say `private: true`")
    address = _address(host)
    _refuse_metadata(host, address)
    if private:
        return
    if address is not None and not is_public(address):
        raise Unfit(
            f"leads to {address}, which is not a public address", "say `private: true` if this is your own server"
        )
    if address is None and any(host == name or host.endswith("." + name) for name in _PRIVATE_NAMES):
        raise Unfit(f"leads to {host}, a name on your own network", "say `private: true` if this is your own server")


def parse_fixed(text: str) -> tuple[str, str]:
    """`HOST:PORT:ADDRESS` or `HOST:PORT:ADDRESS:PORT` as (`host:port`, `address:port`). Raises Unfit.

    The notation is that of curl's --resolve; IPv6 stands in brackets.
    """
    parts = _FIXED.fullmatch(text)
    mend = "write it like api.contoso.com:443:10.0.0.7 or api.contoso.com:443:[2001:db8::7]:8443"
    if not parts or any(port and not 1 <= int(port) <= 65535 for port in (parts["port"], parts["other"])):
        raise Unfit("is not HOST:PORT:ADDRESS", mend)
    host = parts["host"].lower()
    if _address(host) is not None:
        raise Unfit("gives an address an address", "write the name of a host first")
    try:
        address = ipaddress.ip_address(parts["address"].strip("[]"))
    except ValueError:
        raise Unfit("is not HOST:PORT:ADDRESS", mend) from None
    shown = f"[{address}]" if address.version == 6 else str(address)
    return f"{host}:{parts['port']}", f"{shown}:{parts['other'] or parts['port']}"


def check_fixed(fixed: tuple[str, str], urls: Iterable[str], *, private: bool) -> None:
    """Raise Unfit unless this `host:port` is that of one of `urls`, and its address one that mcpgov may connect to."""
    origins = [found for found in map(origin, urls) if found]
    if fixed[0] not in {f"{host}:{port}" for _, host, port in origins}:
        raise Unfit(f"names {fixed[0]}, which this connection never calls", "write the host and port of its URL")
    address = ipaddress.ip_address(fixed[1].rpartition(":")[0].strip("[]"))
    _refuse_metadata(str(address), address)
    if not private and not is_public(address):
        raise Unfit(f"leads to {address}, which is not a public address", "say `private: true` if this is your own")


def _refuse_metadata(host: str, address: IPAddress | None) -> None:
    if host in _METADATA_NAMES or (address is not None and is_metadata(address)):
        said = f"leads to {address or host}, where a cloud gives the secrets of this machine to whoever asks"
        raise Unfit(said, "name another server: this one is never allowed")


def _split(url: str) -> tuple[SplitResult, str]:
    """The parts of a URL that is written as every reader would read it, and its host in lower case."""
    if has_reference(url):
        raise Unfit("holds a reference, and a URL is no place for a secret: it is logged", "put the secret into `keys`")
    if len(url) > MAX_URL or not _URL.fullmatch(url):
        raise Unfit("is not a URL", "write it in plain ASCII, other characters percent-encoded")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise Unfit("is not a URL", "write it as https://host/path") from None
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise Unfit("is not a URL", "write it as https://host/path")
    if "@" in parts.netloc:
        raise Unfit("holds a user name or password", "put the secret into `keys`")
    if "#" in url:
        raise Unfit("has a fragment, which never reaches a server", "remove the # and what follows it")
    if port == 0 or parts.netloc.endswith(":"):
        raise Unfit("has no port after the colon, or port 0", "write a port from 1 to 65535, or none")
    return parts, parts.hostname.lower()


def _address(host: str) -> IPAddress | None:
    """The address that a host is, in any form that resolvers understand; None for a name."""
    if ":" in host:
        try:
            return ipaddress.IPv6Address(host if _IPV6.fullmatch(host) else "")
        except ValueError:
            raise Unfit("has a host that is not an IPv6 address", "write it as https://[2001:db8::1]/path") from None
    if not _HOST_NAME.fullmatch(host):
        raise Unfit(
            "has a host that is not a host name", "write names with other than ASCII letters in their xn-- form"
        )
    labels = host.split(".")
    if not _NUMBER.fullmatch(labels[-1]):
        return None
    try:
        return _ipv4(labels)
    except ValueError:
        raise Unfit(
            "has a host that is neither an address nor a name", "write an IPv4 address as four numbers"
        ) from None


def _ipv4(labels: list[str]) -> ipaddress.IPv4Address:
    """One to four numbers, decimal, octal or hexadecimal, the last of them filling what is left (inet_aton)."""
    *leading, last = (_number(label) for label in labels)
    if len(leading) > 3 or any(number > 255 for number in leading) or last >= 256 ** (4 - len(leading)):
        raise ValueError(labels)
    packed = sum(number << (24 - 8 * place) for place, number in enumerate(leading))
    return ipaddress.IPv4Address(packed + last)


def _number(label: str) -> int:
    if not _NUMBER.fullmatch(label):
        raise ValueError(label)
    if label[:2] in {"0x", "0X"}:
        return int(label, 16)  # a bare 0x is 0 to browsers and no address to resolvers: refused
    return int(label, 8 if label.startswith("0") else 10)
