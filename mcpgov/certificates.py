"""The certificates that the listeners present: read, checked, made ready for TLS, looked at again while they serve.

Decides which pair of files may be presented, and when another takes its place. A pair that is unfit keeps a gateway
from starting; later the last good one stays, and a report says why. Whoever renews a pair writes two files, one after
the other: what is unfit counts only if it is still the same at the next look, unless a look was asked for (SIGHUP).
Connections keep what they began with.

Rules: TLS 1.2 and 1.3, and HTTP/1.1 within; no session is resumed, so that no ticket outlives its certificate, or is
worth stealing; none of its keys is written anywhere, whatever the environment asks for (SSLKEYLOGFILE). No message and
no record has anything of a key. Refuses to know: who connects, and how many.
"""

from __future__ import annotations

import asyncio
import hashlib
import ssl
import stat
from contextlib import suppress
from typing import TYPE_CHECKING, Final, NamedTuple

import structlog
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key
from cryptography.x509 import Certificate, load_pem_x509_certificates

from mcpgov.errors import InvalidConfiguration
from mcpgov.frozen import frozen

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from datetime import datetime
    from pathlib import Path

    from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes

    from mcpgov.errors import Problem
    from mcpgov.settings import Settings
    from mcpgov.tls_settings import Tls
    from mcpgov.yaml_source import Source

LOOK_EVERY: Final = 2.0  # seconds between two looks at the files
LARGEST: Final = 1 << 20  # bytes of a file
NEW_PAIR: Final = "name a certificate and the key that it was made for"


class Unsuitable(Exception):
    """A pair that may not be presented. `key` says which of the two settings it is about."""

    def __init__(self, key: str, message: str, mend: str) -> None:
        super().__init__(message)
        self.key = key
        self.message = message
        self.mend = mend


class Pair(NamedTuple):
    """The bytes of both files."""

    certificate: bytes
    key: bytes

    @property
    def digest(self) -> bytes:
        """What tells it from another pair."""
        return hashlib.sha256(hashlib.sha256(self.certificate).digest() + self.key).digest()


@frozen
class Renewal:
    """What came of new files at `listener` (`tls`, or `admin.tls`): good until `expires`, or else `problem`."""

    listener: str
    expires: str = ""
    problem: Problem | None = None


def read_pair(tls: Tls) -> Pair:
    """Both files as they are now. Raises Unsuitable."""
    return Pair(_read("certificate", tls.certificate), _read("key", tls.key))


def _read(key: str, place: Path) -> bytes:
    try:
        if place.exists() and not place.is_file():  # a pipe or a device would hold up the look, or never end
            raise Unsuitable(key, f"{place} is not a file", "name a file of PEM")
        with place.open("rb") as opened:
            content = opened.read(LARGEST + 1)
    except FileNotFoundError:
        raise Unsuitable(key, f"the file {place} is not there", "put it there, or name another") from None
    except OSError as error:
        mend = "let mcpgov's user read it, or name another"
        raise Unsuitable(key, f"the file {place} cannot be read: {error.strerror}", mend) from None
    if len(content) > LARGEST:
        raise Unsuitable(key, f"{place} is larger than {LARGEST} bytes", "is it the right file?")
    return content


def check_pair(tls: Tls, pair: Pair, now: datetime) -> Certificate:
    """The certificate of a pair that fits together and holds now. Raises Unsuitable."""
    try:
        certificate = load_pem_x509_certificates(pair.certificate)[0]
        public = certificate.public_key()
    except (ValueError, UnsupportedAlgorithm):
        mend = "name a file of PEM that begins with the certificate of this server"
        raise Unsuitable("certificate", f"{tls.certificate} holds no certificate that can be read", mend) from None
    if _spelled(public) != _spelled(_public_half(tls, pair)):
        raise Unsuitable("key", f"the key in {tls.key} is not that of {tls.certificate}", NEW_PAIR)
    if now >= certificate.not_valid_after_utc:
        what = f"{tls.certificate} expired on {certificate.not_valid_after_utc:%Y-%m-%d at %H:%M} UTC"
        raise Unsuitable("certificate", what, "renew it")
    if now < certificate.not_valid_before_utc:
        what = f"{tls.certificate} holds from {certificate.not_valid_before_utc:%Y-%m-%d at %H:%M} UTC"
        raise Unsuitable("certificate", what, "wait, or set the clock of this machine")
    return certificate


def good_until(tls: Tls, now: datetime) -> datetime:
    """When the first of what a pair presents ends: the certificate of this server, or one between it and its root.

    Raises Unsuitable.
    """
    pair = read_pair(tls)
    check_pair(tls, pair, now)
    return min(one.not_valid_after_utc for one in load_pem_x509_certificates(pair.certificate))


def _public_half(tls: Tls, pair: Pair) -> PublicKeyTypes:
    try:
        return load_pem_private_key(pair.key, None).public_key()
    except TypeError:  # which is how cryptography says that it would need a passphrase
        mend = "nobody is there to type its passphrase; take it off with: openssl pkey -in KEY -out NEW"
        raise Unsuitable("key", f"the key in {tls.key} is encrypted", mend) from None
    except (ValueError, UnsupportedAlgorithm):  # no words of the library's: they could quote what it read
        mend = "name a file of PEM with the key of this server"
        raise Unsuitable("key", f"{tls.key} holds no private key that can be read", mend) from None


