"""What can be done to a store by somebody who knows how it is made, and has not the key that signs its checkpoints."""

import json
import random
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from mcpgov.audit.chain import NOTHING, Chain, entry
from mcpgov.audit.merkle import leaf_hash
from mcpgov.audit.note import Checkpoint, Signer
from mcpgov.audit.purge import PURGED, chain_of, chain_text
from mcpgov.audit.record import ControlEvent, ControlRecord, DeniedRecord, Row, canonical
from mcpgov.decision import Reason
from tests.audit.calls import NOW, facts
from tests.contract.ledgers import SIGNER

OTHER = Signer(b"another key, of another person!!")


@dataclass(frozen=True)
class Forger:
    """Changes a copy of a store. `covered` are its records that the checkpoints which left vouch for."""

    path: Path
    database: sqlite3.Connection
    chance: random.Random
    covered: list[tuple[int, str, int]]

    def some(self, *, before_last: bool = False) -> tuple[int, str, int]:
        """The id, writer and seq of a record; with `before_last`, one that its writer wrote more after."""
        last = {writer: seq for _, writer, seq in self.covered}
        return self.chance.choice([one for one in self.covered if not before_last or one[2] < last[one[1]]])

    def text(self, place: int) -> str:
        """A record."""
        return str(self.database.execute("SELECT record FROM records WHERE id = ?", (place,)).fetchone()[0])

    def rehash(self, writer: str) -> Chain:
        """Make a writer's hashes fit its records, as whoever knows how they are made can."""
        rows = self.database.execute(
            "SELECT id, record FROM records WHERE writer = ? ORDER BY seq", (writer,)
        ).fetchall()
        chain, hashes = Chain(writer).extended(record for _, record in rows)
        for (place, _), digest in zip(rows, hashes, strict=True):
            self.database.execute("UPDATE records SET hash = ? WHERE id = ?", (digest, place))
        return chain

    def shift(self, writer: str, after: int, by: int) -> None:
        """Renumber what a writer wrote after a record."""
        for step in (1_000_000, by - 1_000_000):
            self.database.execute(
                "UPDATE records SET seq = seq + ? WHERE writer = ? AND seq > ?", (step, writer, after)
            )


Forgery = Callable[[Forger], None]


def alter(forger: Forger) -> None:
    """One character of one record; perhaps with the hash that fits, perhaps with every later one of the writer."""
    place, writer, seq = forger.some()
    text = forger.text(place)
    at = forger.chance.choice([at for at, letter in enumerate(text) if letter.isalnum()])
    changed = f"{text[:at]}{chr(ord(text[at]) ^ 1)}{text[at + 1 :]}"
    forger.database.execute("UPDATE records SET record = ? WHERE id = ?", (changed, place))
    match forger.chance.randrange(3):
        case 0:
            forger.rehash(writer)
        case 1:
            before = forger.database.execute("SELECT hash FROM records WHERE writer = ? AND seq = ?", (writer, seq - 1))
            prev = (before.fetchone() or (NOTHING,))[0]
            digest = leaf_hash(entry(f'"{writer}"', seq, prev, changed))
            forger.database.execute("UPDATE records SET hash = ? WHERE id = ?", (digest, place))
        case _:
            pass


def drop(forger: Forger) -> None:
    """One record, or a row of them; perhaps closing the gap."""
    place, writer, seq = forger.some()
    forger.database.execute("DELETE FROM records WHERE id = ?", (place,))
    if forger.chance.random() < 0.5:
        forger.shift(writer, seq, -1)
        if forger.chance.random() < 0.5:
            forger.rehash(writer)


def insert(forger: Forger) -> None:
    """One record more in the middle of a writer's, or a writer that never was."""
    _, writer, seq = forger.some(before_last=True)
    row = DeniedRecord(facts("forged"), Reason.TOOL_DENIED).row()
    if forger.chance.random() < 0.2:
        writer, seq = "1a1fccfe290-0badcafe", 0
    forger.shift(writer, seq, 1)
    columns = ", ".join(("writer", "seq", *Row._fields, "hash"))
    marks = ", ".join("?" * (len(Row._fields) + 3))
    forger.database.execute(
        f"INSERT INTO records ({columns}) VALUES ({marks})", (writer, seq + 1, *row, forger.chance.randbytes(32))
    )
    if seq == 0 or forger.chance.random() < 0.5:
        forger.rehash(writer)


