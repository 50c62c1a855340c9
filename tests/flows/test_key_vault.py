"""A secret in a Key Vault, from the files to the connection: the host's identity, its token, the vault, over TLS."""

import asyncio
from collections.abc import AsyncGenerator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from mcpgov.credential.azure_tokens import AzureHost
from mcpgov.credential.key_vault import KeyVault
from mcpgov.credential.references import Fetch
from mcpgov.credential.tokens import AzureIdentity
from mcpgov.errors import InvalidConfiguration
from mcpgov.identity_settings import Azure
from mcpgov.models import Secret
from mcpgov.reload import Generations, ReloadResult, load_generation
from mcpgov.settings_file import Vaults, stand_ins
from mcpgov.web import GuardedWeb
from tests.peers.azure_host import IdentityHost
from tests.peers.azure_host import KeyVault as VaultPeer
from tests.peers.entra import Entra
from tests.peers.entra_tokens import TENANT, USER
from tests.peers.tls import Tls, throw_away_tls
from tests.peers.web_peer import json_answer

ENTRY = """\
name: com.contoso/github
upstream: https://mcp.contoso.com/
connections:
  github: { authType: CustomKeys, keys: { Authorization: "Bearer ${secret:VAULT/secrets/pat}" } }
  github-too: { authType: CustomKeys, keys: { X-Key: "${secret:VAULT/secrets/pat}" } }
"""


@pytest.fixture
def tls(tmp_path: Path) -> Tls:
    return throw_away_tls(tmp_path)


@pytest.fixture
async def vault(tls: Tls, monkeypatch: pytest.MonkeyPatch) -> AsyncGenerator[VaultPeer]:
    """A vault of the tenant, and beside us what gives this host an identity."""
    async with (
        Entra(tls) as entra,
        IdentityHost(entra=entra) as host,
        VaultPeer(tls, entra=entra, secrets={"pat": ["old"]}) as vault,
    ):
        for name, value in host.imds_environment.items():
            monkeypatch.setenv(name, value)
        yield vault


def asking(tls: Tls) -> Vaults:
    """How a vault is asked by a gateway that believes this authority."""

    def vaults(azure: Azure) -> Fetch:
        host = AzureHost(AzureIdentity(azure.tenant_id), tls.client_context(), lambda: datetime.now(UTC))

        async def token(audience: str) -> Secret:
            return (await host.token(f"{audience}/.default", azure.managed_identity)).secret

        return KeyVault(GuardedWeb(tls.client_context()), token, private=azure.private).fetch

    return vaults


def written(folder: Path, vault: VaultPeer, azure: str = "private: true") -> Path:
    """The settings file of a folder whose two connections take one secret from the vault."""
    (folder / "catalog").mkdir()
    (folder / "catalog" / "github.yaml").write_text(ENTRY.replace("VAULT", vault.url))
    place = folder / "mcpgov.yaml"
    place.write_text(f"azure: {{ tenant_id: {TENANT}, {azure} }}\n")
    return place


async def silent(_: ReloadResult) -> None:
    """A report that nobody reads."""


def keys(held: Generations) -> list[str]:
    return [connection.keys[0][1].reveal() for connection in held.current().connections.values()]


async def test_a_vault_that_is_down_keeps_what_is_in_force_and_a_rotation_is_taken_later(
    tmp_path: Path, vault: VaultPeer, tls: Tls
) -> None:
    place = written(tmp_path, vault)
    held = await asyncio.to_thread(Generations, place, silent, {}, asking(tls))
    assert keys(held) == ["Bearer old", "old"]
    assert len(vault.asked("/secrets/pat")) == 1
    before = held.current()
    await vault.close()
    result = await asyncio.to_thread(held.try_reload)
    assert all("comes from a Key Vault that cannot be asked" in problem.message for problem in result.problems)
    assert [Path(problem.file).name for problem in result.problems] == ["github.yaml"] * 2
    assert held.current() is before
    await vault.open()
    vault.secrets["pat"].append("new")
    assert (await asyncio.to_thread(held.try_reload)).problems == ()
    assert keys(held) == ["Bearer new", "new"]


async def test_a_start_without_its_secret_fails_with_the_place_of_the_reference(
    tmp_path: Path, vault: VaultPeer, tls: Tls
) -> None:
    place = written(tmp_path, vault)
    vault.readers = frozenset({USER})
    with pytest.raises(InvalidConfiguration, match=r"github\.yaml:4:58: .*lets mcpgov not read it"):
        await asyncio.to_thread(load_generation, place, {}, asking(tls))


async def test_the_token_is_not_sent_to_a_host_that_is_no_vault(tmp_path: Path, vault: VaultPeer, tls: Tls) -> None:
    place = written(tmp_path, vault, "identity: managed")
    with pytest.raises(InvalidConfiguration, match="which is no Key Vault"):
        await asyncio.to_thread(load_generation, place, {}, asking(tls))
    assert vault.asked("/secrets/pat") == []


async def test_the_token_does_not_follow_a_redirect(tmp_path: Path, vault: VaultPeer, tls: Tls) -> None:
    place = written(tmp_path, vault)
    vault.fail("/secrets/pat", json_answer(307, {}, {"location": f"{vault.url}/elsewhere"}))
    with pytest.raises(InvalidConfiguration, match="which answered 307"):
        await asyncio.to_thread(load_generation, place, {}, asking(tls))
    assert vault.asked("/elsewhere") == []


async def test_nothing_is_loaded_without_a_way_to_ask_and_verbs_that_need_no_secret_ask_nobody(
    tmp_path: Path, vault: VaultPeer
) -> None:
    place = written(tmp_path, vault)
    with pytest.raises(InvalidConfiguration, match="no Key Vault is asked here"):
        load_generation(place, {})
    assert list(load_generation(place, {}, stand_ins).connections) == ["github", "github-too"]
    assert vault.asked("/secrets/pat") == []
