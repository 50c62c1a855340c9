"""Files that are each in order are put in force together, or refused for what only shows between them."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import PurePath
from typing import cast

import pytest

from mcpgov.catalog.entries import Entry, parse_entry
from mcpgov.credential.references import EnvironmentAndFiles
from mcpgov.decision import Reason
from mcpgov.errors import InvalidConfiguration, Refusal
from mcpgov.models import CallerScope, Headers, Principal, PrincipalKind, RequestHead
from mcpgov.policy.document import parse_document
from mcpgov.settings import Settings
from mcpgov.snapshot import assemble, clashes

ANYBODY = Principal("key:k1", PrincipalKind.KEY)
FOLDER = PurePath("conf/policies")
DOCUMENTS = {
    name: parse_document(text, f"policies/{name}.yaml")
    for name, text in {
        "company": "inbound: [{ set-header: { name: X-Company, value: contoso } }]",
        "default": "inbound: [{ tool-rules: { deny: [delete_*] } }]",
        "owners": "inbound: [{ tool-rules: { deny: ['*'] } }]",
        "europe": "inbound: [{ set-backend-service: { base-url: https://eu.contoso.com } }]",
    }.items()
}


def entry(name: str, *connections: str, more: str = "") -> Entry:
    served = "".join(f"  {connection}\n" for connection in connections)
    text = f"name: com.contoso/{name}\nupstream: https://{name}.contoso.com\n{more}connections:\n{served}"
    return parse_entry(text, f"catalog/{name}.yaml", EnvironmentAndFiles({}))


def found(*entries: Entry) -> list[str]:
    return [str(problem) for problem in clashes(entries, DOCUMENTS, FOLDER)]


def test_each_connection_gets_the_policies_of_its_scopes_in_order() -> None:
    github = entry(
        "github",
        "github: { policies: [default], tools: { drop: { policies: [owners] } } }",
        "plain: {}",
        more="policies: [company]\n",
    )
    snapshot = assemble("stamp", Settings(global_policies=("europe",)), (), DOCUMENTS)
    assert snapshot.connections == {}
    snapshot = assemble("stamp", Settings(), [github], DOCUMENTS)
    assert [step.rule for step in snapshot.policy("github").general.inbound] == [
        "company#1 set-header",
        "default#1 tool-rules",
    ]
    assert [step.rule for step in snapshot.policy("github").by_tool["drop"].inbound][-1] == "owners#1 tool-rules"
    assert [step.rule for step in snapshot.policy("plain").general.inbound] == ["company#1 set-header"]
    assert snapshot.connection("github", ANYBODY) == github.connections[0].connection
    assert snapshot.stamp == "stamp"


def test_global_policies_are_in_force_on_every_connection() -> None:
    snapshot = assemble(
        "", Settings(global_policies=("default",)), [entry("a", "a: {}"), entry("b", "b: {}")], DOCUMENTS
    )
    assert all(
        [step.rule for step in policy.general.inbound] == ["default#1 tool-rules"]
        for policy in snapshot.policies.values()
    )


def test_an_unknown_connection_is_never_all_of_them() -> None:
    snapshot = assemble("", Settings(), [entry("a", "a: {}")], DOCUMENTS)
    for name in ("b", "", "*", "A"):
        with pytest.raises(Refusal) as caught:
            snapshot.connection(name, ANYBODY)
        assert caught.value.reason is Reason.UNKNOWN_CONNECTION


@pytest.mark.parametrize(
    ("patterns", "reached"),
    [
        (("a",), ["a"]),
        (("team-*",), ["team-x", "team-y"]),
        (("?", "team-x"), ["a", "team-x"]),
        (("*",), ["a", "team-x", "team-y"]),
        (("A", "tea"), []),
        ((), []),
    ],
)
def test_a_connection_out_of_scope_is_denied_in_the_words_of_an_unknown_one(
    patterns: tuple[str, ...], reached: list[str]
) -> None:
    snapshot = assemble("", Settings(), [entry("a", "a: {}", "team-x: {}", "team-y: {}")], DOCUMENTS)
    scoped = replace(ANYBODY, scope=CallerScope(patterns))
    with pytest.raises(Refusal) as unknown:
        snapshot.connection("nowhere", scoped)
    for name in snapshot.connections:
        if name in reached:
            assert snapshot.connection(name, scoped).name == name
            continue
        with pytest.raises(Refusal) as caught:
            snapshot.connection(name, scoped)
        assert caught.value.reason is Reason.CONNECTION_DENIED
        assert caught.value.message == unknown.value.message
        assert caught.value.detail


def test_a_generation_cannot_be_changed() -> None:
    snapshot = assemble("", Settings(), [entry("a", "a: {}")], DOCUMENTS)
    with pytest.raises(TypeError):
        cast("dict[str, object]", snapshot.connections)["b"] = snapshot


def test_a_backend_that_the_connection_does_not_name_is_refused() -> None:
    assemble("", Settings(), [entry("a", "a: { policies: [europe], backends: [https://eu.contoso.com] }")], DOCUMENTS)
    entries = [entry("a", "a: { policies: [europe] }"), entry("b", "b: { policies: [europe] }")]
    with pytest.raises(InvalidConfiguration) as caught:
        assemble("", Settings(), entries, DOCUMENTS)
    assert [problem.file for problem in caught.value.problems] == ["policies/europe.yaml"] * 2
    assert "backends of b" in str(caught.value)


def test_a_connection_name_is_used_once_and_both_places_are_told() -> None:
    (problem,) = found(entry("a", "x: {}"), entry("b", "y: {}", "x: {}"))
    assert problem == "catalog/b.yaml:5:3: the connection x is also in catalog/a.yaml:4:3 (rename one)"


def test_a_version_of_a_server_is_there_once_and_several_versions_may_be() -> None:
    assert found(entry("a", "x: {}"), entry("a", "y: {}", more="version: 2.0.0\n")) == []
    (problem,) = found(entry("a", "x: {}"), entry("a", "y: {}"))
    assert problem == (
        "catalog/a.yaml:1:7: the server com.contoso/a 0.0.0 is also in catalog/a.yaml:1:7"
        " (keep one of the two, or give one another version)"
    )


def test_a_version_that_is_deleted_serves_nothing_and_holds_no_name() -> None:
    gone = entry("a", "x: {}", more="version: 2.0.0\nstatus: deleted\n")
    assert found(gone, entry("a", "x: {}")) == []
    assert assemble("stamp", Settings(), [gone], DOCUMENTS).connections == {}


def test_a_policy_that_does_not_exist_is_named_in_every_scope() -> None:
    scopes = "x: { policies: [default, defalt], tools: { drop: { policies: [owner] } } }"
    problems = found(entry("a", scopes, more="policies: [contoso]\n"))
    assert [problem.partition(": there is ")[0] for problem in problems] == [
        "catalog/a.yaml:3:12",
        "catalog/a.yaml:5:28",
        "catalog/a.yaml:5:65",
    ]
    assert "did you mean default?" in problems[1]
    (problem,) = clashes([entry("a", "x: {}", more="policies: [contoso]\n")], (), FOLDER)
    assert problem.mend == "write conf/policies/contoso.yaml"


def test_files_that_agree_have_no_problem() -> None:
    assert found(entry("a", "x: { policies: [default] }"), entry("b", "y: {}")) == []


CORS = "inbound: [cors: { allowed-origins: [https://app.contoso.com] }]"


def test_the_origins_of_a_connection_are_for_callers_that_may_know_of_it() -> None:
    snapshot = assemble(
        "", Settings(), [entry("a", "a: { policies: [cors] }", "b: {}")], {"cors": parse_document(CORS, "cors.yaml")}
    )
    moment = datetime(2026, 11, 21, tzinfo=UTC)
    asks = RequestHead("POST", "a", Headers((("origin", "https://app.contoso.com"),)), "", "", moment, "")
    assert snapshot.origins(asks, ANYBODY) == ("https://app.contoso.com",)
    assert snapshot.origins(asks, replace(ANYBODY, scope=CallerScope(("b",)))) == ()
    assert snapshot.origins(replace(asks, connection="nowhere"), ANYBODY) == ()


@pytest.mark.parametrize("connection", ["plain", "nowhere"])
def test_a_preflight_tells_a_stranger_no_connection_from_none(connection: str) -> None:
    documents = {"cors": parse_document(CORS, "cors.yaml")}
    open_one = entry("a", "a: { policies: [cors] }", "plain: {}")
    fields = (("origin", "https://evil.example"), ("access-control-request-method", "POST"))
    asks = RequestHead("OPTIONS", connection, Headers(fields), "", "", datetime(2026, 11, 21, tzinfo=UTC), "")
    with pytest.raises(Refusal) as caught:
        assemble("", Settings(), [open_one], documents).answer_preflight(asks)
    with pytest.raises(Refusal) as matched:
        assemble("", Settings(), [open_one], documents).answer_preflight(replace(asks, connection="a"))
    assert (caught.value.reason, caught.value.reply) == (matched.value.reason, matched.value.reply)
    assemble("", Settings(), [entry("a", "a: {}")], {}).answer_preflight(asks)
    assemble("", Settings(), [open_one], documents).answer_preflight(replace(asks, http_method="POST"))


def test_headers_of_keys_and_of_the_connections_own_credential_are_withheld_from_the_upstream() -> None:
    second = "callerToken: { header: X-Second, audience: api://a, required: false }"
    search = entry("search", f"search: {{ authType: CustomKeys, keys: {{ X_Own: k }}, {second} }}", "plain: {}")
    snapshot = assemble("stamp", Settings(), [search], DOCUMENTS)
    usual = {"authorization", "x-api-key"}
    assert snapshot.policy("search").credential_headers == {*usual, "x-own", "x-second"}
    assert snapshot.policy("plain").credential_headers == usual
