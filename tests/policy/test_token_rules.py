"""What is asked of a token, in which order, and what is told where the answer is no."""

from __future__ import annotations

import pytest

from mcpgov.decision import Decision, FetchKeys, Reason
from mcpgov.errors import Refusal
from mcpgov.json_web_token import KeySet, SigningKey
from mcpgov.policy.evaluate import Evaluation
from mcpgov.policy.explain import DryRun, Explanation
from mcpgov.policy.token_rules import Trust
from tests.policy.calls import context, policy, problems
from tests.policy.tokens import AUDIENCE, CONFIGURATION, ISSUER, NOW, Issuers, bearing, decided, published, token

RULES = f"""\
inbound:
  - validate-jwt:
      header-name: Authorization
      openid-config: {{ url: {CONFIGURATION} }}
      audiences: [{AUDIENCE}]
      required-claims: [{{ name: roles, value: [caller] }}]
"""


def decide(text: str, issuers: Issuers | None = None) -> Decision:
    return decided(RULES, bearing(text), issuers)[0]


def test_a_token_that_holds_passes() -> None:
    assert decide(token(roles=["caller"])).allowed


@pytest.mark.parametrize(
    ("text", "reason", "message"),
    [
        ("", Reason.CREDENTIAL_MISSING, "JWT not present."),
        ("a.b", Reason.JWT_MALFORMED, "The token is not one that is read here."),
        (token(aud="x"), Reason.JWT_AUDIENCE_DENIED, "The token was issued for somebody else."),
        (token(exp=NOW), Reason.JWT_EXPIRED, "The token has expired."),
        (token(nbf=NOW + 1), Reason.JWT_NOT_YET_VALID, "The token is not valid yet."),
        (token(roles=["other"]), Reason.JWT_CLAIM_DENIED, "The token lacks a claim that is required here."),
        (token(exp=None, roles="caller"), Reason.JWT_CLAIM_DENIED, "The token lacks a claim that is required here."),
        (
            token(iss="https://x", roles="caller"),
            Reason.JWT_ISSUER_DENIED,
            "The token is from an issuer that is not trusted here.",
        ),
        (token("k2", roles="caller"), Reason.JWT_KEY_UNKNOWN, "The token is signed with a key that is not known here."),
        (
            token(roles="caller")[:-6] + "AAAAAA",
            Reason.JWT_SIGNATURE_INVALID,
            "The signature of the token is not valid.",
        ),
        (
            token(algorithm="HS256", roles="caller"),
            Reason.JWT_SIGNATURE_INVALID,
            "The signature of the token is not valid.",
        ),
    ],
)
def test_a_token_that_does_not_hold_is_refused_with_its_reason(text: str, reason: Reason, message: str) -> None:
    made = decide(text)
    assert (made.reason, made.message, made.rule, made.reply) == (reason, message, "test#1 validate-jwt", None)
    assert set(made.answers) <= {"t", "f"}
    assert made.answers.endswith("f")


@pytest.mark.parametrize("text", ["", "a.b", token(aud="x"), token(exp=NOW), token(algorithm="HS256")])
def test_a_token_that_cannot_hold_makes_nobody_fetch_keys(text: str) -> None:
    issuers = Issuers()
    assert not decide(text, issuers).allowed
    assert issuers.asked == []


def test_the_key_is_asked_for_by_its_name() -> None:
    issuers = Issuers()
    decide(token(roles="caller"), issuers)
    assert issuers.asked == [FetchKeys(CONFIGURATION, "k1")]


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("Bearer", Reason.CREDENTIAL_MISSING),
        ("Basic TOKEN", Reason.CREDENTIAL_MISSING),
        ("bearer TOKEN", Reason.ALLOWED),
        ("TOKEN", Reason.ALLOWED),
        ("Bearer  TOKEN ", Reason.ALLOWED),
        ("Bearer TOKEN, Bearer TOKEN", Reason.JWT_MALFORMED),
    ],
)
def test_the_scheme_of_the_header_is_bearer_or_none(value: str, reason: Reason) -> None:
    headers = {"authorization": value.replace("TOKEN", token(roles="caller"))}
    assert decided(RULES, context(headers=headers))[0].reason is reason


