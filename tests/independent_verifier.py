"""A verifier after docs/proof.md, of the standard library alone. Takes LEDGER [VKEY [FOLDER]], exits as said there."""

import json
import sqlite3
import sys
from base64 import b64decode, b64encode
from collections import defaultdict
from functools import reduce
from hashlib import sha256, sha512
from pathlib import Path
from typing import Any

TAMPERED, GAP, TORN, P = 1, 2, 3, 2**255 - 19
L, D = 2**252 + 27742317777372353535851937790883648493, -121665 * pow(121666, P - 2, P) % P
canonical = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode


def add(a: Any, b: Any) -> Any:  # RFC 8032, 5.1.4
    e, f = (a[1] - a[0]) * (b[1] - b[0]), (a[1] + a[0]) * (b[1] + b[0])
    g, h = 2 * a[3] * b[3] * D, 2 * a[2] * b[2]
    return (f - e) * (h - g) % P, (h + g) * (f + e) % P, (h - g) * (h + g) % P, (f - e) * (f + e) % P


def times(s: int, a: Any) -> Any:
    return reduce(lambda found, bit: add(add(found, found), a if bit == "1" else (0, 1, 1, 0)), f"{s:b}", (0, 1, 1, 0))


def point(data: bytes) -> Any:  # RFC 8032, 5.1.3
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


