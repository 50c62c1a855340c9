"""The proof that one record is in the ledger, which shows no other: RFC 6962 inclusion under a signed checkpoint.

Pure. `entry` is the record's entry, `index` its place among the `size` entries of its writer, counted from 0, `hashes`
are the roots of the subtrees beside it, the nearest first, and `note` is the checkpoint whose root they lead to.
"""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING, Protocol, Self

from mcpgov.audit.merkle import leaf_hash, root_from
from mcpgov.audit.note import opened
from mcpgov.audit.verify import Evidence, encoded, read
from mcpgov.frozen import frozen

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mcpgov.audit.note import VerifierKey
    from mcpgov.models import Json

FIELDS = {"entry", "hashes", "index", "note", "size"}


@frozen
class Proof:
    """What proves one record. `entry` is canonical JSON."""

    entry: str
    index: int
    size: int
    hashes: tuple[bytes, ...]
    note: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """The proof that a line of JSON is. Raises ValueError."""
        fields = read(text.strip())
        if fields is None or set(fields) != FIELDS:
            raise ValueError("is no proof; mcpgov audit prove prints one")
        index, size, hashes = fields["index"], fields["size"], fields["hashes"]
        if type(index) is not int or type(size) is not int or not isinstance(hashes, list):
            raise ValueError("is no proof: index and size are numbers, hashes a list")
        try:
            found = tuple(base64.b64decode(str(one), validate=True) for one in hashes)
        except binascii.Error:
            raise ValueError("is no proof: hashes are base64") from None
        proof = cls(encoded(fields["entry"]), index, size, found, str(fields["note"]))
        if proof.line != text.strip():
            raise ValueError("is no proof: it can be written in one way only")
        return proof

    @property
    def line(self) -> str:
        """The proof as one line of canonical JSON."""
        hashes: list[Json] = [base64.b64encode(one).decode() for one in self.hashes]
        fields: dict[str, Json] = {"hashes": hashes, "index": self.index, "note": self.note, "size": self.size}
        return f'{{"entry":{self.entry},{encoded(fields)[1:]}'

    def check(self, key: VerifierKey) -> str:
        """Whose record it proves, as `WRITER:SEQ`. Raises ValueError, saying why it proves nothing."""
        checkpoint = opened(self.note, key)
        entry = read(self.entry) or {}
        if (entry.get("writer"), entry.get("seq"), self.size) != (checkpoint.writer, self.index + 1, checkpoint.size):
            raise ValueError("has the checkpoint of another log, or the place of another entry")
        if root_from(leaf_hash(self.entry.encode()), self.index, self.size, self.hashes) != checkpoint.root:
            raise ValueError("does not lead to the root that its checkpoint signs")
        return f"{checkpoint.writer}:{self.index + 1}"


class ProvingEvidence(Evidence, Protocol):
    """Evidence that can prove single records."""

    def proofs(self, identifier: str) -> Sequence[Proof | str]:
        """The proof of each record with this id; of one that no checkpoint covers, its place as `WRITER:SEQ`."""
        ...
