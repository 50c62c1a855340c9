"""From the link to the vault: who opens a link proves to be its caller, each step once, and nothing is kept before."""

from collections.abc import AsyncGenerator
from dataclasses import replace
from urllib.parse import parse_qsl, urlsplit

import pytest

from mcpgov.credential.consent import TRIES, Step
from mcpgov.errors import StoreUnavailable
from mcpgov.models import CallerToken, Connection, LocalUpstream, OAuthClient, Secret, SignIn
from tests.credential.consent_scene import CALLBACK, ELSEWHERE, ENTRA, HERE, HIS_KEY, OWN_CALLBACK, Scene
from tests.credential.consenting import CLIENT, GATEWAY, HOLDER, House, github
from tests.peers.authorization_server import AuthorizationServer
from tests.peers.web_peer import json_answer


@pytest.fixture
async def scene() -> AsyncGenerator[Scene]:
    async with AuthorizationServer() as issuer, AuthorizationServer() as server:
        yield Scene(issuer, server)


# -- the whole way -----------------------------------------------------------------------------------------------------


async def test_a_user_signs_in_agrees_and_is_never_asked_again(scene: Scene) -> None:
    done = await scene.back(await scene.follow(await scene.signed_in(), "alice-at-github"))
    assert done.page == "done"
    assert await scene.kept(scene.user) == "alice-at-github"
    assert (await scene.oauth.token(scene.connections["github"], scene.user)).secret.reveal() in scene.server.access
    ((event, told),) = scene.notes
    where = {"source": "203.0.113.7", "correlation_id": "request-of-browser-1"}
    assert event == "consent-given"
    assert told.pop("link")
    assert told == {"principal": scene.user.id, "connection": "github", "detail": "read", **where}


async def test_the_holder_of_a_key_shows_it_and_agrees(scene: Scene) -> None:
    done = await scene.back(await scene.follow(await scene.with_key(), "build-at-github"))
    assert done.page == "done"
    assert await scene.kept(HOLDER) == "build-at-github"


async def test_a_person_is_told_what_they_agree_to(scene: Scene) -> None:
    asked = await scene.consents.show(scene.link(), HERE)
    facts = {name: value for name, value in asked.facts.items() if name != "form"}
    assert facts == {
        "name": "Alice",
        "principal": "oidc:alice",
        "connection": "github",
        "server": "api.example.com",
        "entry": "com.contoso/github",
        "asks_at": urlsplit(scene.server.url).netloc,
        "scopes": "read",
        "proof": "sign-in",
        "issuer": urlsplit(scene.issuer.url).netloc,
    }
    assert (await scene.consents.show(scene.link(HOLDER), HERE)).facts["proof"] == "key"


async def test_a_server_that_mcpgov_starts_goes_by_its_name(scene: Scene) -> None:
    local = replace(scene.connections["github"], upstream=LocalUpstream(("server",)))
    scene.connections["github"] = local
    assert (await scene.consents.show(scene.link(), HERE)).facts["server"] == "com.contoso/github"


async def test_looking_at_a_link_changes_nothing(scene: Scene) -> None:
    link = scene.link()
    for _ in range(3):
        assert (await scene.consents.show(link, ELSEWHERE)).page == "ask"
    assert scene.rows.spent == {}
    assert (await scene.send_form(link)).page == "leaving"


# -- somebody else's link ----------------------------------------------------------------------------------------------


async def test_one_user_cannot_use_the_link_of_another(scene: Scene) -> None:
    step = await scene.signed_in("bob")
    assert (step.page, step.leads_to) == ("other-person", "")
    assert scene.server.ledger == []
    assert await scene.kept(scene.user) == ""
    assert [event for event, _ in scene.notes] == ["consent-refused"]


async def test_one_key_cannot_use_the_link_of_another(scene: Scene) -> None:
    step = await scene.send_form(scene.link(HOLDER), key="mcpgov_hers")
    assert (step.page, step.leads_to) == ("other-person", "")
    assert "mcpgov_hers" not in repr(scene.notes)


async def test_a_wrong_key_is_told_and_may_be_mended(scene: Scene) -> None:
    link = scene.link(HOLDER)
    assert (await scene.send_form(link, key="oops")).page == "wrong-key"
    assert (await scene.send_form(link)).page == "wrong-key"
    assert (await scene.send_form(link, key=HIS_KEY)).page == "leaving"
    scene.keys_fail = True
    assert (await scene.send_form(scene.link(HOLDER), key=HIS_KEY)).page == "unavailable"


# -- another browser, another time -------------------------------------------------------------------------------------


