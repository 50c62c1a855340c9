"""Signed notes and the checkpoints in them, as C2SP has them: c2sp.org/signed-note and c2sp.org/tlog-checkpoint.

Pure. A checkpoint says how many entries a log has and what the root of their tree is. The log of one writer goes by the
origin `<name of the key>/<writer>`; the key has a name of its own, made from its public half, so that what another key
signed is another log. Signatures are Ed25519 (RFC 8032). The key itself never prints.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from typing import TYPE_CHECKING, Self

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from mcpgov.audit.merkle import HASH
from mcpgov.frozen import frozen

if TYPE_CHECKING:
    from mcpgov.audit.chain import Chain

PLACE = "mcpgov.dev"
ED25519 = b"\x01"
KEY = 32  # bytes of either half
KEY_ID = 4  # bytes
SIGNATURE = 64  # bytes
DASH = "\N{EM DASH}"


@frozen
class VerifierKey:
    """The public half of a key, with its name. Its text is the vkey that C2SP tools take: `name+id+key`."""

    name: str
    public: bytes

    @classmethod
    def parse(cls, text: str) -> Self:
        """The key that a vkey is the text of. Raises ValueError."""
        name, _, rest = text.strip().partition("+")
        key = cls(name, _decoded(rest.partition("+")[2])[1:])
        if str(key) != text.strip() or len(key.public) != KEY or not _is_name(name):
            raise ValueError("this is no verifier key; mcpgov audit key prints it, as NAME+ID+KEY")
        return key

    @property
    def id(self) -> bytes:
        """Four bytes that stand for the key in a signature."""
        return hashlib.sha256(f"{self.name}\n".encode() + ED25519 + self.public).digest()[:KEY_ID]

    def __str__(self) -> str:
        return f"{self.name}+{self.id.hex()}+{base64.b64encode(ED25519 + self.public).decode()}"

    def opened(self, note: str) -> str:
        """The text of a note that this key signed. Raises ValueError where it did not, or not this text."""
        text, separator, signatures = note.rpartition("\n\n")
        signed = [_signature(line) for line in signatures.removesuffix("\n").split("\n")]
        if not separator or not signatures.endswith("\n"):
            raise ValueError("is not signed as notes are")
        for name, signature in signed:
            if name == self.name and signature[:KEY_ID] == self.id:
                try:
                    Ed25519PublicKey.from_public_bytes(self.public).verify(signature[KEY_ID:], f"{text}\n".encode())
                except InvalidSignature:
                    raise ValueError(f"the signature of {self.name} is false") from None
                return f"{text}\n"
        raise ValueError(f"is not signed by {self.name}")


class Signer:
    """Signs notes with the private key that 32 bytes are. The name of the key is made from its public half."""

    __slots__ = ("_private", "key")

    def __init__(self, seed: bytes) -> None:
        self._private = Ed25519PrivateKey.from_private_bytes(seed)
        public = self._private.public_key().public_bytes_raw()
        self.key = VerifierKey(f"{PLACE}/{hashlib.sha256(public).hexdigest()[:16]}", public)

    def sign(self, text: str) -> str:
        """The note of a text, which ends with a newline."""
        signature = base64.b64encode(self.key.id + self._private.sign(text.encode())).decode()
        return f"{text}\n{DASH} {self.key.name} {signature}\n"

    def checkpoint(self, chain: Chain) -> str:
        """The note that says what a writer has written so far."""
        return self.sign(Checkpoint(f"{self.key.name}/{chain.writer}", chain.size, chain.root).text)


@frozen
class Checkpoint:
    """That a log has `size` entries, and the root of their tree."""

    origin: str
    size: int
    root: bytes

    @classmethod
    def parse(cls, text: str) -> Self:
        """The checkpoint that the text of a note is. Raises ValueError."""
        lines = text.split("\n")
        if len(lines) >= len(cls.__match_args__) and lines[1].isascii() and lines[1].isdecimal():
            found = cls(lines[0], int(lines[1]), _decoded(lines[2]))
            if found.text == text and len(found.root) == HASH:
                return found
        raise ValueError("this is no checkpoint")

    @property
    def text(self) -> str:
        """The text that is signed."""
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n"

    @property
    def writer(self) -> str:
        """Whose log this is."""
        return self.origin.rpartition("/")[2]


def opened(note: str, key: VerifierKey | None) -> Checkpoint:
    """The checkpoint in a note; with a key, one that it signed for a log of its own. Raises ValueError."""
    checkpoint = Checkpoint.parse(key.opened(note) if key else unopened(note))
    if key is not None and checkpoint.origin != f"{key.name}/{checkpoint.writer}":
        raise ValueError("is of a log that is not ours")
    return checkpoint


def unopened(note: str) -> str:
    """The text of a note, whoever signed it. Nothing that it says is proved."""
    text, _, _ = note.rpartition("\n\n")
    return f"{text}\n"


def _signature(line: str) -> tuple[str, bytes]:
    """The name and the bytes of a signature line. Raises ValueError for another: no verifier may pass over what the
    next one refuses (c2sp.org/signed-note, "Signatures").
    """
    dash, _, rest = line.partition(" ")
    name, _, encoded = rest.partition(" ")
    signature = _decoded(encoded)
    if dash != DASH or not _is_name(name) or len(signature) <= KEY_ID:
        raise ValueError("is not signed as notes are")
    return name, signature


def _is_name(name: str) -> bool:
    return bool(name) and not any(letter.isspace() or letter == "+" for letter in name)


def _decoded(text: str) -> bytes:
    """The bytes of base64 text; none for what is no base64, or has bits behind its end (RFC 4648 section 3.5)."""
    try:
        found = base64.b64decode(text.encode(), validate=True)
    except (binascii.Error, UnicodeEncodeError):
        return b""
    return found if base64.b64encode(found).decode() == text else b""
