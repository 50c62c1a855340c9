"""The tree is that of RFC 6962, by the vectors that its implementations share, and by its definition."""

import hashlib

import pytest

from mcpgov.audit.merkle import grown, inclusion_ranges, leaf_hash, node_hash, root, root_from, root_of

LEAVES = [
    leaf_hash(bytes.fromhex(entry))
    for entry in ("", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f")
]
ROOTS = (
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
)
MANY = [hashlib.sha256(bytes([number])).digest() for number in range(40)]


def defined(leaves: list[bytes]) -> bytes:
    """MTH of RFC 6962 section 2.1, over leaf hashes."""
    if len(leaves) < 2:
        return leaves[0] if leaves else hashlib.sha256().digest()
    half = 1
    while half * 2 < len(leaves):
        half *= 2
    return node_hash(defined(leaves[:half]), defined(leaves[half:]))


@pytest.mark.parametrize("size", range(9))
def test_the_roots_are_those_that_implementations_share(size: int) -> None:
    assert root_of(LEAVES[:size]).hex() == ROOTS[size]


def test_a_tree_grown_in_any_steps_is_the_tree_that_is_defined() -> None:
    for size in range(len(MANY) + 1):
        for step in (1, 3, 7):
            frontier, done = (), 0
            while done < size:
                frontier = grown(frontier, done, MANY[done : min(done + step, size)])
                done = min(done + step, size)
            assert root(frontier) == defined(MANY[:size])
            assert len(frontier) == size.bit_count()


def test_every_leaf_of_every_tree_is_proved_by_its_path_and_by_no_other() -> None:
    for size in range(1, 20):
        whole = root_of(MANY[:size])
        for index in range(size):
            path = [root_of(MANY[low:high]) for low, high in inclusion_ranges(index, size)]
            assert root_from(MANY[index], index, size, path) == whole
            assert root_from(MANY[30], index, size, path) != whole
            for number in range(len(path)):
                assert root_from(MANY[index], index, size, [*path[:number], MANY[31], *path[number + 1 :]]) != whole
            with pytest.raises(ValueError, match="too long"):
                root_from(MANY[index], index, size, [*path, MANY[0]])
            if path:
                with pytest.raises(ValueError, match="too short"):
                    root_from(MANY[index], index, size, path[:-1])


@pytest.mark.parametrize(("index", "size"), [(0, 0), (3, 3), (-1, 3)])
def test_a_leaf_that_is_not_there_has_no_proof(index: int, size: int) -> None:
    with pytest.raises(ValueError, match="has no leaf"):
        inclusion_ranges(index, size)
    with pytest.raises(ValueError, match="has no leaf"):
        root_from(MANY[0], index, size, [])
