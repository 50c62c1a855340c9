"""Stacks of a sampler to the dearest lines."""

from pathlib import Path

from benchmarks.profile import Line, annotated, counted, dearest, relative

RAW = """\
main (/x/site-packages/uvloop/run.py:9);call (/src/a.py:2) 30
main (/x/site-packages/uvloop/run.py:9);call (/src/a.py:3);inner (/src/b.py:1) 50
main (/x/site-packages/uvloop/run.py:9);call (/src/a.py:2) 20
thread (/src/b.py:2) 400
"""


def test_samples_count_for_the_line_that_was_running() -> None:
    assert counted(RAW) == {
        ("call", "/src/a.py", 2): 50,
        ("inner", "/src/b.py", 1): 50,
        ("thread", "/src/b.py", 2): 400,
    }


def test_a_thread_that_waits_is_not_dear(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("one\ntwo()\n")
    (tmp_path / "b.py").write_text("hash()\nself._queue.get(timeout=1)\n")
    counts = {("call", "a.py", 2): 30, ("inner", "b.py", 1): 90, ("thread", "b.py", 2): 4000}
    assert dearest(counts, tmp_path) == [
        Line(0.75, "inner", "b.py", 1, "hash()"),
        Line(0.25, "call", "a.py", 2, "two()"),
    ]


def test_a_note_is_kept_as_long_as_its_line_stays_the_same() -> None:
    before = [Line(0.5, "f", "a.py", 3, "x()", "stays"), Line(0.2, "g", "a.py", 9, "y()", "mended")]
    now = [Line(0.4, "f", "a.py", 5, "x()"), Line(0.3, "g", "a.py", 9, "z()")]
    assert [line.note for line in annotated(now, before)] == ["stays", ""]


def test_no_path_of_the_machine_is_told() -> None:
    assert relative("(/usr/lib/python3.11/random.py") == "(random.py"
    assert relative("(/v/lib/python3.11/site-packages/uvloop/run.py") == "(uvloop/run.py"
    assert relative(f"({Path(__file__).parents[2]}/mcpgov/app.py") == "(mcpgov/app.py"