def test_a_header_that_stands_twice_is_no_token() -> None:
    text = f"Bearer {token(roles='caller')}"
    asked = context(headers=(("authorization", text), ("authorization", text)))
    assert decided(RULES, asked)[0].reason is Reason.JWT_MALFORMED


def test_where_no_keys_can_be_had_the_call_is_refused() -> None:
    evaluation = Evaluation(policy(RULES), bearing(token(roles="caller")))
    with pytest.raises(Refusal) as raised:
        Issuers(down=True).run(evaluation.decide())
    decision = evaluation.broken_off(raised.value)
    assert (decision.reason, decision.rule) == (Reason.SIGN_IN_UNAVAILABLE, "test#1 validate-jwt")


def test_in_report_mode_nothing_is_refused_for_want_of_keys() -> None:
    evaluation = Evaluation(policy(f"mode: report\n{RULES}"), bearing(token(roles="caller")))
    decision = Issuers(down=True).run(evaluation.decide())
    assert decision.allowed
    (reported,) = decision.reported
    assert (reported.reason, reported.rule) == (Reason.SIGN_IN_UNAVAILABLE, "test#1 validate-jwt")


TWO = RULES.replace("openid-config: { url:", "openid-config: [{ url: https://other.example/conf }, { url:").replace(
    "configuration }", "configuration }]"
)


def test_of_several_configurations_the_one_that_has_the_key_is_enough() -> None:
    issuers = Issuers(at={CONFIGURATION: published("k1"), "https://other.example/conf": published("k3")})
    assert decided(TWO, bearing(token(roles="caller")), issuers)[0].allowed
    assert len(issuers.asked) == 2
    first = Issuers()
    assert decided(TWO, bearing(token(roles="caller")), first)[0].allowed
    assert len(first.asked) == 1


def test_a_configuration_speaks_for_its_own_issuer_only() -> None:
    foreign = Issuers(
        at={CONFIGURATION: published("k3"), "https://other.example/conf": published("k1", issuer="https://other")}
    )
    assert decided(TWO, bearing(token(roles="caller")), foreign)[0].reason is Reason.JWT_ISSUER_DENIED
    nameless = Issuers(keys=published("k1", issuer=""))
    unnamed = token(iss=None, roles="caller")
    assert decided(RULES, bearing(unnamed), nameless)[0].reason is Reason.JWT_ISSUER_DENIED


def test_named_issuers_may_be_signed_for_by_each_configuration() -> None:
    text = TWO.replace("audiences:", f"issuers: [{ISSUER}]\n      audiences:")
    foreign = Issuers(keys=published("k1", issuer="https://other"))
    assert decided(text, bearing(token(roles="caller")), foreign)[0].allowed


def test_what_a_refused_token_costs_is_not_paid_twice() -> None:
    text = RULES + "  - tool-rules: { deny: [secret_*] }\n"
    issuers = Issuers()
    made, _ = decided(text, bearing(token("k2", roles="caller"), tool="secret_a"), issuers)
    assert (made.reason, len(issuers.asked)) == (Reason.JWT_KEY_UNKNOWN, 1)


def test_a_hidden_tool_is_unknown_to_whoever_has_a_good_token() -> None:
    text = RULES + "  - tool-rules: { deny: [secret_*] }\n"
    issuers = Issuers()
    made, _ = decided(text, bearing(token(roles="caller"), tool="secret_a"), issuers)
    assert (made.reason, len(issuers.asked)) == (Reason.TOOL_HIDDEN, 1)


@pytest.mark.parametrize("code", [401, 403])
def test_status_and_message_are_the_documents_own(code: int) -> None:
    text = RULES + f"      failed-validation-httpcode: {code}\n      failed-validation-error-message: Sign in.\n"
    made, _ = decided(text, context())
    assert (made.reason, made.message) == (Reason.CREDENTIAL_MISSING, "Sign in.")
    assert (made.reply.status if made.reply else 401) == code


