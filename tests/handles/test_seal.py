"""The seal on what upstreams give: good for one holder, as what it is, and for nothing else."""

import itertools
import string
from dataclasses import astuple, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcpgov.handles.seal import LONGEST, Holder, Seal, Sort

SEAL = Seal(bytes(range(32)))
ME = Holder("key:1", "github", '["remote","https://a.example/mcp",""]')
OWN = st.binary(min_size=1, max_size=64)
NAMES = st.text(max_size=8)
HOLDERS = st.builds(Holder, NAMES, NAMES, NAMES, NAMES)
SORTS = st.sampled_from(Sort)


def sealed(own: bytes = b"own", sort: Sort = Sort.SESSION, holder: Holder = ME) -> str:
    made = SEAL.seal(own, sort, holder)
    assert made is not None
    return made


@given(OWN, SORTS, HOLDERS)
def test_what_was_sealed_is_opened_for_the_same_holder(own: bytes, sort: Sort, holder: Holder) -> None:
    made = sealed(own, sort, holder)
    assert SEAL.unseal(made, sort, holder) == own
    assert set(made) <= set(string.ascii_letters + string.digits + "-_")


@given(st.tuples(OWN, SORTS, HOLDERS), st.tuples(OWN, SORTS, HOLDERS))
def test_no_two_ids_have_one_sealed_form_and_none_opens_as_another(
    one: tuple[bytes, Sort, Holder], two: tuple[bytes, Sort, Holder]
) -> None:
    assert (sealed(*one) == sealed(*two)) is (one == two)
    assert (SEAL.unseal(sealed(*one), *two[1:]) is None) is (one[1:] != two[1:])


@given(st.text(max_size=4), st.text(max_size=4), st.text(max_size=4), st.integers(0, 3))
def test_a_letter_that_moves_from_one_part_of_a_holder_to_the_next_makes_another(
    first: str, second: str, moved: str, at: int
) -> None:
    parts = [*["x"] * 4]
    near, far = at, (at + 1) % 4
    one, two = list(parts), list(parts)
    one[near], one[far] = first + moved, second
    two[near], two[far] = first, moved + second
    made = sealed(holder=Holder(*one))
    assert (SEAL.unseal(made, Sort.SESSION, Holder(*two)) is None) is (one != two)


def test_presented_by_anyone_else_or_anywhere_else_or_as_anything_else_it_does_not_open() -> None:
    words = ("a", "b", "ab", "")
    holders = [(sort, Holder(*parts)) for sort in Sort for parts in itertools.product(words, repeat=4)]
    for owner in holders[::7]:
        made = sealed(b"own", *owner)
        opened = [holder for holder in holders if SEAL.unseal(made, *holder) is not None]
        assert opened == [owner]


def test_an_id_has_one_sealed_form() -> None:
    assert sealed(b"s-1") == sealed(b"s-1")
    assert sealed(b"s-1") != sealed(b"s-2")
    assert astuple(ME.within("s")) == (*astuple(ME)[:3], "s")


def test_another_key_opens_nothing() -> None:
    assert Seal(bytes(32)).unseal(sealed(), Sort.SESSION, ME) is None


def test_the_upstream_id_cannot_be_read_from_the_sealed_one() -> None:
    assert "session" not in sealed(b"session")


@given(st.text(max_size=40))
def test_a_made_up_id_does_not_open(made_up: str) -> None:
    assert SEAL.unseal(made_up, Sort.TASK, ME) is None


def test_every_change_of_one_character_is_unknown_also_one_that_spells_the_same_bytes() -> None:
    made = sealed()
    changed = [
        made[:at] + letter + made[at + 1 :]
        for at in range(len(made))
        for letter in string.ascii_letters + string.digits + "-_+/= \n"
    ]
    for other in {*changed, made + "=", made + "\n", made + "A", made[:-1], "own", ""} - {made}:
        assert SEAL.unseal(other, Sort.SESSION, ME) is None


def test_an_id_has_a_reasonable_length() -> None:
    longest = sealed(b"x" * LONGEST)
    assert SEAL.unseal(longest, Sort.SESSION, ME) == b"x" * LONGEST
    assert SEAL.unseal(longest + "AAAA", Sort.SESSION, ME) is None
    assert SEAL.seal(b"x" * (LONGEST + 1), Sort.SESSION, ME) is None
    assert SEAL.seal(b"", Sort.SESSION, replace(ME)) is None


def test_a_short_key_is_refused() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        Seal(bytes(31))


def test_the_seal_does_not_print_its_key() -> None:
    assert "key" not in repr(Seal(b"key" * 20))
