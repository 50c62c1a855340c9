"""Cases beside policies go through the same evaluation as a real call, and say what is not as expected."""

import pytest

from mcpgov.errors import InvalidConfiguration
from mcpgov.policy_cases import Coverage, Result, parse_cases, run_cases
from tests.policy.calls import document

RULES = """\
inbound:
  - rate-limit-by-key: { calls: 2, renewal-period: 60, increment-condition: response.status < 300 }
  - set-header: { name: X-Tenant, value: "${{ principal.project }}" }
  - choose:
      when:
        - condition: 'request.headers["x-region"] == "eu"'
          do: [set-backend-service: { base-url: https://europe.example }]
  - tool-rules: { deny: [delete_*, { tool: merge, hide: false, message: Ask a person. }] }
outbound:
  - result-rules: { redact: [{ pattern: "[0-9]{4}" }] }
  - choose:
      when: [{ condition: mcp.tool.name == "broken", do: [return-response: { do: [set-status: { code: 503 }] }] }]
  - set-header: { name: X-Out, value: "yes" }
on-error:
  - set-header: { name: X-Err, value: "yes" }
"""


def run(cases: str, policy: str = RULES, coverage: Coverage | None = None) -> list[Result]:
    parsed = parse_cases(f"cases:\n{cases}", "policies/test.test.yaml")
    return list(run_cases(parsed, {"test": document(policy)}, coverage or Coverage()))


def wrong(case: str, policy: str = RULES) -> tuple[str, ...]:
    (result,) = run(f"  - {{ name: a, {case} }}\n", policy)
    return result.wrong


def problems(text: str) -> list[str]:
    with pytest.raises(InvalidConfiguration) as raised:
        parse_cases(text, "x.test.yaml")
    return [str(problem) for problem in raised.value.problems]


@pytest.mark.parametrize(
    "case",
    [
        "tool: get_issue, expect: { reason: allowed, status: 200, reply-headers: { X-Out: 'yes', X-Err: null } }",
        "tool: delete_x, expect: { reason: tool-hidden, rule: test#4 tool-rules, status: 200, message: Unknown tool }",
        "tool: get, principal: { project: blue }, expect: { headers: { X-Tenant: blue, cookie: null } }",
        "tool: get, headers: { X-Region: eu }, expect: { backend: https://europe.example }",
        "tool: merge, expect: { result: { content: [{ type: text, text: Ask a person. }], isError: true } }",
        "tool: get, repeat: 2, expect: { reason: allowed, reply-headers: { x-ratelimit-remaining: '0' } }",
        "tool: get, repeat: 3, expect: { reason: rate-limited, status: 429, reply-headers: { Retry-After: '60' } }",
        "tool: merge, repeat: 9, expect: { reason: tool-denied }",
        "tool: get, answer: { text: pin 1234 }, expect: { result: { text: 'pin ***' } }",
        "method: tools/list, answer: { tools: [{ name: delete_x }] }, expect: { result: { tools: [] } }",
        "tool: broken, expect: { reason: policy-response, status: 503 }",
    ],
)
def test_what_is_as_expected_passes(case: str) -> None:
    assert wrong(case) == ()


@pytest.mark.parametrize(
    ("expected", "told"),
    [
        ("reason: tool-denied", 'reason: expected "tool-denied", got "tool-hidden", by test#4 tool-rules'),
        ("rule: test#1 x", 'rule: expected "test#1 x", got "test#4 tool-rules"'),
        ("status: 403", "status: expected 403, got 200"),
        ("backend: https://x.example", 'backend: expected "https://x.example", got null'),
        ("message: Gone", 'message: expected "Gone" in "Unknown tool: delete_x"'),
        ("headers: { X-Tenant: blue }", 'header X-Tenant: expected "blue", got null'),
        ("reply-headers: { X-Err: 'yes' }", 'reply header X-Err: expected "yes", got null'),
        ("reported: [tool-hidden]", 'reported: expected ["tool-hidden"], got []'),
        ("result: 1", "result: expected 1, got null"),
    ],
)
def test_each_difference_is_told(expected: str, told: str) -> None:
    assert wrong(f"tool: delete_x, expect: {{ {expected} }}") == (told,)


def test_a_reply_header_that_should_not_be_there_is_told() -> None:
    expected = 'reply header X-Out: expected null, got "yes"'
    assert wrong("tool: get, expect: { reply-headers: { X-Out: null } }") == (expected,)


def test_why_a_policy_failed_is_told() -> None:
    policy = "inbound: [set-header: { name: x, value: '${{ request.headers[\"gone\"] }}' }]"
    (told,) = wrong("tool: get, expect: { reason: allowed }", policy)
    assert told.startswith('reason: expected "allowed", got "policy-error", by test#1 set-header: ')


def test_report_mode_is_expected_by_what_it_would_deny() -> None:
    policy = "mode: report\ninbound: [tool-rules: { deny: [get] }]"
    assert wrong("tool: get, expect: { reason: allowed, reported: [tool-hidden] }", policy) == ()
    assert wrong("tool: got, expect: { reported: [] }", policy) == ()
    assert wrong("tool: get, expect: { reported: [] }", policy) == ('reported: expected [], got ["tool-hidden"]',)


