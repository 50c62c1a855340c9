"""The hash tree of RFC 6962 section 2.1, over the entries that one writer wrote: what a checkpoint signs the root of.

Pure. The tree is never held: its frontier, the roots of the largest full subtrees from left to right, is all that
growing it takes, and there are no more of these than bits in its size. A leaf and an inner node are hashed with
different first bytes, so that neither can be passed off as the other.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

HASH = 32  # bytes
LEAF, NODE = b"\x00", b"\x01"

Frontier = tuple[bytes, ...]
Range = tuple[int, int]  # the leaves from the first, included, to the second, not included; counted from 0


def leaf_hash(entry: bytes) -> bytes:
    """The hash of one leaf."""
    return hashlib.sha256(LEAF + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of a node from those of its children."""
    return hashlib.sha256(NODE + left + right).digest()


def grown(frontier: Frontier, size: int, leaves: Iterable[bytes]) -> Frontier:
    """The frontier of a tree of `size` leaves after more leaf hashes."""
    peaks = list(frontier)
    for number, leaf in enumerate(leaves, size):
        peaks.append(leaf)
        full = number
        while full & 1:  # two full subtrees of the same size are one
            right = peaks.pop()
            peaks[-1] = node_hash(peaks[-1], right)
            full >>= 1
    return tuple(peaks)


def peaks_within(frontier: Frontier, size: int, first: int, end: int) -> Frontier:
    """Those of the frontier of a tree of `size` leaves that are of leaves from `first` up to and without `end`."""
    found: list[bytes] = []
    at = 0
    for peak in frontier:
        leaves = 1 << (size - at).bit_length() - 1
        if first <= at and at + leaves <= end:
            found.append(peak)
        at += leaves
    return tuple(found)


def root(frontier: Frontier) -> bytes:
    """The root of the tree that has this frontier; of the empty tree, the hash of nothing."""
    if not frontier:
        return hashlib.sha256().digest()
    *rest, right = frontier
    for left in reversed(rest):
        right = node_hash(left, right)
    return right


def root_of(leaves: Iterable[bytes]) -> bytes:
    """The root of the tree over these leaf hashes."""
    return root(grown((), 0, leaves))


def inclusion_ranges(index: int, size: int) -> list[Range]:
    """The subtrees whose roots prove that leaf `index` is in a tree of `size` leaves, its sibling first.

    RFC 6962 section 2.1.1. Raises ValueError where there is no such leaf.
    """
    if not 0 <= index < size:
        raise ValueError(f"a tree of {size} leaves has no leaf {index}")
    found: list[Range] = []
    low, high = 0, size
    while high - low > 1:
        middle = low + (1 << (high - low - 1).bit_length() - 1)
        if index < middle:
            found.append((middle, high))
            high = middle
        else:
            found.append((low, middle))
            low = middle
    return found[::-1]


def root_from(leaf: bytes, index: int, size: int, proof: Sequence[bytes]) -> bytes:
    """The root that a leaf hash and its inclusion proof lead to (RFC 9162 section 2.1.3.2).

    Raises ValueError where the proof has another length than that leaf's.
    """
    if not 0 <= index < size:
        raise ValueError(f"a tree of {size} leaves has no leaf {index}")
    place, last, found = index, size - 1, leaf
    for sibling in proof:
        if last == 0:
            raise ValueError("the proof is too long")
        if place & 1 or place == last:
            found = node_hash(sibling, found)
            while not place & 1 and place:
                place, last = place >> 1, last >> 1
        else:
            found = node_hash(found, sibling)
        place, last = place >> 1, last >> 1
    if last:
        raise ValueError("the proof is too short")
    return found