async def test_a_form_is_good_in_the_browser_and_for_the_link_that_it_was_shown_for(scene: Scene) -> None:
    link, other = scene.link(), scene.link()
    form = (await scene.consents.show(link, HERE)).facts["form"]
    for opened, browser, fields in (
        (link, ELSEWHERE, {"form": form}),
        (other, HERE, {"form": form}),
        (link, HERE, {"form": form[:-1]}),
        (link, HERE, {}),
    ):
        assert (await scene.consents.proceed(opened, browser, fields)).page == "not-yours"


async def test_an_answer_is_good_in_the_browser_that_asked_and_once(scene: Scene) -> None:
    query = await scene.follow(await scene.with_key(), "build")
    assert (await scene.back(query, ELSEWHERE)).page == "not-yours"
    assert (await scene.back({**query, "state": query["state"][:-1]})).page == "not-yours"
    assert (await scene.back({"code": query["code"]})).page == "not-yours"
    assert await scene.kept(HOLDER) == ""
    assert (await scene.back(query)).page == "done"
    assert (await scene.back(query)).page == "expired"
    assert len(scene.server.asked("/token")) == 1


async def test_a_link_leads_on_once(scene: Scene) -> None:
    link = scene.link(HOLDER)
    form = (await scene.consents.show(link, HERE)).facts["form"]
    assert (await scene.send_form(link, key=HIS_KEY)).page == "leaving"
    assert (await scene.consents.show(link, HERE)).page == "expired"
    assert (await scene.consents.proceed(link, HERE, {"form": form, "key": HIS_KEY})).page == "expired"


async def test_a_form_is_no_state_and_a_state_no_form(scene: Scene) -> None:
    link = scene.link(HOLDER)
    form = (await scene.consents.show(link, HERE)).facts["form"]
    assert (await scene.back({"state": form, "code": "x"})).page == "not-yours"
    sealed = scene.links.states.close_text({"ticket": "x"}, "state", HERE.browser)
    assert (await scene.back({"state": sealed, "code": "x"})).page == "not-yours"


async def test_after_ten_minutes_a_link_is_over_and_after_fifteen_an_answer(scene: Scene) -> None:
    link = scene.link(HOLDER)
    form = (await scene.consents.show(link, HERE)).facts["form"]
    query = await scene.follow(await scene.with_key(), "build")
    scene.clock.forward(600)
    assert (await scene.consents.show(link, HERE)).page == "expired"
    assert (await scene.consents.proceed(link, HERE, {"form": form, "key": HIS_KEY})).page == "expired"
    scene.clock.forward(300)
    assert (await scene.back(query)).page == "expired"


async def test_the_name_of_a_connection_in_place_of_a_ticket_gets_the_explanation_whether_there_is_one(
    scene: Scene,
) -> None:
    for name in ("github", "none-such"):
        assert await scene.consents.show(name, HERE) == Step("explained")
    assert (await scene.consents.show("x" * 63, HERE), (await scene.consents.show("x" * 64, HERE)).page) == (
        Step("explained"),
        "expired",
    )


# -- what goes wrong on the way ----------------------------------------------------------------------------------------


async def test_a_user_who_says_no_is_believed(scene: Scene) -> None:
    query = await scene.follow(await scene.with_key(), "build")
    denied = {"state": query["state"], "error": "access_denied", "error_description": "<b>no"}
    step = await scene.back(denied)
    assert (step.page, step.facts["why"]) == ("denied", "access_denied")
    assert [event for event, _ in scene.notes] == ["consent-refused"]
    assert (await scene.back(query)).page == "expired"


async def test_an_error_code_that_is_none_is_not_shown(scene: Scene) -> None:
    query = await scene.follow(await scene.with_key(), "build")
    step = await scene.back({"state": query["state"], "error": 'say "hello"'})
    assert step.facts["why"] == "unknown"


@pytest.mark.parametrize("issuer", ["https://evil.example.com", "http://[", ""])
async def test_an_answer_that_names_another_issuer_is_refused(scene: Scene, issuer: str) -> None:
    query = await scene.follow(await scene.with_key(), "build")
    assert (await scene.back({**query, "iss": issuer})).page == "sign-in-failed"
    asked = await scene.follow(await scene.send_form(scene.link()), "alice")
    assert (await scene.back({**asked, "iss": issuer})).page == "sign-in-failed"
    assert scene.server.asked("/token") == scene.issuer.asked("/token") == []


@pytest.mark.parametrize(
    ("status", "content", "page"),
    [
        (400, {"error": "invalid_grant"}, "sign-in-failed"),
        (401, {"error": "invalid_client"}, "sign-in-failed"),
        (500, {}, "unavailable"),
        (503, {"error": "temporarily_unavailable"}, "unavailable"),
        (200, {"access_token": ""}, "unavailable"),
    ],
)
async def test_a_server_that_gives_no_tokens_is_told_and_nothing_is_kept(
    scene: Scene, status: int, content: dict[str, str], page: str
) -> None:
    query = await scene.follow(await scene.with_key(), "build")
    scene.server.fail("/token", json_answer(status, content), times=None)
    assert (await scene.back(query)).page == page
    assert await scene.kept(HOLDER) == ""