def test_bytes_are_charged_and_a_policy_may_answer_itself() -> None:
    policy = "inbound: [quota: { bandwidth: 1, renewal-period: 300 }]"
    assert wrong("tool: get, repeat: 2, expect: { reason: allowed }", policy) == ()
    answering = "inbound: [return-response: { do: [set-status: { code: 200 }, set-body: { value: '[1]' }] }]"
    assert wrong("tool: get, expect: { reason: policy-response, status: 200 }", answering) == ()
    text = answering.replace("[1]", "text")
    assert wrong("tool: get, expect: { reason: policy-response, result: 1 }", text) == ("result: expected 1, got null",)


def test_annotations_and_places_are_those_of_the_case() -> None:
    policy = "inbound: [limit-concurrency: { max-count: 1 }, tool-rules: { deny: [{ annotation: destructiveHint }] }]"
    assert wrong("tool: get, annotations: { destructiveHint: false }, expect: { reason: allowed }", policy) == ()
    assert wrong("tool: get, expect: { reason: tool-hidden }", policy) == ()


def test_backends_that_are_written_are_the_only_ones() -> None:
    policy = "inbound: [set-backend-service: { base-url: https://europe.example }]"
    cases = (
        "  - { name: a, tool: b, expect: { reason: policy-error } }\nconnection: { backends: [https://x.example] }\n"
    )
    assert run(cases, policy)[0].wrong == ()
    named = "inbound: [set-backend-service: { backend-id: europe }]"
    assert wrong("tool: get, expect: { reason: allowed }", named) == ()


def test_coverage_counts_elements_and_branches() -> None:
    coverage = Coverage()
    run("  - { name: a, tool: get, headers: { x-region: eu }, expect: { reason: allowed } }\n", coverage=coverage)
    assert coverage.share == (10, 15)
    assert coverage.missed == (
        "test#outbound.2.1.1 return-response",
        "test#outbound.2.1.1.1 set-status",
        "test#on-error.1 set-header",
        "test#3 choose no branch",
        "test#outbound.2 choose branch 1",
    )


def test_a_result_says_where_its_case_stands() -> None:
    (result,) = run("  - { name: a, tool: get, expect: { reason: allowed } }\n")
    assert (result.name, result.place.file, result.place.line) == ("a", "policies/test.test.yaml", 2)


def test_what_could_never_hold_is_told_at_once() -> None:
    text = """\
cases:
  - { name: a, tool: get, expect: {} }
  - { name: b, tool: get, expect: { reason: tool-hiden } }
  - { name: c, expect: { reason: allowed } }
  - { name: d, method: tools/list, tool: get, expect: { reported: [nothing] } }
"""
    nothing, reason, no_tool, reported, method = problems(text)
    assert nothing.startswith("x.test.yaml:2:35: nothing is expected (write expect:")
    assert reason == "x.test.yaml:3:45: there is no reason tool-hiden (did you mean tool-hidden?)"
    assert no_tool == "x.test.yaml:4:5: no tool is called (add tool: NAME, or method:)"
    assert reported.startswith("x.test.yaml:5:67: there is no reason nothing")
    assert method == "x.test.yaml:5:36: tools/list calls no tool (remove it)"


def test_the_policy_has_to_be_there() -> None:
    cases = parse_cases("cases: [{ name: a, tool: b, expect: { reason: allowed } }]", "policies/tets.test.yaml")
    with pytest.raises(InvalidConfiguration, match=r"there is no policy tets \(did you mean test\?\)"):
        list(run_cases(cases, {"test": document(RULES)}, Coverage()))
    with pytest.raises(InvalidConfiguration, match="write it first"):
        list(run_cases(cases, {}, Coverage()))


TOKENS = """\
inbound:
  - validate-jwt:
      header-name: X-Token
      openid-config: { url: https://issuer.example/.well-known/openid-configuration }
      audiences: [api://mcpgov]
      output-token-variable-name: jwt
  - set-header: { name: X-Iss, value: '${{ variables["jwt"].issuer }}' }
  - authentication-managed-identity: { resource: api://backend, output-token-variable-name: own }
  - set-header: { name: X-Own, value: 'Bearer ${{ variables["own"] }}' }
"""


@pytest.mark.parametrize(
    "case",
    [
        "token: { header: X-Token, claims: { iss: https://i.example, aud: api://mcpgov } }, expect: { status: 200 }",
        "token: { header: X-Token, claims: { aud: api://mcpgov, iss: i } }, expect: { headers: { X-Iss: i } }",
        "token: { header: X-Token, claims: { aud: api://mcpgov, iss: i } }, expect: { headers: { X-Own: Bearer *** } }",
        "token: { header: X-Token, claims: { iss: i, aud: b } }, expect: { reason: jwt-audience-denied, status: 401 }",
        "token: { header: X-Token, claims: { iss: i, aud: api://mcpgov, exp: 1 } }, expect: { reason: jwt-expired }",
        "token: { header: X-Token, claims: { aud: api://mcpgov, iss: i } }, expect: { granted: [GRANTED] }",
        "token: { claims: { iss: i, aud: api://mcpgov } }, expect: { reason: credential-missing, granted: [] }",
        "headers: { X-Token: a.b.c }, expect: { reason: jwt-malformed }",
    ],
)
def test_a_case_may_carry_a_token(case: str) -> None:
    case = case.replace("GRANTED", "test#3 authentication-managed-identity azure.identity api://backend")
    assert wrong(f"tool: get, {case}", TOKENS) == ()


def test_a_case_may_be_of_an_agent() -> None:
    policy = "inbound: [quarantine: { blueprints: [b1] }]"
    agent = "principal: { kind: agent, agent_id: a1, blueprint_id: b1 }"
    assert wrong(f"tool: get, {agent}, expect: {{ reason: quarantined }}", policy) == ()
