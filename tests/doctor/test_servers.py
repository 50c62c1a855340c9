"""What is said of a server names it, and never the query of its URL."""

from datetime import date

from mcpgov.doctor.facts import Machine
from mcpgov.doctor.servers import ENDS, OLDEST, answers, certificates, machine
from tests.doctor.planted import healthy, presented


def test_a_server_that_gives_no_answer_is_named_with_why() -> None:
    (found,) = answers(healthy(server={"fault": "gave no answer within 5 s"}))
    assert found.problem.message == "the server https://mcp.contoso.com/mcp: gave no answer within 5 s"
    assert (found.problem.file, found.problem.line) == ("catalog/github.yaml", 2)


def test_a_certificate_of_our_own_is_named_with_its_last_day() -> None:
    (found,) = certificates(healthy(certificates=(presented("tls: { certificate: a }", "tls", days=3),)))
    told = "/etc/mcpgov/server.crt, or a certificate between it and its root, is good until 2026-11-25"
    assert found.problem.message == told


def test_every_python_that_mcpgov_runs_on_has_an_end() -> None:
    assert min(ENDS) == OLDEST
    assert ENDS[OLDEST] < date(2028, 1, 1)


def test_too_few_descriptors_are_told_with_what_they_are_enough_for() -> None:
    (found,) = machine(healthy(machine=Machine((3, 13), descriptors=1000)))
    assert "may open 1000 files: at most 500 connections" in found.problem.message