class Ledger:
    def __init__(self, path: Path) -> None:
        self.codes, self.bad, self.unnamed, self.notes = set[int](), defaultdict[str, set[int]](set), None, list[str]()
        self.hashes, self.open, self.named = defaultdict[str, list[bytes]](list), dict[str, str](), dict[str, int]()
        self.gone, self.said, self.signed, self.purges = [dict[str, Any]() for _ in range(4)]
        (self.read_export if path.suffix == ".jsonl" else self.read_store)(path)

    def read_store(self, path: Path) -> None:
        store = sqlite3.connect(path)
        for (text,) in store.execute("SELECT record FROM records WHERE reason = 'purged' ORDER BY id"):
            self.fold(self.gone, json.loads(text))
        for row in store.execute("SELECT writer, seq, record, hash FROM records ORDER BY id"):
            self.take(*row)
        rows = store.execute("SELECT id, coalesce(id || ':' || seq || ':' || lower(hex(hash)), '') FROM writers")
        self.unnamed, self.notes = dict(list(rows)), [note for (note,) in store.execute("SELECT note FROM checkpoints")]

    def read_export(self, path: Path) -> None:
        for number, line in enumerate(path.read_bytes().splitlines(keepends=True)):
            try:
                fields = json.loads(line)
                assert (canonical(fields).encode() + b"\n", self.unnamed) == (line, None)
                entry, digest, note = (fields.pop(name, None) for name in ("entry", "hash", "checkpoint"))
                if entry:
                    kept = entry["writer"], entry["seq"], canonical(entry["record"]), bytes.fromhex(digest)
                    self.notes += [note] * (self.take(*kept, entry["prev"]) is None and note is not None)
                elif number == 0 and {*fields} == {"open", "purged"}:
                    self.fold(self.gone, {f"mcpgov.control.{name}": fields.pop(name) for name in ("open", "purged")})
                else:
                    self.unnamed = fields.pop("writers")
                assert (fields, entry or digest) == ({}, entry)
            except (ValueError, TypeError, KeyError, AttributeError, AssertionError, RecursionError):
                self.codes.add(TAMPERED if line.endswith(b"\n") else TORN)
        self.codes |= {TORN} if self.unnamed is None else set()

    def fold(self, into: dict[str, Any], record: dict[str, Any]) -> None:  # what purges say is gone; "": calls
        for text in record["mcpgov.control.purged"]:
            writer, size, head, peaks = text.split(":")
            said = int(size), bytes.fromhex(head), [bytes.fromhex(peak) for peak in peaks.split(",") if peak]
            into[writer] = said = max(into.get(writer, said), said)
            self.hashes[writer] = [said[1]] * said[0] if into is self.gone else self.hashes[writer]
        into[""] = sorted(record.get("mcpgov.control.open", ()))
        self.open = dict.fromkeys(into[""], "") if into is self.gone else self.open

    def take(self, writer: Any, seq: int, text: str, digest: bytes, prev: str | None = None) -> None:
        hashes, record, missing = self.hashes[writer], json.loads(text), seq - len(self.hashes[writer]) - 1
        event, call, before = record.get("event"), record.get("call_id"), (hashes or [bytes(32)])[-1].hex()
        if missing < 0 or canonical(record) != text:
            return self.bad[writer].add(TAMPERED)
        own = sha256(f'\0{{"prev":"{prev or before}","record":{text},"seq":{seq},"writer":"{writer}"}}'.encode())
        right = (missing and prev is None) or (own.digest() == digest and (missing or prev in {None, before}))
        if not digest or not all(hashes[:1]):  # from before there were hashes
            right = not digest and not any(other[0] for other in self.hashes.values() if other)
        right = right and isinstance(writer, str) and (event == "control" or isinstance(call, str))
        right = right and (event not in {"intent", "denied"} or call not in self.open)
        self.bad[writer] |= ({GAP} if missing else set()) | (set() if right else {TAMPERED})
        hashes += [b"-"] * missing + [digest]
        for head in record.get("mcpgov.control.heads", ()):
            self.head(head)
        if "mcpgov.control.purged" in record:
            self.purges[writer] = self.fold(self.said, record) or seq
        self.codes |= {GAP} if event == "outcome" and self.open.pop(call, None) is None else set()
        return self.open.update({call: writer} if event == "intent" else {})

    def head(self, head: str) -> None:
        writer, seq, digest = head.split(":")
        self.named[writer] = size = len(hashes := self.hashes[writer])
        right = self.bad[writer] or (size == int(seq) and hashes[-1].hex() == digest)
        self.codes |= {GAP} if size < int(seq) else set() if right else {TAMPERED}

    def compare(self, note: str, vkey: str) -> None:
        text, _, signatures = note.rpartition("\n\n")
        (origin, size, root), (name, key_id, key) = text.split("\n"), vkey.split("+", 2)
        log, writer = origin.rsplit("/", 1)
        ours = [line.split(" ")[-1].encode() for line in signatures.split("\n") if line.startswith(f"\u2014 {name} ")]
        signed = [one[4:] for one in map(b64decode, ours) if one[:4].hex() == key_id and b64encode(one) in ours]
        here, (gone, _, peaks) = self.hashes[writer], self.gone.get(writer, (0, b"", []))
        for number, leaf in enumerate(here[gone : int(size)], gone):  # RFC 6962, 2.1
            peaks = [*peaks, leaf]
            for _ in range((number ^ (number + 1)).bit_length() - 1):
                peaks = [*peaks[:-2], sha256(b"\1" + peaks[-2] + peaks[-1]).digest()]
        known = log == name and signed and is_signed(b64decode(key)[1:], signed[0], f"{text}\n".encode())
        found = reduce(lambda right, left: sha256(b"\1" + left + right).digest(), reversed(peaks or [b""]))
        differs = int(size) >= gone and not self.bad[writer] and found != b64decode(root)
        wrong = {GAP} if len(here) < int(size) else {TAMPERED} if differs else set[int]()
        self.codes |= wrong if known else {TAMPERED}
        self.signed[writer] = max(self.signed.get(writer, 0), int(size) if known and wrong != {GAP} else 0)


def main(path: str, vkey: str = "", folder: str = "") -> int:
    try:
        log, elsewhere = Ledger(Path(path)), Path(folder).rglob("*.note") if folder else ()
        for note in [*log.notes, *(file.read_text("utf-8") for file in elsewhere)] if vkey else ():
            log.compare(note, vkey)
        for head in filter(None, (log.unnamed or {}).values()):
            log.head(head)
    except (ValueError, LookupError, AttributeError, TypeError, ArithmeticError, RecursionError, sqlite3.Error):
        return TAMPERED
    whole, unnamed = log.unnamed is not None, log.unnamed or {}
    for writer, hashes in log.hashes.items():
        known = {log.named.get(writer), log.gone.get(writer, (0,))[0]} & {len(hashes)} or writer in unnamed
        known = known and (not vkey or log.signed.get(writer, 0) >= log.purges.get(writer, 0))
        log.codes |= {TAMPERED} if whole and not log.bad[writer] and any(hashes[:1]) and not known else set()
    left = [GAP for one in log.open.values() if unnamed.get(one, "gone") and (whole or one in log.named)]
    return min(log.codes.union(left, [TAMPERED][: whole and log.gone != log.said], *log.bad.values()), default=0)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
