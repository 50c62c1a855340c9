"""The seal of ids: what was not sealed for a caller on a connection opens for nobody.

A case is the sealed id, what it is of, the principal, the connection and its upstream, one a line.
"""

from __future__ import annotations

from mcpgov.handles.seal import Holder, Seal, Sort
from tests.fuzz.target import Target

SEAL = Seal(bytes(range(32)))
OWNER = (Sort.SESSION, Holder("key:alice", "city", "https://city"))
SEALED = {SEAL.seal(own, *OWNER) or "": own for own in (b"s-1", b"s-2", b"~" * 40)}
SORTS = {sort.value: sort for sort in Sort}
WORDS = (*SEALED, *SORTS, "key:alice", "city", "https://city", "key:bob", "town", "\n", "=", "==", "-", "_", "+", "/")


def judge(data: bytes) -> None:
    """One id, as presented."""
    given, sort, *holder = [*data.decode("utf-8", "replace").split("\n"), *[""] * 5][:5]
    here = (SORTS.get(sort, Sort.TASK), Holder(*holder))
    own = SEAL.unseal(given, *here)
    if own is None:
        assert here != OWNER or given not in SEALED, "an owner is kept out"
    else:
        assert here == OWNER, "an id of another"
        assert SEALED.get(given) == own, "an id in another spelling"
    again = SEAL.seal(given.encode(), *here)
    assert (again is None) == (not 0 < len(given.encode()) <= 1024)
    assert again is None or SEAL.unseal(again, *here) == given.encode()


TARGET = Target(judge, WORDS, 2048)
