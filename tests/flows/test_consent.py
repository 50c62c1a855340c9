"""Two users, one connection: each call carries its own user's token, and nobody gets another one's."""

import re
from collections.abc import AsyncGenerator
from pathlib import Path
from urllib.parse import urlencode

import httpx2
import mcp
import mcp_types as types
import pytest
from mcp.client.streamable_http import streamable_http_client
from starlette.responses import Response

from tests.flows.consenting import Town, eliciting_call, link_in, town
from tests.peers.authorization_server import AuthorizationServer
from tests.peers.web_peer import redirect


@pytest.fixture
async def place(tmp_path: Path) -> AsyncGenerator[Town]:
    async with town(tmp_path) as built:
        yield built


async def test_each_user_is_asked_once_and_each_call_carries_its_own_users_token(place: Town) -> None:
    for user in ("alice", "bob"):
        client = await place.caller(user)
        async with place.person(user) as person:
            assert (await person.agree(link_in(await eliciting_call(client)))).title == "Done"
    answer = {"io.github.mcpgov/consent": {"action": "accept"}}
    for user in ("alice", "bob", "alice"):
        reply = await eliciting_call(await place.caller(user), inputResponses=answer)
        assert reply.message["result"]["content"][0]["text"].startswith("Kyoto")
    assert place.upstream.users == ["alice", "bob", "alice"]
    assert all(b"inputResponses" not in seen.body for seen in place.upstream.ledger)
    assert place.server.consents == [("alice", "gateway"), ("bob", "gateway")]


async def test_no_token_of_a_caller_reaches_the_upstream_or_the_server_that_is_asked(place: Town) -> None:
    client = await place.caller("alice")
    async with place.person("alice") as person:
        await person.agree(link_in(await eliciting_call(client)))
    await eliciting_call(client)
    caller = client.headers["Authorization"].removeprefix("Bearer ")
    crossed = [seen.headers.get("authorization", "") for seen in place.upstream.ledger]
    crossed += [str(asked) for asked in place.server.ledger]
    assert crossed
    assert not any(caller in text for text in crossed)


async def test_what_is_revoked_at_its_server_is_asked_for_again(place: Town) -> None:
    client = await place.caller("alice")
    async with place.person("alice") as person:
        await person.agree(link_in(await eliciting_call(client)))
        assert "content" in (await eliciting_call(client)).message["result"]
        place.server.revoke_everything_of("alice")
        refused = await eliciting_call(client)
        assert refused.message["error"]["data"]["reason"] == "upstream-unauthorized"  # and never called twice
        assert (await person.agree(link_in(await eliciting_call(client)))).title == "Done"
    assert "content" in (await eliciting_call(client)).message["result"]
    assert place.upstream.users == ["alice", "", "alice"]
    assert [user for user, _ in place.server.consents] == ["alice", "alice"]


async def test_a_token_whose_time_is_over_is_renewed_and_nobody_is_asked(place: Town) -> None:
    client = await place.caller("alice")
    place.server.lifetime = 0  # the next token is over when it is issued
    async with place.person("alice") as person:
        await person.agree(link_in(await eliciting_call(client)))
    place.server.lifetime = 3600
    assert "content" in (await eliciting_call(client)).message["result"]
    assert [asked.form["grant_type"] for asked in place.server.asked("/token")] == [
        "authorization_code",
        "refresh_token",
    ]
    assert len(place.server.consents) == 1


async def test_bob_cannot_use_the_link_of_alice(place: Town) -> None:
    link = link_in(await eliciting_call(await place.caller("alice")))
    async with place.person("bob") as bob:
        page = await bob.agree(link)
        assert (page.status, page.title) == (403, "This link is somebody else's")
        own = link_in(await eliciting_call(await place.caller("bob")))
        assert (await bob.agree(own)).title == "Done"
    assert link_in(await eliciting_call(await place.caller("alice")))
    event = await place.house.event("consent-refused")
    assert "alice" in str(event)


async def test_a_key_holder_shows_the_key_and_agrees(place: Town) -> None:
    key, other = await place.house.key("build"), await place.house.key("other")
    client = await place.caller(key=key)
    link = link_in(await eliciting_call(client))
    async with place.person("robot") as person:
        assert (await person.agree(link, key=other)).title == "This link is somebody else's"
        assert (await person.agree(link, key="mcpgov_wrong")).title == "That is not a valid key"
        assert (await person.agree(link, key=key)).title == "Done"
    assert "content" in (await eliciting_call(client)).message["result"]
    assert place.upstream.users == ["robot"]