def _spelled(key: PublicKeyTypes) -> bytes:
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def context_of(tls: Tls) -> ssl.SSLContext:
    """What a connection is encrypted by. Raises Unsuitable for what OpenSSL does not take, such as a short key."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)  # create_default_context() would follow SSLKEYLOGFILE
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_TICKET | ssl.OP_NO_RENEGOTIATION
    context.num_tickets = 0  # OP_NO_TICKET speaks for TLS 1.2 alone
    context.set_alpn_protocols(["http/1.1"])
    try:
        context.load_cert_chain(tls.certificate, tls.key, password=str)  # an empty one, or it would ask the terminal
    except (OSError, ValueError) as error:  # ssl.SSLError is one
        reason = getattr(error, "reason", None) or type(error).__name__
        raise Unsuitable("certificate", f"{tls.certificate} is not taken by OpenSSL: {reason}", NEW_PAIR) from None
    return context


def warn_of_readers(tls: Tls) -> None:
    """Say so in the log where everybody on this machine can read the key."""
    with suppress(OSError):
        if tls.key.stat().st_mode & stat.S_IROTH:
            structlog.get_logger().warning("tls-key-readable", key=str(tls.key), mend=f"chmod o-r {tls.key}")


class Presented:
    """What one listener presents. Raises Unsuitable unless there is a pair to begin with."""

    def __init__(self, tls: Tls, now: Callable[[], datetime]) -> None:
        self._tls = tls
        self._now = now
        self._doubted = self._told = b""  # what was unfit at the last look, and what was told of
        self._take(read_pair(tls))

    def _take(self, pair: Pair) -> datetime:
        certificate = check_pair(self._tls, pair, self._now())
        self.context = context_of(self._tls)
        self._in_force = pair.digest
        warn_of_readers(self._tls)
        return certificate.not_valid_after_utc

    def look(self, *, asked: bool) -> datetime | None:
        """When the pair expires that has just taken the place of another; None where nothing changed. Blocks.

        Raises Unsuitable, once for each unfit pair, or for each time that it is `asked`.
        """
        digest, expires = b"", None
        try:
            pair = read_pair(self._tls)
            digest = pair.digest
            if digest != self._in_force:
                expires = self._take(pair)
        except Unsuitable as unsuitable:
            doubt = digest + unsuitable.message.encode()
            first, self._doubted = doubt != self._doubted, doubt
            if asked or not (first or doubt == self._told):
                self._told = doubt
                raise
        else:
            self._doubted = self._told = b""
        return expires


def named_pairs(settings: Settings) -> dict[tuple[str, ...], Tls]:
    """The pair of each listener with TLS, by the keys of its `tls`."""
    named = {("tls",): settings.tls, ("admin", "tls"): settings.admin.tls if settings.admin else None}
    return {keys: tls for keys, tls in named.items() if tls}


def present(settings: Settings, source: Source, now: Callable[[], datetime]) -> dict[tuple[str, ...], Presented]:
    """What each listener with TLS presents, by the keys of its `tls`. Raises InvalidConfiguration with each problem."""
    found: dict[tuple[str, ...], Presented] = {}
    problems: list[Problem] = []
    for keys, tls in named_pairs(settings).items():
        try:
            found |= {keys: Presented(tls, now)}
        except Unsuitable as wrong:
            problems.append(source.problem((*keys, wrong.key), wrong.message, wrong.mend))
    if problems:
        raise InvalidConfiguration(tuple(problems))
    return found


class Certificates:
    """What every listener with TLS presents. `report` hears of each renewal, those that were refused too."""

    def __init__(
        self,
        settings: Settings,
        source: Source,
        report: Callable[[Renewal], Awaitable[None]],
        now: Callable[[], datetime],
    ) -> None:
        """Read them. Raises InvalidConfiguration."""
        self._source = source
        self._report = report
        self._presented = present(settings, source, now)
        self._asked = asyncio.Event()

    def of(self, *keys: str) -> Callable[[], ssl.SSLContext] | None:
        """How the listener whose `tls` stands at `keys` encrypts its next connection; None where it has none."""
        place = self._presented.get(keys)
        return (lambda: place.context) if place else None

    def request_look(self) -> None:
        """Ask watch() to look now; for a signal handler of the event loop."""
        self._asked.set()

    async def watch(self) -> None:
        """Look whenever it is time or asked for, until cancelled."""
        while self._presented:
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_EVERY):
                    await self._asked.wait()
            asked = self._asked.is_set()
            self._asked.clear()
            for renewal in await asyncio.to_thread(self.look, asked=asked):
                await self._report(renewal)

    def look(self, *, asked: bool = False) -> list[Renewal]:
        """Take up every pair that has changed. Blocks on files."""
        found: list[Renewal] = []
        for keys, place in self._presented.items():
            name = ".".join(keys)
            try:
                expires = place.look(asked=asked)
            except Unsuitable as wrong:
                problem = self._source.problem((*keys, wrong.key), wrong.message, wrong.mend)
                found.append(Renewal(name, problem=problem))
            else:
                found += [Renewal(name, f"{expires:%Y-%m-%dT%H:%M:%SZ}")] if expires else []
        return found
