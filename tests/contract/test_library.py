"""The library of ready policies: each loads, and its two forms decide alike on a thousand requests."""

import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from mcpgov.credential.references import EnvironmentAndFiles
from mcpgov.decision import Decision, Effect, Hold, Reason, Reply, Spend, Spent
from mcpgov.errors import Refusal
from mcpgov.models import Event, Json, RemoteUpstream
from mcpgov.policy.assumed_token import assumed_keys, assumed_token
from mcpgov.policy.compiled import ConnectionPolicy, compile_policy
from mcpgov.policy.context import Context
from mcpgov.policy.document import PolicyDocument
from mcpgov.policy.element import SECTIONS, walk
from mcpgov.policy.evaluate import Evaluation, refusal_of
from mcpgov.policy.explain import DryRun, Explanation
from mcpgov.policy.registry import ELEMENTS
from mcpgov.policy.rewriting import Rewritten
from mcpgov.policy_cases import Coverage, parse_cases, run_cases
from mcpgov.policy_files import PolicyFiles, PolicyReferences, load_policies
from mcpgov.strict_json import dumps
from tests.policy.calls import answer, context

LIBRARY = Path(__file__).parents[2] / "policies"
TESTS = sorted(LIBRARY.glob("*.test.yaml"))
PAGE = (LIBRARY.parent / "docs" / "library.md").read_text("utf-8")
REQUESTS = 1000
LEFT = 40  # what is left of every limit when the requests begin
REFUSE_NOTHING = frozenset(
    {
        "usage-events",
        "call-metrics",
        "correlation-id",
        "internal-names-stay-inside",
        "region-routing",
        "results-without-secrets",
    }
    | {"retry-reads", "schemas-for-foundry", "sensitive-headers", "tenant-headers"}
    | {"tokens-for-the-server"}
    | {"browser-clients"}  # pages of other origins are refused before policies are asked
)
UPSTREAM = RemoteUpstream(
    "https://api.contoso.com/mcp?v=1",
    backends=("https://europe-api.contoso-mcp.net", "https://asia-api.contoso-mcp.net"),
)
METHODS = (*["tools/call"] * 6, "tools/list", "resources/read", "initialize", "ping", "completion/complete", "")
TOOLS = (
    *("get_issue", "list_issues", "search_code", "issue_read", "describe_table", "get\u0456ssue", "ping", "a/b"),
    *("delete_repository", "merge_pull_request", "create_issue", "update_file", "label_write", "actions_run_trigger"),
    *("run_query", "transfer_funds", "send_mail"),
)
ADDRESSES = (
    *("10.1.2.3", "192.168.7.7", "203.0.113.15", "203.0.113.20", "203.0.113.21", "8.8.8.8"),
    *("::ffff:10.0.0.1", "::ffff:8.8.8.8", "2001:db8:100::1", "2001:db8:101::1"),
)
HEADERS = {
    "x-region": ("eu", "us", "ap", "EU", ""),
    "x-client": ("Foundry", "copilot-studio", "curl", ""),
    "x-tenant": ("blue",),
    "x-trace-id": ("1",),
    "x-agent": ("somebody-else",),
    "x-request-id": ("chosen-by-the-caller",),
    "cookie": ("session=1",),
    "referer": ("https://x.example/",),
    "origin": ("https://app.contoso.com", "https://evil.example"),
}
ENTRA: dict[str, Json] = {
    "iss": "https://login.microsoftonline.com/72f988bf-0000-4000-8000-2d7cd011db47/v2.0",
    "tid": "72f988bf-0000-4000-8000-2d7cd011db47",
    "aud": "api://mcpgov.contoso.com",
}
PARTNER: dict[str, Json] = {"iss": "https://sign-in.partner.example", "aud": "https://mcp.contoso.com", "sub": "fleet"}
TOKENS: Mapping[str, Sequence[dict[str, Json]]] = {
    "authorization": (
        *({**ENTRA, "roles": ["Mcp.Invoke"]}, {**ENTRA, "roles": ["Mcp.Owner", "Mcp.Invoke"]}, ENTRA),
        *({**ENTRA, "roles": "Mcp.Owner", "aud": "api://other"}, {**ENTRA, "roles": ["Mcp.Owner"], "exp": 1}),
    ),
    "x-partner-token": (
        *({**PARTNER, "scope": "tools.call"}, {**PARTNER, "scope": "tools.list"}, {**PARTNER, "iss": "https://x"}),
        {**PARTNER, "scope": "tools.list tools.call"},
    ),
}
ARGUMENTS: Sequence[dict[str, Json]] = (
    *({}, {"amount": 10}, {"amount": 1000.5}, {"amount": "10"}, {"method": "delete"}, {"method": "create"}),
    *({"query": "SELECT 1"}, {"query": "select 1; drop table users"}, {"query": None}),
    *({"to": "a@contoso.com"}, {"to": "a@contoso.com\n"}, {"to": ["a@evil.example"]}),
)
CALLERS = (
    *(("key:k1", "payments"), ("key:k2", "platform-owners"), ("key:k3", ""), ("key:k4", "training")),
    *(("key:k5", "compromised-crawler"), ("key:k6", "../admin"), ("key:k1/2", "pay ments")),
)
HINTS = ("readOnlyHint", "destructiveHint", "idempotentHint", "openWorldHint")
RESULTS: Sequence[Json] = (
    *({}, {"content": [{"type": "text", "text": "at http://wiki.internal:8080/a, card 4111 1111 1111 1111"}]}),
    {"content": [{"type": "text", "text": "fi\u200bne"}], "structuredContent": {"password": "p"}},
    {"tools": [{"name": name, "inputSchema": {"type": ["object", "null"]}} for name in TOOLS]},
    {
        "tools": [
            {"name": "t", "inputSchema": {"type": "object", "properties": {"a": {"anyOf": [{"type": "null"}, {}]}}}}
        ]
    },
)
LARGE: Json = {"content": [{"type": "text", "text": "x" * 200_000}]}
FAILURES = (Reason.UPSTREAM_TIMEOUT, Reason.UPSTREAM_UNREACHABLE, Reason.UPSTREAM_INVALID)