def swap(forger: Forger) -> None:
    """What two numbers of a writer stand for."""
    first, writer, seq = forger.some(before_last=True)
    second, _, other = forger.chance.choice([one for one in forger.covered if one[1] == writer and one[2] > seq])
    columns = "seq" if forger.chance.random() < 0.5 else "id"
    if columns == "seq":
        forger.database.execute("UPDATE records SET seq = -1 WHERE id = ?", (first,))
        forger.database.execute("UPDATE records SET seq = ? WHERE id = ?", (seq, second))
        forger.database.execute("UPDATE records SET seq = ? WHERE id = ?", (other, first))
    else:
        forger.database.execute("UPDATE records SET id = -1 WHERE id = ?", (first,))
        forger.database.execute("UPDATE records SET id = ? WHERE id = ?", (first, second))
        forger.database.execute("UPDATE records SET id = ? WHERE id = -1", (second,))


def duplicate(forger: Forger) -> None:
    """A record that stands there twice."""
    place, writer, seq = forger.some(before_last=True)
    forger.shift(writer, seq, 1)
    columns = [name for name in Row._fields if name != "call_id"]
    names = ", ".join(columns)
    forger.database.execute(
        f"INSERT INTO records (writer, seq, {names}, hash) SELECT writer, seq + 1, {names}, hash FROM records"
        " WHERE id = ?",
        (place,),
    )
    if forger.chance.random() < 0.5:
        forger.rehash(writer)


def truncate(forger: Forger) -> None:
    """The end of a writer, or of the whole ledger, with the checkpoints and the list that tell of it."""
    place, writer, seq = forger.some()
    if forger.chance.random() < 0.5:
        forger.database.execute("DELETE FROM records WHERE writer = ? AND seq >= ?", (writer, seq))
        forger.database.execute("DELETE FROM checkpoints WHERE writer = ? AND size >= ?", (writer, seq))
        forger.database.execute("DELETE FROM writers WHERE id = ?", (writer,))
    else:
        forger.database.execute("DELETE FROM records WHERE id >= ?", (place,))
        forger.database.execute("DELETE FROM checkpoints")


def splice(forger: Forger) -> None:
    """The rest of a writer as another ledger has it, or a record from there. Not itself, from an older copy."""
    place, writer, seq = forger.some()
    rows = forger.database.execute(
        """
        SELECT record, hash FROM another.records WHERE event <> 'outcome'
        AND record <> (SELECT record FROM main.records WHERE id = ?) ORDER BY random() LIMIT 1
        """,
        (place,),
    )
    record, digest = rows.fetchone()
    forger.database.execute(
        "UPDATE records SET record = ?, hash = ? WHERE writer = ? AND seq = ?", (record, digest, writer, seq)
    )
    if forger.chance.random() < 0.5:
        forger.rehash(writer)


def rechain(forger: Forger) -> None:
    """A record, every hash after it, and every checkpoint, signed with a key of one's own."""
    place, writer, _ = forger.some()
    forger.database.execute("UPDATE records SET record = replace(record, 'a', 'e') WHERE id = ?", (place,))
    forger.rehash(writer)
    for name, size in forger.database.execute("SELECT writer, size FROM checkpoints").fetchall():
        rows = forger.database.execute("SELECT record FROM records WHERE writer = ? AND seq <= ?", (name, size))
        chain, _ = Chain(name).extended(record for (record,) in rows.fetchall())
        note = OTHER.checkpoint(chain)
        forger.database.execute("UPDATE checkpoints SET note = ? WHERE writer = ? AND size = ?", (note, name, size))


def forge(forger: Forger) -> None:
    """A checkpoint that says something else, with the signature of the right one, or with another."""
    rows = forger.database.execute("SELECT writer, size, note FROM checkpoints").fetchall()
    writer, size, note = forger.chance.choice(rows)
    text, _, signature = note.rpartition("\n\n")
    made = Checkpoint.parse(f"{text}\n")
    root = forger.chance.randbytes(32)
    forged = forger.chance.choice(
        [
            f"{Checkpoint(made.origin, size, root).text}\n{signature}",
            f"{Checkpoint(made.origin, size + 1, made.root).text}\n{signature}",
            OTHER.sign(Checkpoint(f"{OTHER.key.name}/{writer}", size, root).text),
            OTHER.sign(made.text).replace(OTHER.key.name, SIGNER.key.name),
        ]
    )
    forger.database.execute("UPDATE checkpoints SET note = ? WHERE writer = ? AND size = ?", (forged, writer, size))


FORGERIES: dict[str, Forgery] = {
    "alter": alter,
    "drop": drop,
    "insert": insert,
    "swap": swap,
    "duplicate": duplicate,
    "truncate": truncate,
    "splice": splice,
    "re-chain with another key": rechain,
    "forge a checkpoint": forge,
}


# -- where the oldest records were purged ------------------------------------------------------------------------------