async def test_an_issuer_that_is_down_is_told(scene: Scene) -> None:
    await scene.issuer.close()
    assert (await scene.send_form(scene.link())).page == "unavailable"


async def test_an_issuer_that_is_not_the_one_it_says_is_refused(scene: Scene) -> None:
    wrong = {"issuer": "https://x", "authorization_endpoint": "https://x/a", "token_endpoint": "https://x/t"}
    scene.issuer.fail("openid-configuration", json_answer(200, wrong))
    assert (await scene.send_form(scene.link())).page == "sign-in-failed"


async def test_what_cannot_be_written_down_is_not_kept(scene: Scene) -> None:
    query = await scene.follow(await scene.with_key(), "build")
    scene.note_fails = True
    assert (await scene.back(query)).page == "unavailable"
    assert await scene.kept(HOLDER) == ""
    assert (await scene.send_form(scene.link(HOLDER), key="oops")).page == "unavailable"


async def test_a_vault_that_is_down_stops_every_step(scene: Scene) -> None:
    query = await scene.follow(await scene.with_key(), "build")
    scene.rows.failure = StoreUnavailable("disk full")
    assert (await scene.with_key()).page == "unavailable"
    assert (await scene.back(query)).page == "unavailable"


@pytest.mark.parametrize("now", [None, github(None), github(replace(CLIENT, per_user=False))])
async def test_a_connection_that_no_longer_asks_its_users_is_told(scene: Scene, now: Connection | None) -> None:
    link = scene.link(HOLDER)
    form = (await scene.consents.show(link, HERE)).facts["form"]
    query = await scene.follow(await scene.with_key(), "build")
    del scene.connections["github"]
    if now is not None:
        scene.connections["github"] = now
    assert (await scene.consents.show(link, HERE)).page == "gone"
    assert (await scene.consents.proceed(link, HERE, {"form": form, "key": HIS_KEY})).page == "gone"
    assert (await scene.back(query)).page == "gone"


async def test_an_issuer_that_is_no_longer_set_up_is_told(scene: Scene) -> None:
    link = scene.link()
    query = await scene.follow(await scene.send_form(link), "alice")
    consents = replace(scene.consents, links=House(sign_ins=()).links)
    shown = await consents.show(link, HERE)
    assert shown.facts["proof"] == "none"
    assert (await consents.proceed(link, HERE, {"form": shown.facts["form"]})).page == "gone"
    assert (await consents.come_back("", query, HERE)).page == "gone"


# -- at Microsoft Entra ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "sign_in",
    [SignIn(audience="api://search"), SignIn(caller_token=CallerToken("x-user", "api://search"))],
    ids=["UserEntraToken", "callerToken"],
)
async def test_consent_at_entra_keeps_nothing_here(scene: Scene, sign_in: SignIn) -> None:
    connection = replace(scene.connections["github"], sign_in=sign_in)
    scene.connections["github"] = connection
    link = scene.links.entra_link(connection, scene.user).removeprefix(f"{GATEWAY}/consent/")
    assert (await scene.consents.show(link, HERE)).page == "gone"  # without an app registration nobody can consent
    scene.consents = consents = replace(scene.consents, entra=ENTRA)
    shown = await consents.show(link, HERE)
    assert (shown.facts["scopes"], shown.facts["proof"]) == ("api://search/.default", "sign-in")
    asked = await scene.follow(await consents.proceed(link, HERE, {"form": shown.facts["form"]}), "alice")
    away = await scene.back(asked)
    sent = dict(parse_qsl(urlsplit(away.leads_to).query))
    assert (sent["client_id"], sent["scope"]) == ("app-1", "api://search/.default")
    assert sent["redirect_uri"] == CALLBACK  # azure.app has one for every connection: its code is never redeemed
    done = await consents.come_back("", {"state": sent["state"], "code": "never-redeemed"}, HERE)
    assert done.page == "done"
    assert scene.rows.rows == {}
    assert [event for event, _ in scene.notes] == ["consent-given"]


async def test_somebody_else_does_not_consent_at_entra_in_the_callers_name(scene: Scene) -> None:
    scene.connections["github"] = connection = replace(scene.connections["github"], sign_in=SignIn(audience="api://s"))
    link = scene.links.entra_link(connection, scene.user).removeprefix(f"{GATEWAY}/consent/")
    scene.consents = replace(scene.consents, entra=ENTRA)
    assert (await scene.back(await scene.follow(await scene.send_form(link), "bob"))).page == "other-person"
    assert [event for event, _ in scene.notes] == ["consent-refused"]


