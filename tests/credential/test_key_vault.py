"""A secret is fetched from the vault that is named, as mcpgov, once in a load; nothing of it stands in an error."""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, field

import pytest

from mcpgov.credential.key_vault import MAX_ANSWER, KeyVault
from mcpgov.credential.references import Unfit
from mcpgov.decision import Reason
from mcpgov.errors import Refusal
from mcpgov.models import Headers, Secret
from mcpgov.web import Fields, WebAnswer, WebUnavailable

VAULT = "https://contoso.vault.azure.net/secrets"
GOOD = json.dumps({"value": "s3cret", "id": f"{VAULT}/pat/0", "attributes": {"enabled": True}}).encode()


@dataclass
class Vaults:
    """A Web in memory: answers every GET alike, and remembers it."""

    status: int = 200
    body: bytes = GOOD
    down: bool = False
    asked: list[tuple[str, Fields, bool]] = field(default_factory=list[tuple[str, Fields, bool]])

    async def get(self, url: str, headers: Fields = (), *, private: bool = False) -> WebAnswer:
        """The answer that was prepared."""
        self.asked.append((url, headers, private))
        if self.down:
            raise WebUnavailable("contoso.vault.azure.net did not answer in time")
        return WebAnswer(self.status, Headers(), self.body)

    async def post(
        self, url: str, form: Mapping[str, str], headers: Fields = (), *, private: bool = False
    ) -> WebAnswer:
        """Nothing is posted to a vault."""
        raise AssertionError((url, form, headers, private))


@dataclass
class Tokens:
    """Gives a token for each audience, or none."""

    refused: bool = False
    audiences: list[str] = field(default_factory=list[str])

    async def __call__(self, audience: str) -> Secret:
        """The token."""
        self.audiences.append(audience)
        if self.refused:
            raise Refusal(Reason.CREDENTIAL_UNAVAILABLE, "No token.", detail="AADSTS700016")
        return Secret("t0ken")


def refused(web: Vaults, tokens: Tokens, url: str = f"{VAULT}/pat") -> Unfit:
    with pytest.raises(Unfit) as caught:
        KeyVault(web, tokens).fetch(url)
    assert caught.value.mend
    assert not any(secret in f"{caught.value} {caught.value.mend}" for secret in ("s3cret", "t0ken"))
    return caught.value


def test_a_secret_is_asked_for_with_a_token_for_key_vault() -> None:
    web, tokens = Vaults(), Tokens()
    assert KeyVault(web, tokens).fetch(f"{VAULT}/pat") == "s3cret"
    assert tokens.audiences == ["https://vault.azure.net"]
    assert web.asked == [(f"{VAULT}/pat?api-version=7.4", (("authorization", "Bearer t0ken"),), False)]


def test_each_secret_is_asked_for_once() -> None:
    web = Vaults()
    vault = KeyVault(web, Tokens())
    assert [vault.fetch(f"{VAULT}/{name}") for name in ("a", "b", "a", "a")] == ["s3cret"] * 4
    assert len(web.asked) == 2


async def test_files_may_be_loaded_where_an_event_loop_runs() -> None:
    assert asyncio.get_running_loop().is_running()
    assert KeyVault(Vaults(), Tokens()).fetch(f"{VAULT}/pat") == "s3cret"


@pytest.mark.parametrize("cloud", ["vault.azure.net", "vault.azure.cn", "vault.usgovcloudapi.net"])
def test_the_token_is_made_out_for_the_vaults_own_cloud(cloud: str) -> None:
    tokens = Tokens()
    KeyVault(Vaults(), tokens).fetch(f"https://Contoso.{cloud}/secrets/pat")
    assert tokens.audiences == [f"https://{cloud}"]


@pytest.mark.parametrize(
    "host",
    [
        "vault.azure.net",
        "vault.azure.net.evil.example",
        "contoso.vault.azure.net:8443",
        "a.contoso.vault.azure.net",
        "contosovault.azure.net",
        "127.0.0.1",
    ],
)
def test_no_token_goes_to_another_host(host: str) -> None:
    web, tokens = Vaults(), Tokens()
    assert "which is no Key Vault" in str(refused(web, tokens, f"https://{host}/secrets/pat"))
    assert (web.asked, tokens.audiences) == ([], [])


def test_a_private_vault_may_be_anywhere() -> None:
    web, tokens = Vaults(), Tokens()
    assert KeyVault(web, tokens, private=True).fetch("https://127.0.0.1:8443/secrets/pat") == "s3cret"
    assert tokens.audiences == ["https://vault.azure.net"]
    assert web.asked[0][2]


@pytest.mark.parametrize(
    ("status", "says"),
    [
        (401, "does not know mcpgov's identity"),
        (403, "lets mcpgov not read it"),
        (404, "does not have it"),
        (302, "answered 302"),
        (429, "answered 429"),
        (500, "answered 500"),
    ],
)
def test_a_vault_that_gives_nothing_is_told_from_one_that_is_down(status: int, says: str) -> None:
    assert says in str(refused(Vaults(status), Tokens()))


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b"{", b"[]", b"null", b'"s3cret"', b"{}", b'{"value": null}', b'{"value": 7}', b"\xff"),
        *(b"[" * 30_000, json.dumps({"value": "s3cret" * MAX_ANSWER}).encode()),
    ],
)
def test_an_answer_that_is_no_secret_is_refused(body: bytes) -> None:
    assert "no Key Vault" in str(refused(Vaults(body=body), Tokens()))


@pytest.mark.parametrize(
    ("web", "tokens", "says"),
    [
        (Vaults(down=True), Tokens(), "cannot be asked: contoso.vault.azure.net did not answer in time"),
        (Vaults(500), Tokens(), "which answered 500"),
        (Vaults(), Tokens(refused=True), "gets no token: AADSTS700016"),
    ],
)
def test_a_vault_that_does_not_answer_is_not_asked_for_each_secret(web: Vaults, tokens: Tokens, says: str) -> None:
    vault = KeyVault(web, tokens)
    for name in ("a", "b", "c"):
        with pytest.raises(Unfit, match=says):
            vault.fetch(f"{VAULT}/{name}")
    assert len(tokens.audiences) == 1


def test_one_secret_that_is_missing_does_not_hide_the_others() -> None:
    web = Vaults(404)
    vault = KeyVault(web, Tokens())
    for _ in range(2):
        with pytest.raises(Unfit, match="does not have it"):
            vault.fetch(f"{VAULT}/a")
    assert len(web.asked) == 1
    web.status = 200
    assert vault.fetch(f"{VAULT}/b") == "s3cret"