def last_purge(forger: Forger) -> tuple[int, str]:
    """The id and the writer of the last record of a purge."""
    query = "SELECT id, writer FROM records WHERE reason = 'purged' ORDER BY id DESC LIMIT 1"
    place, writer = forger.database.execute(query).fetchone()
    return place, writer


def rewrite(forger: Forger, change: Callable[[Chain], Chain]) -> None:
    """Change what the last purge says of a writer of which something remains; perhaps with every hash that fits."""
    place, writer = last_purge(forger)
    fields = json.loads(forger.text(place))
    texts = fields[PURGED]
    live = {row[0] for row in forger.database.execute("SELECT DISTINCT writer FROM records")}
    number = forger.chance.choice([at for at, text in enumerate(texts) if chain_of(text).writer in live])
    texts[number] = chain_text(change(chain_of(texts[number])))
    forger.database.execute("UPDATE records SET record = ? WHERE id = ?", (canonical(fields), place))
    if forger.chance.random() < 0.5:
        forger.rehash(writer)


def drop_the_purge(forger: Forger) -> None:
    """The record of the last purge; perhaps with its writer."""
    place, writer = last_purge(forger)
    if forger.chance.random() < 0.5:
        forger.database.execute("DELETE FROM records WHERE id = ?", (place,))
    else:
        for table, name in (("records", "writer"), ("checkpoints", "writer"), ("writers", "id")):
            forger.database.execute(f"DELETE FROM {table} WHERE {name} = ?", (writer,))


def widen(forger: Forger) -> None:
    """One record more is gone, and the record of the purge says so; perhaps."""
    place, writer = forger.database.execute(
        "SELECT id, writer FROM records WHERE event <> 'control' ORDER BY id LIMIT 1"
    ).fetchone()

    def wider(chain: Chain) -> Chain:
        return chain.extended([forger.text(place)])[0] if chain.writer == writer else chain

    if forger.chance.random() < 0.7:
        rewrite(forger, wider)
    forger.database.execute("DELETE FROM records WHERE id = ?", (place,))


def other_root(forger: Forger) -> None:
    """What is gone was something else."""

    def change(chain: Chain) -> Chain:
        first, *rest = chain.frontier
        return replace(chain, frontier=(forger.chance.randbytes(len(first)), *rest))

    rewrite(forger, change)


def purge_in_silence(forger: Forger) -> None:
    """The oldest records, with nothing that tells of it; or with a record of one's own, of a writer of one's own."""
    rows = forger.database.execute("SELECT id, writer, seq, record FROM records ORDER BY id").fetchall()
    some = rows[: forger.chance.randint(1, 5)]
    chains = {chain.writer: chain for chain in map(chain_of, json.loads(forger.text(last_purge(forger)[0]))[PURGED])}
    for _, writer, _, record in some:
        chains[writer] = chains.get(writer, Chain(writer)).extended([record])[0]
    forger.database.execute("DELETE FROM records WHERE id <= ?", (some[-1][0],))
    if forger.chance.random() < 0.7:
        own = "1a1fccfe290-0badcafe"
        texts = [chain_text(chains[writer]) for writer in sorted(chains)]
        row = ControlRecord(ControlEvent.PURGED, NOW, {"purged": texts}).row()
        chain, (digest,) = Chain(own).extended([row.record])
        columns = ", ".join(("writer", "seq", *Row._fields, "hash"))
        marks = ", ".join("?" * (len(Row._fields) + 3))
        forger.database.execute(f"INSERT INTO records ({columns}) VALUES ({marks})", (own, 1, *row, digest))
        forger.database.execute("INSERT INTO writers VALUES (?, 1, ?)", (own, chain.head))
        if forger.chance.random() < 0.5:
            note = OTHER.checkpoint(chain)
            forger.database.execute("INSERT INTO checkpoints VALUES (?, 1, 1, ?)", (own, note))


def put_back(forger: Forger) -> None:
    """A record that was purged stands there again."""
    columns = ", ".join(("id", "writer", "seq", *Row._fields, "hash"))
    rows = forger.database.execute(
        f"SELECT {columns} FROM another.records AS old WHERE NOT EXISTS (SELECT 1 FROM records WHERE id = old.id)"
    ).fetchall()
    row = forger.chance.choice(rows)
    marks = ", ".join("?" * len(row))
    forger.database.execute(f"INSERT INTO records ({columns}) VALUES ({marks})", row)


AROUND_THE_HOLE: dict[str, Forgery] = {
    "drop the record of a purge": drop_the_purge,
    "widen a purge": widen,
    "change the root of a purge": other_root,
    "purge in silence": purge_in_silence,
    "put back what was purged": put_back,
}