async def test_where_nobody_is_asked_who_they_are_no_consent_is_claimed(scene: Scene) -> None:
    scene.connections["github"] = connection = replace(scene.connections["github"], sign_in=SignIn(audience="api://s"))
    links = House(sign_ins=()).links
    link = links.entra_link(connection, scene.user).removeprefix(f"{GATEWAY}/consent/")
    scene.consents = consents = replace(scene.consents, entra=ENTRA, links=links)
    for code, page in ((None, "sign-in-failed"), ("never-redeemed", "returned")):
        link = links.entra_link(connection, scene.user).removeprefix(f"{GATEWAY}/consent/")
        away = await scene.send_form(link)
        state = dict(parse_qsl(urlsplit(away.leads_to).query))["state"]
        assert (await consents.come_back("", {"state": state, **({"code": code} if code else {})}, HERE)).page == page
    assert [event for event, _ in scene.notes] == ["consent-refused", "consent-page-returned"]


# -- one authorization server in place of another ----------------------------------------------------------------------


@pytest.mark.parametrize("connection", ["", "other", "evil"])
async def test_a_code_that_comes_back_to_another_redirect_url_goes_nowhere(scene: Scene, connection: str) -> None:
    query = await scene.follow(await scene.with_key(), "build")
    assert (await scene.consents.come_back(connection, query, HERE)).page == "sign-in-failed"
    assert (await scene.back(query)).page == "expired"  # the state is used up
    assert scene.server.asked("/token") == []
    assert [told["detail"] for _, told in scene.notes] == [
        "it came back to another redirect URL",
        "the answer came a second time",
    ]


async def test_each_connection_has_a_redirect_url_of_its_own_and_sign_in_has_one(scene: Scene) -> None:
    first = await scene.send_form(scene.link())
    assert dict(parse_qsl(urlsplit(first.leads_to).query))["redirect_uri"] == CALLBACK
    second = await scene.back(await scene.follow(first, "alice"))
    assert dict(parse_qsl(urlsplit(second.leads_to).query))["redirect_uri"] == OWN_CALLBACK


async def test_what_changes_on_the_way_sends_no_code_to_the_new_server(scene: Scene) -> None:
    link = scene.link(HOLDER)
    query = await scene.follow(await scene.with_key(), "build")
    moved = replace(scene.client, token_url="https://evil.example.com/token")
    scene.connections["github"] = github(moved)
    assert (await scene.consents.show(link, HERE)).page == "gone"
    assert (await scene.back(query)).page == "gone"
    assert [(event, told["detail"]) for event, told in scene.notes] == [
        ("consent-refused", "the connection no longer asks for this")
    ]


# -- how often ---------------------------------------------------------------------------------------------------------


async def test_a_link_has_few_tries_and_then_the_right_key_is_too_late(scene: Scene) -> None:
    link = scene.link(HOLDER)
    for _ in range(TRIES):
        assert (await scene.send_form(link, key="oops")).page == "wrong-key"
    for _ in range(3):
        assert (await scene.send_form(link, key=HIS_KEY)).page == "expired"
    assert len(scene.notes) == TRIES


async def test_what_was_sent_again_is_written_down_once_however_often_it_comes(scene: Scene) -> None:
    query = await scene.follow(await scene.with_key(), "build")
    for page in ("done", "expired", "expired", "expired"):
        assert (await scene.back(query)).page == page
    assert [event for event, _ in scene.notes] == ["consent-given", "consent-refused"]


async def test_every_refusal_of_a_link_that_opened_is_written_down(scene: Scene) -> None:
    link = scene.link(HOLDER)
    assert (await scene.consents.proceed(link, HERE, {"form": "another"})).page == "not-yours"
    form = (await scene.consents.show(link, HERE)).facts["form"]
    assert (await scene.send_form(link, key=HIS_KEY)).page == "leaving"
    assert (await scene.consents.proceed(link, HERE, {"form": form, "key": HIS_KEY})).page == "expired"
    scene.connections.clear()
    assert (await scene.consents.proceed(link, HERE, {"form": form})).page == "gone"
    assert {event for event, _ in scene.notes} == {"consent-refused"}
    assert [told["detail"] for _, told in scene.notes] == [
        "the form of another browser or link",
        "the link was used before",
        "the connection no longer asks for this",
    ]
    assert len({told["link"] for _, told in scene.notes}) == 1


def test_neither_a_step_nor_a_state_prints_what_it_holds() -> None:
    assert "s3cret" not in repr(Step("leaving", {}, "https://a.example/?state=s3cret"))
    assert "client-secret" not in repr(OAuthClient("c", Secret("client-secret"), "https://a.example/token"))
