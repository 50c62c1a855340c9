"""cors tells browsers which pages may call, and nothing to anybody else."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from mcpgov.decision import Reason, Reply
from mcpgov.errors import Refusal
from mcpgov.models import Headers, RequestHead
from mcpgov.policy.compiled import ConnectionPolicy, compile_policy
from mcpgov.policy.document import load_document, read_document
from mcpgov.policy.expression import NO_REFERENCES
from tests.policy.calls import context, decision, document, policy, problems

PAGE = "https://app.contoso.com"
YAML = """\
inbound:
  - cors:
      allowed-origins: [https://app.contoso.com]
      allowed-methods: [GET, POST, DELETE]
      preflight-result-max-age: 600
      allowed-headers: [Content-Type, X-API-Key]
      expose-headers: [Mcp-Session-Id, X-Correlation-Id]
"""
XML = """\
<inbound>
  <cors>
    <allowed-origins><origin>https://app.contoso.com</origin></allowed-origins>
    <allowed-methods preflight-result-max-age="600">
      <method>GET</method><method>POST</method><method>DELETE</method>
    </allowed-methods>
    <allowed-headers><header>Content-Type</header><header>X-API-Key</header></allowed-headers>
    <expose-headers><header>Mcp-Session-Id</header><header>X-Correlation-Id</header></expose-headers>
  </cors>
</inbound>
"""
BOTH = pytest.mark.parametrize("text", [YAML, XML], ids=["yaml", "xml"])
Fields = tuple[tuple[str, str], ...]


def asking(origin: str = PAGE, method: str = "POST", headers: str = "") -> RequestHead:
    """A preflight."""
    fields: Fields = (("origin", origin), ("access-control-request-method", method))
    fields += (("access-control-request-headers", headers),) if headers else ()
    return replace(context().request.head, http_method="OPTIONS", headers=Headers(fields))


def preflight(text: str | ConnectionPolicy, head: RequestHead) -> dict[str, str] | None:
    """The header fields of the reply; None where there is no reply."""
    in_force = policy(text) if isinstance(text, str) else text
    try:
        in_force.answer_preflight(head)
    except Refusal as raised:
        refusal = raised
    else:
        return None
    assert refusal.reason is Reason.PREFLIGHT
    assert isinstance(refusal.reply, Reply)
    assert (refusal.reply.status, refusal.reply.body) == (200, b"")
    return {edit.name: edit.values[0] for edit in refusal.reply.edits}


def told(text: str, origin: str = PAGE) -> dict[str, str]:
    """What is added to the answer of a call from a page."""
    verdict = decision(text, context(headers={"origin": origin} if origin else {}))
    assert verdict.allowed
    assert len(dict(verdict.reply_headers)) == len(verdict.reply_headers)
    return dict(verdict.reply_headers)


@BOTH
def test_a_preflight_that_matches_is_told_what_the_page_may_do(text: str) -> None:
    assert preflight(text, asking(headers="content-type, x-api-key,accept")) == {
        "access-control-allow-origin": PAGE,
        "vary": "Origin",
        "access-control-allow-methods": "POST",
        "access-control-allow-headers": "content-type, x-api-key, accept",
        "access-control-max-age": "600",
    }


@BOTH
@pytest.mark.parametrize(
    "head",
    [
        asking("https://evil.example.com"),
        asking("https://app.contoso.com.evil.example"),
        asking("http://app.contoso.com"),
        asking("null"),
        asking(method="PUT"),
        asking(method="post"),
        asking(method="PO ST"),
        asking(headers="x-secret"),
        asking(headers="content-type, x secret"),
    ],
)
def test_a_preflight_that_does_not_match_is_answered_without_them(text: str, head: RequestHead) -> None:
    assert preflight(text, head) == {}


@BOTH
def test_what_no_browser_asks_is_no_preflight(text: str) -> None:
    plain = context().request.head
    only_origin = replace(plain, headers=Headers((("origin", PAGE),)))
    only_method = replace(plain, headers=Headers((("access-control-request-method", "POST"),)))
    assert [preflight(text, head) for head in (plain, only_origin, only_method)] == [None] * 3


def test_without_cors_no_preflight_is_answered() -> None:
    assert preflight("inbound: [set-header: { name: a, value: b }]", asking()) is None


@BOTH
def test_a_page_may_read_the_answer_to_its_call(text: str) -> None:
    exposed = "Mcp-Session-Id, X-Correlation-Id"
    assert told(text) == {
        "Access-Control-Allow-Origin": PAGE,
        "Vary": "Origin",
        "Access-Control-Expose-Headers": exposed,
    }


@BOTH
@pytest.mark.parametrize("origin", ["", "https://evil.example.com", "null"])
def test_nobody_else_is_told_anything(text: str, origin: str) -> None:
    assert told(text, origin) == {}


@BOTH
def test_the_origin_of_a_page_that_may_call_passes_the_door(text: str) -> None:
    in_force = policy(text)
    assert in_force.origins(asking("https://APP.contoso.com")) == ("https://APP.contoso.com",)
    assert in_force.origins(asking("https://evil.example.com")) == ()
    assert in_force.origins(context().request.head) == ()


def test_a_refusal_is_readable_too() -> None:
    verdict = decision(YAML + "  - return-response: {}\n", context(headers={"origin": PAGE}))
    assert not verdict.allowed
    assert dict(verdict.reply_headers)["Access-Control-Allow-Origin"] == PAGE


def test_every_origin_may_be_let_in() -> None:
    text = """\
inbound:
  - cors: { allowed-origins: "*", allowed-methods: ["*"], allowed-headers: ["*"], expose-headers: ["*"] }
"""
    assert told(text, "null") == {"Access-Control-Allow-Origin": "*", "Access-Control-Expose-Headers": "*"}
    assert preflight(text, asking("null", "DELETE", "x-any")) == {
        "access-control-allow-origin": "*",
        "access-control-allow-methods": "DELETE",
        "access-control-allow-headers": "x-any",
    }
    assert preflight(text, asking(headers="a\x01b")) == {}


def test_credentials_are_allowed_by_name_only() -> None:
    text = f"inbound: [cors: {{ allowed-origins: [{PAGE}], allow-credentials: true }}]"
    assert told(text)["Access-Control-Allow-Credentials"] == "true"
    found = preflight(text, asking())
    assert found is not None
    assert found["access-control-allow-credentials"] == "true"


@pytest.mark.parametrize(
    ("written", "sent"),
    [
        ("https://App.Contoso.com:443", "https://app.contoso.com"),
        ("http://localhost:80", "http://localhost"),
        ("http://localhost:3000", "http://localhost:3000"),
        ("http://[::1]:3000", "http://[::1]:3000"),
        ("vscode-webview://x", "vscode-webview://x"),
    ],
)
def test_an_origin_is_compared_as_browsers_send_it(written: str, sent: str) -> None:
    assert told(f"inbound: [cors: {{ allowed-origins: ['{written}'] }}]", sent) != {}


def two(terminate: str) -> str:
    """Two rules, of which the first lets no page of ours in."""
    first = f"cors: {{ allowed-origins: ['https://other.example'], terminate-unmatched-request: {terminate} }}"
    return f"inbound: [{first}, cors: {{ allowed-origins: ['{PAGE}'] }}]"


def test_the_next_rule_is_asked_unless_the_first_ends_it() -> None:
    assert preflight(two("true"), asking()) == {}
    found = preflight(two("false"), asking())
    assert found is not None
    assert found["access-control-allow-origin"] == PAGE
    assert preflight(two("false"), asking("https://third.example")) == {}
    alone = f"inbound: [cors: {{ allowed-origins: '{PAGE}', terminate-unmatched-request: false }}]"
    assert preflight(alone, asking("https://third.example")) == {}


def test_the_first_rule_that_matches_speaks_for_a_call() -> None:
    both = f"inbound: [cors: {{ allowed-origins: '{PAGE}' }}, cors: {{ allowed-origins: '*', expose-headers: ['*'] }}]"
    assert told(both) == {"Access-Control-Allow-Origin": PAGE, "Vary": "Origin"}
    assert told(two("true"))["Access-Control-Allow-Origin"] == PAGE


def test_a_fragment_may_hold_it() -> None:
    fragment = read_document(YAML.replace("inbound:", "fragment:"), "policies/pages.yaml")
    text = "inbound: [include-fragment: { fragment-id: pages }]"
    parsed = read_document(text, "policies/test.yaml")
    loaded = load_document(parsed, NO_REFERENCES, {"pages": fragment.fragment(NO_REFERENCES)})
    in_force = compile_policy([], [], [loaded], {})
    assert in_force.origins(asking()) == (PAGE,)
    assert preflight(in_force, asking()) is not None


def test_a_document_in_report_mode_answers_no_preflight() -> None:
    assert preflight("mode: report\n" + YAML, asking()) is None


def test_whatever_a_client_sends_is_answered_or_not_and_never_fails() -> None:
    chance, in_force = random.Random(7), policy(YAML)
    for _ in range(2000):
        noise = ["".join(chr(chance.randrange(256)) for _ in range(chance.randrange(12))) for _ in range(3)]
        assert preflight(in_force, asking(*noise)) in ({}, None)


NO_ORIGIN = "this is no origin that can be allowed"


@pytest.mark.parametrize(
    ("element", "expected"),
    [
        ("{}", "allowed-origins is missing"),
        ("{ allowed-origins: [https://a.example/] }", NO_ORIGIN),
        ("{ allowed-origins: [https://a.example/x] }", NO_ORIGIN),
        ("{ allowed-origins: ['https://*.a.example'] }", NO_ORIGIN),
        ("{ allowed-origins: ['https://u@a.example'] }", NO_ORIGIN),
        ("{ allowed-origins: ['https://ä.example'] }", NO_ORIGIN),
        ("{ allowed-origins: ['https://a.example:x'] }", NO_ORIGIN),
        ("{ allowed-origins: ['https://:1'] }", NO_ORIGIN),
        ("{ allowed-origins: [a.example] }", NO_ORIGIN),
        ("{ allowed-origins: ['null'] }", NO_ORIGIN),
        ("{ allowed-origins: [''] }", NO_ORIGIN),
        ("{ allowed-origins: ['${{ mcp.method }}'] }", NO_ORIGIN),
        ("{ allowed-origins: '*', allow-credentials: true }", "* cannot be allowed together with allow-credentials"),
        (
            "{ allowed-origins: 'http://a', expose-headers: ['*'], allow-credentials: true }",
            "* means nothing together with allow-credentials",
        ),
        ("{ allowed-origins: 'http://a', allowed-headers: ['a b'] }", "'a b' is neither a name nor *"),
        ("{ allowed-origins: 'http://a', allowed-methods: [''] }", "'' is neither a name nor *"),
        (
            "{ allowed-origins: 'http://a', preflight-result-max-age: -1 }",
            "preflight-result-max-age must be a whole number from 0 to 86400",
        ),
    ],
)
def test_what_cannot_be_in_force_is_refused_at_load(element: str, expected: str) -> None:
    (found,) = problems(f"inbound: [cors: {element}]")
    assert expected in found


def test_a_condition_has_nothing_to_read_in_a_preflight() -> None:
    text = "inbound: [choose: { when: [], otherwise: [cors: { allowed-origins: '*' }] }]"
    (found,) = [problem for problem in problems(text) if "cors" in problem]
    assert "cors stands directly in inbound" in found


def test_lint_says_what_api_management_answers() -> None:
    (remark,) = document(XML.replace("<cors>", "<base /><cors>", 1)).remarks
    assert "mcpgov refuses it with 403" in remark.message
    assert document(YAML).remarks == ()