def loaded(folder: Path, ending: str) -> PolicyFiles:
    """The library in one syntax."""
    texts = {path: path.read_text("utf-8") for path in sorted(folder.glob(f"*.{ending}")) if path not in TESTS}
    return load_policies(texts, PolicyReferences({}, EnvironmentAndFiles({}, str(folder))))


YAML, XML = loaded(LIBRARY, "yaml"), loaded(LIBRARY / "xml", "xml")


def test_every_policy_of_the_library_loads() -> None:
    assert (YAML.problems, XML.problems) == ((), ())


def test_every_policy_has_both_forms() -> None:
    assert YAML.documents.keys() == XML.documents.keys()
    assert YAML.fragments == XML.fragments


def test_every_element_is_used_in_both_forms() -> None:
    for files in (YAML, XML):
        used = {
            step.element.name
            for document in files.documents.values()
            for section in SECTIONS
            for step in walk(document.sections.get(section, ()))
        }
        assert ELEMENTS.keys() - used == set()


@pytest.mark.parametrize("name", sorted({*YAML.documents, *YAML.fragments}))
def test_every_policy_says_what_it_is_for_and_is_explained(name: str) -> None:
    first, second, *_ = (LIBRARY / f"{name}.yaml").read_text("utf-8").splitlines()
    assert (first, second[:2]) == (f"# policies/{name}.yaml", "# ")
    assert (LIBRARY / "xml" / f"{name}.xml").read_text("utf-8").startswith(f"<!-- {second[2:40]}")
    assert f"`{name}`" in PAGE


@pytest.mark.parametrize("name", sorted(YAML.documents))
def test_every_policy_has_cases_beside_it(name: str) -> None:
    assert LIBRARY / f"{name}.test.yaml" in TESTS


@pytest.mark.parametrize("place", TESTS, ids=lambda place: place.name)
@pytest.mark.parametrize("files", [YAML, XML], ids=["yaml", "xml"])
def test_the_cases_beside_each_policy_hold_in_both_forms(place: Path, files: PolicyFiles) -> None:
    coverage = Coverage()
    results = list(run_cases(parse_cases(place.read_text("utf-8"), str(place)), files.documents, coverage))
    assert [(result.name, result.wrong) for result in results if result.wrong] == []
    assert coverage.missed == ()


@pytest.mark.parametrize("name", sorted(YAML.documents))
def test_both_forms_decide_alike_on_generated_requests(name: str) -> None:
    chance = random.Random(name)
    forms = [Form(files.documents[name]) for files in (YAML, XML)]
    allowed = Counter[bool]()
    for number in range(REQUESTS):
        request = generated(chance, known=number % 3 > 0)
        told = [form.told(request) for form in forms]
        assert told[0] == told[1]
        allowed[told[0][0] is Reason.ALLOWED] += 1
    assert allowed[True]
    assert bool(allowed[False]) == (name not in REFUSE_NOTHING)
    assert [form.coverage.missed for form in forms] == [(), ()]


SIGNED = {
    name: [f"Bearer {assumed_token(one, datetime(2026, 11, 21, tzinfo=UTC))}" for one in claims]
    for name, claims in TOKENS.items()
}


