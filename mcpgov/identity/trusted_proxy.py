"""Identities that a trusted proxy has checked: a user that it names, a client certificate that it saw.

Rules: only what comes straight from a trusted proxy is believed, and the same header from anybody else is refused,
never ignored: somebody tries to be somebody. One field line of a header, one identity, one reading of it; what two
parsers could read in two ways is refused. The proxy has to strip these headers from what callers send it.
Refuses to know: whether the proxy checked well.
Source of the form: Envoy, HTTP header manipulation, x-forwarded-client-cert.
"""

from __future__ import annotations

import re
from dataclasses import field
from typing import TYPE_CHECKING, Final

from mcpgov.decision import Reason
from mcpgov.errors import Refusal
from mcpgov.frozen import frozen
from mcpgov.identity.client_ip import is_trusted_peer
from mcpgov.models import Principal, PrincipalKind

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mcpgov.identity.client_ip import IPNetwork
    from mcpgov.models import RequestHead

LONGEST_USER: Final = 240  # characters; with what stands before it, records hold it whole
# A value is in double quotes where , ; or = stand in it; a double quote in there is written \". No other escape exists.
_PAIR: Final = re.compile(r' *+([A-Za-z]{1,16})=("(?:[^"\\]|\\")*+"|[^",;=\\]*+)')
_SHA256: Final = re.compile(r"[0-9a-f]{64}")


@frozen
class TrustedProxy:
    """What the proxies at these addresses say of callers. A header without a name is not read.

    `certificates` are the names that certificates go by, each by its SHA-256 in lower-case hex.
    """

    proxies: tuple[IPNetwork, ...]
    user_header: str = ""
    certificate_header: str = ""
    certificates: Mapping[str, str] = field(default_factory=dict[str, str])

    def refuse_strangers(self, head: RequestHead) -> None:
        """Raise Refusal (credential-invalid) where another than a trusted proxy sends one of the headers."""
        if self.recognises(head) and not is_trusted_peer(head.peer, self.proxies):
            raise _invalid(f"{' and '.join(self._sent(head))} from {head.peer}, which is not in trusted_proxies")

    def recognises(self, head: RequestHead) -> bool:
        """Whether one of the headers is there."""
        return bool(self._sent(head))

    async def authenticate(self, head: RequestHead) -> Principal:
        """The user, or the app that holds the certificate. Raises Refusal: credential-invalid, -ambiguous."""
        self.refuse_strangers(head)
        sent = self._sent(head)
        if len(sent) != 1 or len(head.headers.all(sent[0])) != 1:
            detail = f"{' and '.join(sent)}: {sum(len(head.headers.all(name)) for name in sent)} field lines"
            raise Refusal(Reason.CREDENTIAL_AMBIGUOUS, "The proxy vouches for more than one caller.", detail=detail)
        value = head.headers.get(sent[0])
        return self._holder_of(value) if sent[0] == self.certificate_header else _user(value)

    def _sent(self, head: RequestHead) -> list[str]:
        return [name for name in (self.user_header, self.certificate_header) if name and name in head.headers]

    def _holder_of(self, value: str) -> Principal:
        """The app whose certificate the proxy saw: the last element is what the one next to us added."""
        hashes = [found for key, found in _elements(value)[-1] if key == "hash"]
        if len(hashes) != 1 or not _SHA256.fullmatch(hashes[0].lower()):
            raise _invalid("the client certificate has not exactly one Hash")
        digest = hashes[0].lower()
        name = self.certificates.get(digest)
        if name is None:
            raise _invalid(f"the client certificate {digest} is not listed")
        certificate = f"certificate:{digest}"
        return Principal(certificate, PrincipalKind.APP, name, credential=certificate)


def _user(value: str) -> Principal:
    """The user whom the proxy names, in UTF-8. A header field reaches us as latin-1 (models.Headers)."""
    try:
        user = value.encode("latin-1").decode("utf-8")
    except UnicodeError:
        raise _invalid("the name of the user is not UTF-8") from None
    if not 1 <= len(user) <= LONGEST_USER or not user.isprintable():
        raise _invalid(f"the name of the user is not 1 to {LONGEST_USER} printable characters")
    return Principal(f"proxy:user:{user}", PrincipalKind.USER, user, credential="proxy:user", subject=user)


def _elements(value: str) -> list[list[tuple[str, str]]]:
    """The elements of X-Forwarded-Client-Cert, each as pairs of a lower-case key and a value. Raises Refusal."""
    elements: list[list[tuple[str, str]]] = [[]]
    position = 0
    while True:
        pair = _PAIR.match(value, position)
        if pair is None:
            raise _invalid("the header of the client certificate cannot be read")
        elements[-1].append((pair[1].lower(), pair[2].removeprefix('"').removesuffix('"')))
        position = pair.end()
        if position == len(value):
            return elements
        if value[position] not in ",;":
            raise _invalid("the header of the client certificate cannot be read")
        if value[position] == ",":
            elements.append([])
        position += 1


def _invalid(detail: str) -> Refusal:
    return Refusal(Reason.CREDENTIAL_INVALID, "What was said of the caller is not believed.", detail=detail)