@pytest.mark.parametrize(
    ("said", "word"), [({}, "TokenClaimNotFound"), ({"roles": "other"}, "TokenClaimValueNotAllowed")]
)
def test_on_error_reads_the_words_of_api_management(said: dict[str, str], word: str) -> None:
    text = f"""<policies><inbound><validate-jwt header-name="Authorization"><openid-config url="{CONFIGURATION}" />
        <required-claims><claim name="roles"><value>caller</value></claim></required-claims></validate-jwt></inbound>
        <on-error><set-header name="X-Why"><value>@(context.LastError.Reason)</value></set-header></on-error>
        </policies>"""
    evaluation = Evaluation(policy(text), bearing(token(**said)))
    decision = Issuers().run(evaluation.decide())
    refusal = Issuers().run(evaluation.refused(Refusal(decision.reason, decision.message)))
    assert refusal.reply is not None
    assert refusal.reply.edits[0].values == (word,)


def test_an_explanation_shows_neither_the_token_nor_its_claims() -> None:
    text = token(roles="caller", email="ann@contoso.com")
    evaluation = Evaluation(policy(RULES), bearing(text), watch=(explanation := Explanation()))
    DryRun(keys=published("k1")).run(evaluation.decide())
    (entry,) = explanation.entries
    assert [one.question for one in entry.questions][:2] == ["is there a token", "can it be read"]
    assert {one.answer for one in entry.questions} == {"true"}
    assert {text, "ann@contoso.com", ISSUER} <= set(evaluation.draft.answers.secrets)
    assert text not in repr(explanation)
    assert text not in repr(evaluation.draft)
    assert "ann@contoso.com" not in repr(evaluation.draft)


VALUE = f"""\
inbound:
  - validate-jwt:
      token-value: '${{{{ request.headers["x-agent-token"] }}}}'
      openid-config: {{ url: {CONFIGURATION} }}
"""


def test_a_token_may_be_computed() -> None:
    made, draft = decided(VALUE, context(headers={"x-agent-token": token()}))
    assert made.allowed
    assert draft.masked(f"<{token()}>") == "<***>"
    assert decided(VALUE, context())[0].reason is Reason.CREDENTIAL_MISSING


def test_what_is_too_short_for_a_token_blots_nothing_out() -> None:
    made, draft = decided(RULES, bearing("e"))
    assert (made.reason, draft.masked("denied")) == (Reason.JWT_MALFORMED, "denied")


def test_a_token_that_is_computed_does_not_show() -> None:
    evaluation = Evaluation(
        policy(VALUE), context(headers={"x-agent-token": token()}), watch=(explanation := Explanation())
    )
    DryRun(keys=published("k1")).run(evaluation.decide())
    assert explanation.entries[0].questions[0].answer == "***"


HIDING = """\
  - choose:
      when:
        - condition: variables["jwt"].claims["roles"] == "caller"
          do: [tool-rules: { deny: [secret_*] }]
"""


@pytest.mark.parametrize(
    ("text", "first", "reason"),
    [
        (token(roles="caller"), "", Reason.TOOL_HIDDEN),
        (token(roles="other"), "", Reason.ALLOWED),
        (token(exp=NOW), "", Reason.JWT_EXPIRED),
        (token(), "  - quarantine: {}\n", Reason.QUARANTINED),
    ],
)
def test_what_is_hidden_may_depend_on_the_token(text: str, first: str, reason: Reason) -> None:
    rules = f"""\
inbound:
{first}  - validate-jwt:
      header-name: Authorization
      output-token-variable-name: jwt
      openid-config: {{ url: {CONFIGURATION} }}
{HIDING}"""
    assert decided(rules, bearing(text, tool="secret_a"))[0].reason is reason


def test_published_keys_are_never_the_secret_of_an_hmac() -> None:
    assert "HS256" not in Trust(("https://x",)).algorithms
    assert Trust(keys=(SigningKey("a", ("HS256",), b""),)).algorithms == ("HS256",)
    assert KeySet("", ()).keys == ()


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ("", "the token is taken from one place (write header-name, or token-value)"),
        ("header-name: a, token-value: b,", "the token is taken from one place (write header-name, or token-value)"),
        ("query-parameter-name: t,", "a token in the query is not read here (use header-name: MCP sends no token in a"),
        ("header-name: 'a b',", "header-name is not a header name (use letters, digits and -; no expression)"),
    ],
)
def test_the_token_stands_in_one_place(where: str, message: str) -> None:
    (problem,) = problems(f"inbound: [validate-jwt: {{ {where} openid-config: {{ url: https://x.example }} }}]")
    assert message in problem
