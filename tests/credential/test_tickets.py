"""Who is given a link, what it holds, and for how long."""

from dataclasses import replace

import pytest

from mcpgov.credential.browser_sign_in import BrowserSignIn, Person
from mcpgov.credential.tickets import ConsentLinks, Ticket, plain_of, redirect_url, ticket_of
from mcpgov.credential.vault import client_digest
from mcpgov.decision import Reason
from mcpgov.models import Principal, PrincipalKind
from tests.credential.consenting import ALICE, CLIENT, GATEWAY, HOLDER, ISSUER, KEY, SIGN_IN, House, github

TENANT = "11111111-2222-3333-4444-555555555555"
ENTRA = BrowserSignIn(f"https://login.microsoftonline.com/{TENANT}/v2.0", "", "mcpgov", tenant_id=TENANT)
CAROL = Principal(
    "entra:carol",
    PrincipalKind.AGENT_ON_BEHALF,
    "Carol",
    tenant_id=TENANT,
    object_id="oid-1",
    issuer="sts",
    subject="x",
)


def opened(house: House, link: str) -> Ticket | None:
    """The ticket in a link."""
    return house.links.open(link.removeprefix(f"{GATEWAY}/consent/"))


@pytest.mark.parametrize("principal", [ALICE, HOLDER])
def test_a_link_holds_who_called_for_what(principal: Principal) -> None:
    house = House()
    refusal = house.links.required(github(), principal)
    ticket = opened(house, refusal.link)
    assert ticket is not None
    assert (ticket.principal, ticket.name, ticket.connection) == (principal.id, principal.name, "github")
    assert (ticket.by_key, ticket.entra) == (principal is HOLDER, False)
    assert refusal.reason is Reason.CONSENT_REQUIRED


def test_a_link_tells_nothing_to_whoever_finds_it_and_no_two_are_alike() -> None:
    house = House()
    links = {house.links.required(github(), ALICE).link for _ in range(3)}
    assert len(links) == 3
    assert not any("alice" in link or "github" in link for link in links)


def test_a_link_is_good_for_ten_minutes() -> None:
    house = House()
    link = house.links.required(github(), ALICE).link
    house.clock.forward(599)
    assert opened(house, link)
    house.clock.forward(1)
    assert opened(house, link) is None


def test_a_link_of_another_gateway_is_none() -> None:
    house = House()
    other = ConsentLinks(GATEWAY, KEY[::-1], (SIGN_IN,), house.clock)
    assert opened(house, other.required(github(), ALICE).link) is None
    assert opened(house, f"{GATEWAY}/consent/github") is None


def test_a_state_is_no_link() -> None:
    house = House()
    assert house.links.open(house.links.states.close_text({"id": "x", "expires_at": 2**33})) is None


@pytest.mark.parametrize("principal", [CAROL, replace(ALICE, issuer="https://other.example.com")])
def test_where_nobody_can_prove_who_they_are_no_link_is_given(principal: Principal) -> None:
    refusal = House().links.required(github(), principal)
    assert (refusal.reason, refusal.link) == (Reason.CONSENT_REQUIRED, "")
    assert "identity.entra.sign_in" in refusal.message


def test_each_caller_signs_in_where_their_token_came_from() -> None:
    house = House(sign_ins=(SIGN_IN, ENTRA))
    for principal, expected in ((ALICE, SIGN_IN), (CAROL, ENTRA)):
        ticket = opened(house, house.links.required(github(), principal).link)
        assert ticket is not None
        assert house.links.sign_in_of(ticket) is expected
        assert House(sign_ins=()).links.sign_in_of(ticket) is None


@pytest.mark.parametrize(
    "principal",
    [
        replace(ALICE, subject=""),
        replace(CAROL, object_id=""),
        replace(CAROL, tenant_id="other"),
        replace(ALICE, issuer=""),
    ],
)
def test_a_caller_without_the_claims_of_a_person_can_prove_nothing(principal: Principal) -> None:
    assert House(sign_ins=(SIGN_IN, ENTRA)).links.required(github(), principal).link == ""


def test_a_person_is_known_by_both_of_their_claims() -> None:
    house = House(sign_ins=(SIGN_IN, ENTRA))
    alice, carol = (opened(house, house.links.required(github(), who).link) for who in (ALICE, CAROL))
    assert alice is not None
    assert carol is not None
    assert alice.is_of(Person("", "", ISSUER, "alice"))
    assert carol.is_of(Person(TENANT, "oid-1", "anything", "pairwise"))
    for ticket, person in (
        (alice, Person("", "", ISSUER, "bob")),
        (alice, Person("", "", "https://other.example.com", "alice")),
        (alice, Person(TENANT, "oid-1", "", "")),
        (carol, Person(TENANT, "oid-2", "sts", "x")),
        (carol, Person("other", "oid-1", "sts", "x")),
        (replace(alice, issuer="", subject=""), Person("", "", "", "")),
    ):
        assert not ticket.is_of(person)


def test_who_stands_for_nobody_gets_the_page_that_explains() -> None:
    nobody = Principal("anonymous", PrincipalKind.ANONYMOUS)
    for refusal in (House().links.required(github(), nobody), House().links.user_required(github())):
        assert (refusal.reason, refusal.link) == (Reason.USER_REQUIRED, f"{GATEWAY}/consent/github")


def test_a_link_for_consent_at_entra_says_so() -> None:
    house = House()
    ticket = opened(house, house.links.entra_link(github(), CAROL))
    assert ticket is not None
    assert ticket.entra


def test_each_connection_has_a_redirect_url_of_its_own_and_issuers_share_one() -> None:
    links = House().links
    assert links.redirect_url() == redirect_url(GATEWAY) == "https://mcp.contoso.com/oauth/callback"
    assert links.redirect_url("github") == redirect_url(GATEWAY, "github")
    assert redirect_url(GATEWAY, "github") == "https://mcp.contoso.com/oauth/callback/github"


def test_a_link_holds_what_is_asked_for_and_of_whom() -> None:
    house = House()
    ticket = opened(house, house.links.required(github(), ALICE).link)
    assert ticket is not None
    assert ticket.client == client_digest(github(), CLIENT)


def test_a_ticket_without_members_is_nobodys_and_has_ended() -> None:
    for plain in ({}, {"expires_at": "9999999999", "principal": 7, "entra": "true"}):
        assert ticket_of(plain) == Ticket("", "", "", "", "", 0, "")


def test_a_ticket_is_read_back_whole() -> None:
    ticket = Ticket("a", "b", "c", "d", "e", 9, "f", entra=True, tenant_id="g", object_id="h", issuer="i", subject="j")
    assert ticket_of(plain_of(ticket)) == ticket
