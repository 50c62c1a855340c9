"""A verifier after docs/proof.md, of the standard library alone. Takes LEDGER [VKEY [FOLDER]], exits as said there."""

import base64
import json
import sqlite3
import sys
from collections import defaultdict
from hashlib import sha256, sha512
from pathlib import Path
from typing import Any

TAMPERED, GAP, TORN = 1, 2, 3
P, L = 2**255 - 19, 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P
Point = tuple[int, int, int, int]
canonical = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode


def add(a: Point, b: Point) -> Point:  # RFC 8032, 5.1.4
    e, f = (a[1] - a[0]) * (b[1] - b[0]), (a[1] + a[0]) * (b[1] + b[0])
    g, h = 2 * a[3] * b[3] * D, 2 * a[2] * b[2]
    return (f - e) * (h - g) % P, (h + g) * (f + e) % P, (h - g) * (h + g) % P, (f - e) * (f + e) % P


def times(s: int, a: Point) -> Point:
    found: Point = (0, 1, 1, 0)
    for bit in f"{s:b}":
        found = add(add(found, found), a) if bit == "1" else add(found, found)
    return found


def point(data: bytes) -> Point:  # RFC 8032, 5.1.3
    sign, y = divmod(int.from_bytes(data, "little"), 1 << 255)
    square = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(square, (P + 3) // 8, P)
    x = x if (x * x - square) % P == 0 else x * pow(2, (P - 1) // 4, P) % P
    return (x if x & 1 == sign else P - x), y, 1, (x if x & 1 == sign else P - x) * y % P


def is_signed(public: bytes, signature: bytes, text: bytes) -> bool:  # RFC 8032, 5.1.7
    s, h = int.from_bytes(signature[32:], "little"), sha512(signature[:32] + public + text).digest()
    a = times(s, point((4 * pow(5, P - 2, P) % P).to_bytes(32, "little")))
    b = add(point(signature[:32]), times(int.from_bytes(h, "little") % L, point(public)))
    return s < L and (a[0] * b[2] - b[0] * a[2]) % P == (a[1] * b[2] - b[1] * a[2]) % P == 0


def tree(leaves: list[bytes]) -> bytes:  # RFC 6962, 2.1
    half = 1 << (len(leaves) - 1).bit_length() >> 1
    return sha256(b"\1" + tree(leaves[:half]) + tree(leaves[half:])).digest() if half else leaves[0]


class Ledger:
    def __init__(self, path: Path) -> None:
        self.codes, self.bad, self.notes = set[int](), set[str](), list[str]()
        self.hashes, self.open, self.named = defaultdict[str, list[bytes]](list), dict[str, str](), dict[str, int]()
        self.unnamed: dict[str, str] | None = None
        (self.read_export if path.suffix == ".jsonl" else self.read_store)(path)

    def read_store(self, path: Path) -> None:
        store = sqlite3.connect(path)
        for row in store.execute("SELECT writer, seq, record, hash FROM records ORDER BY id"):
            self.take(*row)
        rows = store.execute("SELECT id, coalesce(id || ':' || seq || ':' || lower(hex(hash)), '') FROM writers")
        self.unnamed, self.notes = dict(list(rows)), [note for (note,) in store.execute("SELECT note FROM checkpoints")]
        store.close()

    def read_export(self, path: Path) -> None:
        for line in path.read_bytes().splitlines(keepends=True):
            try:
                fields: dict[str, Any] = json.loads(line)
                entry, note = fields.get("entry"), fields.get("checkpoint")
                more = fields.keys() - ({"checkpoint", "entry", "hash"} if entry else {"writers"})
                assert (canonical(fields).encode() + b"\n", self.unnamed, more) == (line, None, set())
                if entry is None:
                    self.unnamed = fields["writers"]
                else:
                    text, digest = canonical(entry["record"]), bytes.fromhex(fields["hash"])
                    self.take(entry["writer"], entry["seq"], text, digest, entry["prev"])
                    self.notes += [note] if note else []
            except (ValueError, TypeError, KeyError, AttributeError, AssertionError, RecursionError):
                self.codes.add(TAMPERED if line.endswith(b"\n") else TORN)
        self.codes |= {TORN} if self.unnamed is None else set()

    def wrong(self, code: int, writer: str) -> None:
        self.codes, self.bad = self.codes | {code}, self.bad | {writer}

    def take(self, writer: str, seq: int, text: str, digest: bytes, prev: str | None = None) -> None:
        hashes, record = self.hashes[writer], json.loads(text)
        event, call = record.get("event"), record.get("call_id", "")
        size, before = len(hashes), (hashes or [bytes(32)])[-1].hex()
        if seq <= size or canonical(record) != text:
            return self.wrong(TAMPERED, writer)
        if seq > size + 1:
            self.wrong(GAP, writer)
        entry = canonical({"prev": prev or before, "record": record, "seq": seq, "writer": writer})
        right = (seq > size + 1 and prev is None) or sha256(b"\0" + entry.encode()).digest() == digest
        right &= seq > size + 1 or prev in {None, before}
        if not digest or not all(hashes[:1]):  # from before there were hashes
            right = not digest and not any(other[0] for other in self.hashes.values() if other)
        if not right or (event in {"intent", "denied"} and call in self.open):
            self.wrong(TAMPERED, writer)
        hashes += [b"-"] * (seq - size - 1) + [digest]
        for head in record.get("mcpgov.control.heads", ()):
            self.head(head)
        if event == "outcome" and self.open.pop(call, None) is None:
            self.codes.add(GAP)
        return self.open.update({call: writer} if event == "intent" else {})

    def head(self, head: str) -> None:
        writer, seq, digest = head.split(":")
        self.named[writer] = size = len(self.hashes[writer])
        if size < int(seq):
            self.codes.add(GAP)
        elif writer not in self.bad and (size > int(seq) or self.hashes[writer][-1].hex() != digest):
            self.codes.add(TAMPERED)

    def compare(self, note: str, vkey: str) -> None:
        text, _, signatures = note.rpartition("\n\n")
        (origin, size, root), (name, key_id, key) = text.split("\n"), vkey.split("+", 2)
        log, writer = origin.rsplit("/", 1)
        ours = [line.split(" ")[-1].encode() for line in signatures.split("\n") if line.startswith(f"\u2014 {name} ")]
        found = [one for one in map(base64.b64decode, ours) if one[:4].hex() == key_id]
        signed = [one[4:] for one in found if base64.b64encode(one) in ours]
        if log != name or not signed or not is_signed(base64.b64decode(key)[1:], signed[0], f"{text}\n".encode()):
            self.codes.add(TAMPERED)
        elif len(self.hashes[writer]) < int(size):
            self.codes.add(GAP)
        elif writer not in self.bad and tree(self.hashes[writer][: int(size)]) != base64.b64decode(root):
            self.codes.add(TAMPERED)


def main(path: str, vkey: str = "", folder: str = "") -> int:
    ledger, elsewhere = Ledger(Path(path)), Path(folder).rglob("*.note") if folder else ()
    for note in [*ledger.notes, *(file.read_text("utf-8") for file in elsewhere)] if vkey else ():
        try:
            ledger.compare(note, vkey)
        except (ValueError, IndexError):
            ledger.codes.add(TAMPERED)
    for head in filter(None, (unnamed := ledger.unnamed or {}).values()):
        ledger.head(head)
    for writer, hashes in ledger.hashes.items():
        if ledger.unnamed is not None and ledger.named.get(writer) != len(hashes) and any(hashes[:1]):
            ledger.codes |= set() if writer in unnamed or writer in ledger.bad else {TAMPERED}
    gone = {writer for writer in ledger.open.values() if unnamed.get(writer, "gone")}
    gone = gone if ledger.unnamed is not None else gone & ledger.named.keys()
    return min(ledger.codes | ({GAP} if gone else set()), default=0)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
