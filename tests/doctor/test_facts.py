"""A finding points at its place in a file, and no fact prints what a file holds."""

from mcpgov.doctor.facts import At, Level, of_file
from mcpgov.yaml_source import parse_yaml
from tests.doctor.planted import healthy


def test_a_finding_stands_where_its_key_does_or_at_what_would_hold_it() -> None:
    source = parse_yaml("listen: x\naudit:\n  store: hunter2\n", "mcpgov.yaml")
    assert (
        str(At(source, ("audit", "store")).wrong("c", "is bad", "mend it").problem)
        == "mcpgov.yaml:3:10: is bad (mend it)"
    )
    assert At(source, ("admin",)).warning("c", "is bad", "").problem.line == 1
    assert At(source, ("admin",)).warning("c", "is bad", "").level is Level.WARNING


def test_a_finding_of_a_whole_file_names_it() -> None:
    assert str(of_file("a.key", Level.WRONG, "c", "is open", "chmod").problem) == "a.key: is open (chmod)"


def test_facts_do_not_print_what_a_file_holds() -> None:
    assert "hunter2" not in repr(
        healthy("named_values: { a: hunter2-in-the-source }\n").source and At(parse_yaml("a: hunter2", "x.yaml"), ())
    )
