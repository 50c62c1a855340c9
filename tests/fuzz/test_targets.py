"""Every target on the cases that are kept for it: what it begins with, and whatever it once fell over."""

import pytest

from tests.fuzz.target import SEEDS, kept, load, names


@pytest.mark.parametrize("name", names())
def test_every_kept_case_is_judged_well(name: str) -> None:
    judge = load(name).judge
    for case in kept(name):
        judge(case.read_bytes())
    for made_up in (b"", b"\0", b"\xff\xfe", b"\xed\xa0\x80", b"\n" * 40, b"{" * 200, "\ufeff\u2028".encode()):
        judge(made_up)


def test_every_target_has_something_to_begin_with() -> None:
    assert [name for name in names() if not any((SEEDS / name).iterdir())] == []