async def test_an_answer_that_is_sent_again_and_a_link_that_is_used_again_are_refused(place: Town) -> None:
    link = link_in(await eliciting_call(await place.caller("alice")))
    async with place.person("alice") as person, place.person("alice") as elsewhere:
        done = await person.agree(link)
        assert (await person.open(done.url)).title == "This link is over"
        assert (await elsewhere.open(done.url)).title == "This did not begin here"
        assert (await person.open(link)).title == "This link is over"
    assert len(place.server.asked("/token")) == 1


async def test_a_hostile_server_gets_no_code_of_an_honest_one(place: Town) -> None:
    """The mix-up of authorization servers (RFC 9700 section 4.4): ours sends the browser on, with our state."""
    async with AuthorizationServer(auto_user="alice") as honest:
        honest.register("public", "", f"{place.house.url}/oauth/callback/honest")

        def sends_on() -> Response:
            asked = place.server.ledger[-1].query
            back = {"client_id": "public", "redirect_uri": f"{place.house.url}/oauth/callback/honest"}
            return redirect(f"{honest.url}/authorize?{urlencode({**asked, **back})}")

        place.server.fail("/authorize", sends_on)
        async with place.person("alice") as person:
            page = await person.agree(link_in(await eliciting_call(await place.caller("alice"))))
        assert page.title == "It did not work"
        assert honest.consents
    assert place.server.asked("/token") == []
    event = await place.house.event("consent-refused")
    assert event["mcpgov.control.detail"] == "it came back to another redirect URL"


async def test_what_people_do_is_recorded_with_where_they_are(place: Town) -> None:
    async with place.person("alice") as person:
        await person.agree(link_in(await eliciting_call(await place.caller("alice"))))
    event = await place.house.event("consent-given")
    assert event["mcpgov.control.source"] == "127.0.0.1"
    assert re.fullmatch("[0-9a-f]{32}", str(event["mcpgov.control.correlation_id"]))


async def test_a_client_that_cannot_open_links_is_told_in_words(place: Town) -> None:
    client = await place.caller("alice")
    told = (await client.call("get_city")).message["result"]
    assert told["isError"]
    assert f"{place.house.url}/consent/" in told["content"][0]["text"]
    error = (await client.handshake_request("tools/list")).message["error"]
    assert error["code"] == -32042
    assert error["data"]["elicitations"][0]["url"].startswith(f"{place.house.url}/consent/")


@pytest.mark.parametrize("code", ["access_denied", "invalid_scope", "server_error", "temporarily_unavailable", "x"])
async def test_every_error_of_the_server_is_shown_and_keeps_nothing(place: Town, code: str) -> None:
    client = await place.caller("alice")

    def says_no() -> Response:
        asked = place.server.ledger[-1].query
        answer = {"state": asked["state"], "error": code, "error_description": "<script>alert(1)</script>"}
        return redirect(f"{asked['redirect_uri']}?{urlencode(answer)}")

    place.server.fail("/authorize", says_no)
    async with place.person("alice") as person:
        page = await person.agree(link_in(await eliciting_call(client)))
    assert (page.status, page.title) == (403, "Permission was not given")
    assert code in page.text
    assert "<script" not in page.text
    assert link_in(await eliciting_call(client))


async def test_the_sdks_client_is_asked_opens_the_link_and_goes_on_by_itself(place: Town) -> None:
    opened: list[str] = []
    async with place.person("alice") as person:

        async def elicited(context: object, params: types.ElicitRequestParams) -> types.ElicitResult:
            assert isinstance(params, types.ElicitRequestURLParams)
            opened.append((await person.agree(params.url)).title)
            return types.ElicitResult(action="accept")

        bearer = {"Authorization": f"Bearer {place.token('alice')}"}
        async with httpx2.AsyncClient(headers=bearer) as http:
            transport = streamable_http_client(f"{place.house.url}/mcp/city", http_client=http)
            async with mcp.Client(transport, mode="2026-07-28", elicitation_callback=elicited) as client:
                answer = await client.call_tool("get_city", {})
    assert opened == ["Done"]
    assert isinstance(answer.content[0], types.TextContent)
    assert answer.content[0].text.startswith("Kyoto")
    assert set(place.upstream.users) == {"alice"}
