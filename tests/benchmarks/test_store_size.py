"""What a call takes of a disk, as the capacity page has it: measured in a file, with the index of the console."""

from pathlib import Path

import pytest

from benchmarks.store_size import RULES, Taken, measured, rows

PAGE = (Path(__file__).parents[2] / "docs" / "capacity.md").read_text("utf-8")


def test_a_call_takes_what_its_records_and_their_indexes_do(tmp_path: Path) -> None:
    least, most = (measured(f"sqlite:///{tmp_path}/{level}.db", level, 400) for level in RULES)
    assert (least.store, least.level, most.level, least.calls) == ("sqlite", "metadata", "request-response", 400)
    assert 2 * least.record < least.ledger < 6 * least.record  # two records, their columns and their indexes
    assert 0 < least.index < least.ledger
    assert most.record > least.record + 50  # the argument and the answer, as they are


def figures() -> list[Taken]:
    """The table of the page."""
    lines = [[cell.strip() for cell in line.split("|")[1:-1]] for line in PAGE.splitlines()]
    told = [cells for cells in lines if cells and cells[0] in {"sqlite", "postgresql"}]
    return [
        Taken(cells[0], cells[1], int(cells[2].replace(",", "")), *(float(cell.replace(",", "")) for cell in cells[3:]))
        for cells in told
    ]


def test_the_page_has_each_store_at_each_level() -> None:
    assert {(one.store, one.level) for one in figures()} == {
        (store, level) for store in ("sqlite", "postgresql") for level in RULES
    }
    assert rows(figures())[1:][0][3] == f"{figures()[0].ledger:,.0f}"


@pytest.mark.parametrize(("store", "kilobytes"), [("sqlite", 5.1), ("postgresql", 5.5)])
def test_what_the_page_reckons_with_is_what_its_table_says(store: str, kilobytes: float) -> None:
    [one] = [one for one in figures() if (one.store, one.level) == (store, "metadata")]
    assert round((one.ledger + one.index) / 1000, 1) == kilobytes
    assert f"{kilobytes} kB" in PAGE


def test_the_examples_of_the_page_follow_from_its_formula() -> None:
    lines = [[cell.strip() for cell in line.split("|")[1:-1]] for line in PAGE.splitlines()]
    examples = [cells for cells in lines if len(cells) == 4 and cells[0].replace(",", "").isdigit()]
    assert len(examples) == 3
    for calls, *told in examples:
        for days, cell in zip((30, 90, 400), told, strict=True):
            gigabytes = int(calls.replace(",", "")) * days * 5.5 / 1e6
            assert float(cell.replace(",", "").removesuffix(" GB")) == pytest.approx(gigabytes, rel=0.05)
