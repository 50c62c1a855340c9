"""A gateway that runs is not held against itself, and one that keys are changed from is let be."""

from dataclasses import replace

from mcpgov.doctor.sharing import keys_differ, limits_are_apart
from mcpgov.replicas import Serving
from tests.doctor.planted import healthy

RUNS = Serving("a", "2026-11-21T00:00:00.000000Z", "0a1b2c3d", "memory")


def test_the_gateway_that_these_settings_are_of_gives_no_finding() -> None:
    facts = healthy(gateways=(RUNS,), key_ids=(RUNS.digest_key,))
    assert [*keys_differ(facts), *limits_are_apart(facts)] == []


def test_a_gateway_with_a_former_key_gives_no_finding() -> None:
    facts = healthy(gateways=(RUNS,), key_ids=("ffffffff", RUNS.digest_key))
    assert list(keys_differ(facts)) == []


def test_where_no_key_is_known_none_is_said_to_be_another() -> None:
    assert list(keys_differ(healthy(gateways=(RUNS,)))) == []


def test_gateways_that_each_count_for_themselves_because_that_is_meant_give_no_finding() -> None:
    meant = replace(RUNS, counters="per-worker")
    assert list(limits_are_apart(healthy("counters: per-worker\n", gateways=(meant, meant)))) == []