@dataclass(frozen=True)
class Generated:
    """A request that nobody chose, what the server says of its tool, and what it answers."""

    asked: Context
    annotations: dict[str, bool]
    room: bool
    status: int
    message: bytes
    failure: Reason | None


def generated(chance: random.Random, *, known: bool) -> Generated:
    """The next request. `known`: the server has said something of its tools."""
    who, project = chance.choice(CALLERS)
    headers = {name: chance.choice(values) for name, values in HEADERS.items() if chance.random() < 0.3}
    headers |= {name: SIGNED[name][chance.randrange(len(claims))] for name, claims in TOKENS.items() if known}
    asked = context(
        chance.choice(METHODS),
        chance.choice(TOOLS),
        address=chance.choice(ADDRESSES),
        arguments=chance.choice(ARGUMENTS),
        headers=headers,
        principal=who,
        project=project,
        upstream=UPSTREAM,
    )
    return Generated(
        asked,
        {hint: chance.random() < 0.5 for hint in HINTS if known and chance.random() < 0.5},
        chance.random() < 0.95,
        chance.choice((200, 200, 404, 503)),
        dumps({"jsonrpc": "2.0", "id": 1, "result": LARGE if chance.random() < 0.01 else chance.choice(RESULTS)}),
        chance.choice(FAILURES) if chance.random() < 0.1 else None,
    )


@dataclass
class Limits(DryRun):
    """Counters of which most is used up, and places for calls that are free or not."""

    room: bool = True
    left: dict[str, int] = field(default_factory=dict[str, int])

    def perform(self, effect: Effect) -> Any:
        """What comes of an effect."""
        if isinstance(effect, Hold):
            return self.room
        if not isinstance(effect, Spend):
            return DryRun.perform(self, effect)
        key = f"{effect.calls}/{effect.period}/{effect.key}"
        left = self.left.setdefault(key, min(LEFT, effect.calls))
        allowed = max(effect.count, 1) <= left
        self.left[key] -= effect.count if allowed else 0
        return Spent(allowed, effect.calls, self.left[key], effect.period, 0 if allowed else effect.period)


class Form:
    """One form of a policy in force, the only one of its connection, with limits of its own."""

    def __init__(self, document: PolicyDocument) -> None:
        self.policy: ConnectionPolicy = compile_policy([], [], [document], {})
        self.limits = Limits(keys=assumed_keys({}))
        self.coverage = Coverage()
        self.coverage.expect([document])

    def told(self, request: Generated) -> tuple[object, ...]:
        """What comes of a request, whichever file it was decided by: its reason, and everything else."""
        self.limits.annotations, self.limits.room, self.limits.told = request.annotations, request.room, []
        explanation = Explanation()
        evaluation = Evaluation(self.policy, request.asked, watch=explanation)
        decision = self.limits.run(evaluation.decide())
        outcome = self.outcome(evaluation, decision, request)
        self.coverage.note(explanation)
        return decision.reason, decided(decision), outcome, tuple(self.limits.told)

    def outcome(self, evaluation: Evaluation, decision: Decision, request: Generated) -> tuple[object, ...]:
        """What the caller gets."""
        try:
            if not decision.allowed:
                raise refusal_of(decision)
            return self.answered(evaluation, request)
        except Refusal as refusal:
            refused = self.limits.run(evaluation.refused(refusal))
            return refused.reason, refused.message, refused.headers, replied(refused.reply)

    def answered(self, evaluation: Evaluation, request: Generated) -> tuple[object, ...]:
        """What the caller gets of the server's answer. Raises Refusal."""
        if request.failure is not None:
            raise Refusal(request.failure, "failed")
        shown = self.limits.run(evaluation.answered(answer(status=request.status)))
        event = Event(request.message, request.message)
        rewritten = shown.events.rewritten(event) if isinstance(shown.events, Rewritten) else event
        return shown.status, shown.headers, replied(shown.reply), rewritten.raw


def decided(decision: Decision) -> tuple[object, ...]:
    """What a decision comes to."""
    changes, retry = decision.changes, decision.changes.retry
    return (
        (decision.rule, decision.message, decision.as_tool_result, replied(decision.reply)),
        (changes.headers, changes.query, changes.backend, changes.path, changes.own_query, changes.forwarded),
        (changes.timeout, changes.fail_on_error, decision.limits, decision.reply_headers, decision.reported),
        [retry.wait(attempt, status, {}) for attempt in (1, 2, 3, 4) for status in (200, 429, 503)] if retry else [],
    )


def replied(reply: Reply | None) -> Reply:
    """A reply that a policy made; one that it left alone is empty."""
    return reply or Reply()
