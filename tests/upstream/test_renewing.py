"""A credential that the upstream refused is replaced once; a tools/call is told as refused and never sent twice."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from mcpgov.decision import Changes, Decision, Reason
from mcpgov.errors import Refusal
from mcpgov.models import Credential, Kind, MCPRequest, Secret
from mcpgov.upstream.answers import Answered
from mcpgov.upstream.local import LocalForwarder
from mcpgov.upstream.memory import MemoryUpstream, ScriptedAnswer
from mcpgov.upstream.renewing import Renewing
from mcpgov.upstream.switch import Upstreams
from tests.upstream.calls import ALLOWED, KEYED, bodiless, body_of, call, to
from tests.upstream.clients import remote_forwarder
from tests.upstream.loopback import OK, loopback

DENIED = ScriptedAnswer(401, "", headers=(("www-authenticate", 'Bearer error="invalid_token"'),))
CONSENT = b'{"jsonrpc":"2.0","id":1,"error":{"code":-32007,"message":"consent","data":{"link":"https://consent.example/?a=1"}}}'


def with_token(number: int, renewal: Tokens | None = None) -> Credential:
    headers = (("Authorization", Secret(f"Bearer token-{number}")),)
    return Credential("ProjectManagedIdentity", "test#test", headers, renewal=renewal)


@dataclass
class Tokens:
    """A renewal that gives numbered tokens, or fails; `same` gives the old one again."""

    fails: Refusal | None = None
    same: bool = False
    did: list[str] = field(default_factory=list[str])

    def reject(self) -> None:
        self.did.append("reject")

    async def credential(self) -> Credential:
        self.did.append("credential")
        if self.fails:
            raise self.fails
        return with_token(1 if self.same else 2, self)


@dataclass
class Stage:
    upstream: MemoryUpstream = field(default_factory=MemoryUpstream)
    tokens: Tokens = field(default_factory=Tokens)

    async def ask(self, *script: ScriptedAnswer | Refusal, request: MCPRequest | None = None) -> tuple[int, int]:
        self.upstream.script(*script)
        renewing, credential = Renewing(self.upstream), with_token(1, self.tokens)
        sending = renewing.forward(request or call("tools/list"), to("http://127.0.0.1/"), ALLOWED, credential)
        async with sending as answer:
            await body_of(answer)
            return answer.status, answer.attempts

    @property
    def shown(self) -> list[str]:
        return [sent.headers.get("authorization") for sent in self.upstream.ledger]


async def test_a_list_is_asked_for_again_with_the_new_token() -> None:
    stage = Stage()
    assert await stage.ask(DENIED) == (200, 2)
    assert (stage.shown, stage.tokens.did) == (["Bearer token-1", "Bearer token-2"], ["reject", "credential"])


async def test_a_tools_call_is_never_sent_twice_but_the_next_one_has_a_new_token() -> None:
    stage = Stage()
    with pytest.raises(Refusal, match="upstream-unauthorized"):
        await stage.ask(DENIED, request=call("tools/call"))
    assert (stage.shown, stage.tokens.did) == (["Bearer token-1"], ["reject"])


@pytest.mark.parametrize(
    "request_",
    [call("initialize"), call("notifications/initialized", request_id=None), bodiless(Kind.STREAM), bodiless(Kind.END)],
    ids=lambda request: f"{request.kind} {request.method}",
)
async def test_what_calls_no_tool_is_asked_for_again(request_: MCPRequest) -> None:
    stage = Stage()
    await stage.ask(DENIED, request=request_)
    assert stage.shown == ["Bearer token-1", "Bearer token-2"]


async def test_a_new_token_that_is_refused_too_ends_the_call() -> None:
    stage = Stage()
    with pytest.raises(Refusal, match="upstream-unauthorized"):
        await stage.ask(DENIED, DENIED)
    assert (len(stage.shown), stage.tokens.did) == (2, ["reject", "credential"])


async def test_the_same_token_is_not_shown_twice() -> None:
    stage = Stage(tokens=Tokens(same=True))
    with pytest.raises(Refusal, match="upstream-unauthorized"):
        await stage.ask(DENIED)
    assert len(stage.shown) == 1


async def test_where_no_new_token_can_be_had_the_call_says_so() -> None:
    stage = Stage(tokens=Tokens(Refusal(Reason.CREDENTIAL_UNAVAILABLE, "none")))
    with pytest.raises(Refusal, match="credential-unavailable"):
        await stage.ask(DENIED)
    assert len(stage.shown) == 1


@pytest.mark.parametrize(
    "script",
    [ScriptedAnswer(403, ""), ScriptedAnswer(407, ""), ScriptedAnswer(500, ""), Refusal(Reason.UPSTREAM_RESET, "gone")],
    ids=["403", "407", "500", "reset"],
)
async def test_no_other_failure_renews_anything(script: ScriptedAnswer | Refusal) -> None:
    stage = Stage()
    with pytest.raises(Refusal):
        await stage.ask(script)
    assert (len(stage.shown), stage.tokens.did) == (1, [])


async def test_keys_that_stand_in_the_catalog_are_not_shown_twice() -> None:
    upstream = MemoryUpstream()
    upstream.script(DENIED)
    with pytest.raises(Answered, match="upstream-unauthorized"):
        async with Renewing(upstream).forward(call("tools/list"), to("http://127.0.0.1/"), ALLOWED, KEYED):
            pass
    assert len(upstream.ledger) == 1


async def test_both_attempts_together_keep_the_one_time_out() -> None:
    upstream = MemoryUpstream()
    upstream.script(DENIED, ScriptedAnswer(ends=False))
    decision = Decision(Reason.ALLOWED, changes=Changes(timeout=0.5))
    sending = Renewing(upstream).forward(call("tools/list"), to("http://127.0.0.1/"), decision, with_token(1, Tokens()))
    with pytest.raises(Refusal, match="upstream-timeout"):
        async with sending as answer:
            await body_of(answer)
    assert len(upstream.ledger) == 2


async def test_a_consent_that_the_upstream_itself_asks_for_passes_untouched() -> None:
    upstream, tokens = MemoryUpstream(), Tokens()
    upstream.script(ScriptedAnswer(chunks=(CONSENT,)))
    sending = Renewing(upstream).forward(call(), to("http://127.0.0.1/"), ALLOWED, with_token(1, tokens))
    async with sending as answer:
        assert (answer.status, await body_of(answer)) == (200, CONSENT)
    assert tokens.did == []


async def test_a_real_upstream_gets_the_new_token_over_a_socket() -> None:
    async with loopback() as server:
        upstreams = Upstreams(remote_forwarder(), LocalForwarder())
        server.script(ScriptedAnswer(401, "text/plain", (b"no",)))
        sending = upstreams.forward(call("tools/list"), to(server.url), ALLOWED, with_token(1, Tokens()))
        async with sending as answer:
            assert (await body_of(answer), answer.attempts) == (OK, 2)
        assert [sent.headers.get("authorization") for sent in server.ledger] == ["Bearer token-1", "Bearer token-2"]
        await upstreams.close()
