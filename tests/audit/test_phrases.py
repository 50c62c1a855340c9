"""A phrase is that of the very caller and connection that it is used for, and holds no token."""

import gc
from dataclasses import replace

from mcpgov.audit.fields import of_principal, of_upstream
from mcpgov.audit.phrases import KNOWN, Caller, Phrases
from mcpgov.models import RemoteUpstream, Secret
from tests.audit.calls import AGENT, ALICE, CITY


def test_a_caller_is_put_into_words_once() -> None:
    phrases = Phrases()
    first = phrases.caller(ALICE)
    assert phrases.caller(replace(ALICE)) is phrases.caller(ALICE) is first
    assert (first.members, first.id, first.name, first.project) == (
        *(of_principal(ALICE), "key:3fGh81Kx", "alice", "payments"),
    )


def test_a_caller_of_the_same_id_with_other_claims_is_put_into_words_anew() -> None:
    phrases = Phrases()
    for known in (AGENT, replace(AGENT, tenant_id="other"), replace(AGENT, roles=("Admin",)), AGENT):
        assert phrases.caller(known).members == of_principal(known)


def test_a_column_of_a_caller_is_empty_where_the_caller_has_none_and_cut_where_it_is_long() -> None:
    made = Phrases().caller(replace(ALICE, id="x" * 300, name="", project=""))
    assert (made.id, made.name, made.project) == ("x" * 256 + "…[+44]", None, None)


def test_no_token_of_a_caller_is_kept() -> None:
    phrases, token = Phrases(), Secret("a token")
    phrases.caller(replace(ALICE, assertion=token))
    assert not any(isinstance(holder, type(ALICE)) for holder in gc.get_referrers(token))


def test_a_connection_that_was_loaded_anew_is_put_into_words_anew() -> None:
    phrases = Phrases()
    moved = replace(CITY, upstream=RemoteUpstream("https://moved.example"))
    for connection in (CITY, CITY, moved):
        assert phrases.upstream(connection, None) == of_upstream(connection, None)
    assert "europe.example" in phrases.upstream(moved, "https://europe.example/base")
    assert "moved.example" in phrases.upstream(moved, None)


def test_no_more_is_kept_than_is_good() -> None:
    phrases = Phrases()
    for number in range(2 * KNOWN + 1):
        phrases.caller(replace(ALICE, id=f"key:of-many-{number}"))
        phrases.upstream(CITY, f"https://{number}.example")
    kept = {one.id for one in gc.get_objects() if isinstance(one, Caller) and str(one.id).startswith("key:of-many-")}
    assert kept == {f"key:of-many-{2 * KNOWN}"}
