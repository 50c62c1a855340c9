"""Tokens, the keys that sign them, and who performs what policies ask for about them."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, TypeVar

import jwt

from mcpgov.decision import Decision, Effect, FetchKeys, GetAuthorization, GetToken, Metric, Reason, Trace
from mcpgov.errors import Refusal
from mcpgov.json_web_token import KeySet, parse_key_set
from mcpgov.models import Issued, Secret
from mcpgov.policy.draft import Draft
from mcpgov.policy.evaluate import Evaluation
from mcpgov.policy.replay import Recorded, replay
from tests.peers.signing import jwk, rsa_key
from tests.policy.calls import admitted, context, policy

if TYPE_CHECKING:
    from collections.abc import Generator

    from mcpgov.policy.context import Context

T = TypeVar("T")
NOW: Final = int(datetime(2026, 11, 21, tzinfo=UTC).timestamp())  # when the requests of calls.py are received
TENANT: Final = "72f988bf-0000-4000-8000-2d7cd011db47"
ISSUER: Final = f"https://login.microsoftonline.com/{TENANT}/v2.0"
AUDIENCE: Final = "api://mcpgov"
CONFIGURATION: Final = f"{ISSUER}/.well-known/openid-configuration"
SHARED: Final = bytes(range(32))


def token(key: str = "k1", algorithm: str = "RS256", **claims: Any) -> str:
    """A token of ISSUER for AUDIENCE, in force; a claim that is None is left out."""
    said = {"iss": ISSUER, "aud": AUDIENCE, "sub": "s1", "tid": TENANT, "exp": NOW + 60, **claims}
    said = {name: value for name, value in said.items() if value is not None}
    signing = SHARED if algorithm == "HS256" else rsa_key(key)
    return jwt.encode(said, signing, algorithm, {"kid": key})


def published(*keys: str, issuer: str = ISSUER) -> KeySet:
    """What an issuer publishes."""
    found = [{**jwk(rsa_key(key)), "kid": key} for key in keys]
    return parse_key_set(json.dumps({"keys": found}).encode(), issuer)


@dataclass
class Issuers:
    """Performs effects: keys of k1 for every configuration, a token for whoever asks. What is asked for stands in
    `asked`, lines for the log and measurements in `told`.

    `down`: nobody answers. `at`: what other configurations publish.
    """

    down: bool = False
    keys: KeySet = field(default_factory=lambda: published("k1"))
    at: dict[str, KeySet] = field(default_factory=dict[str, KeySet])
    asked: list[Effect] = field(default_factory=list[Effect])
    told: list[Trace | Metric] = field(default_factory=list[Trace | Metric])

    def perform(self, effect: Effect) -> object:
        """What comes of an effect. Raises Refusal."""
        if isinstance(effect, Trace | Metric):
            return self.told.append(effect)
        if not isinstance(effect, FetchKeys | GetToken | GetAuthorization):
            return admitted(effect)
        self.asked.append(effect)
        if self.down:
            is_key = isinstance(effect, FetchKeys)
            raise Refusal(Reason.SIGN_IN_UNAVAILABLE if is_key else Reason.CREDENTIAL_UNAVAILABLE, "down")
        if isinstance(effect, FetchKeys):
            return self.at.get(effect.url, self.keys)
        return Issued(Secret("t0ken-of-ours"), "ours", effect.resource if isinstance(effect, GetToken) else "")

    def run(self, evaluation: Generator[Effect, Any, T]) -> T:
        """What an evaluation returns; a refusal is raised where it was asked for, as in the gateway."""
        try:
            effect = next(evaluation)
            while True:
                try:
                    performed = self.perform(effect)
                except Refusal as refusal:
                    effect = evaluation.throw(refusal)
                else:
                    effect = evaluation.send(performed)
        except StopIteration as end:
            return end.value


def decided(text: str, asked: Context, issuers: Issuers | None = None) -> tuple[Decision, Draft]:
    """The verdict on a request, and the draft behind it. What is recorded of it must lead to the same verdict again."""
    compiled = policy(text)
    evaluation = Evaluation(compiled, asked)
    made = (issuers or Issuers()).run(evaluation.decide())
    recorded = Recorded(made.reason, made.rule, made.policy_hash, made.answers)
    again = replay(compiled, context(asked.request.method, asked.request.tool or "get_issue"), recorded)
    assert recorded.same_as(again), again
    return made, evaluation.draft


def bearing(text: str, **rest: Any) -> Context:
    """A request with a bearer token."""
    return context(headers={"authorization": f"Bearer {text}"}, **rest)
