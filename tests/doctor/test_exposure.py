"""What is said of who can reach a gateway names the very listener and the very key."""

from dataclasses import replace

from mcpgov.doctor.exposure import admin_exposed, callers, public_url
from mcpgov.doctor.facts import KeyFacts
from tests.doctor.planted import KEY, NOW, healthy


def test_an_admin_listener_without_keys_and_without_tls_is_both() -> None:
    facts = healthy("admin: { listen: '0.0.0.0:8081' }\n", keys=KeyFacts((KEY,), 0))
    first, second = admin_exposed(facts)
    assert "operators come in at 0.0.0.0:8081 from other machines" in first.problem.message
    assert "plain HTTP" in second.problem.message


def test_an_admin_listener_of_a_store_that_does_not_answer_is_not_said_to_have_no_keys() -> None:
    found = admin_exposed(healthy("admin: { listen: '0.0.0.0:8081' }\n", keys=None))
    assert [finding.check for finding in found] == ["admin-without-tls"]


def test_callers_who_are_told_of_an_address_are_told_with_the_scheme_that_is_spoken_there() -> None:
    (found,) = public_url(healthy("listen: 0.0.0.0:8443\ntls: { certificate: server.crt, key: server.key }\n"))
    assert "told of https://0.0.0.0:8443;" in found.problem.message


def test_a_gateway_without_any_key_is_told_apart_from_one_whose_keys_have_ended() -> None:
    (none,) = callers(healthy(keys=KeyFacts()))
    (ended,) = callers(healthy(keys=KeyFacts((replace(KEY, expires_at=NOW),))))
    assert "there is no gateway key" in none.problem.message
    assert "every key was revoked or has expired" in ended.problem.message
