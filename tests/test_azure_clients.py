"""Key Vault and Azure Resource Manager are asked as who the settings say, and not at all without the extra."""

import ssl
import sys
from datetime import UTC, datetime

import pytest

from mcpgov.azure_clients import arm_caller, key_vault
from mcpgov.credential.references import Unfit
from mcpgov.credential.tokens import AccessToken, AzureIdentity
from mcpgov.decision import Reason
from mcpgov.errors import Refusal
from mcpgov.identity_settings import Azure
from mcpgov.publish.arm import Call
from mcpgov.publish.arm_caller import CallRefused

GUID = "11111111-1111-2222-3333-444444444444"
AZURE = Azure.model_validate({"tenant_id": GUID, "managed_identity": GUID})
SECRET = "https://contoso.vault.azure.net/secrets/pat"


class Host:
    """A host that has no token."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []

    def __call__(self, azure: AzureIdentity, tls: ssl.SSLContext) -> "Host":
        assert azure.tenant_id == GUID
        assert tls
        return self

    async def token(self, scope: str, client_id: str) -> AccessToken:
        self.asked.append((scope, client_id))
        raise Refusal(Reason.CREDENTIAL_UNAVAILABLE, "No token.", detail="nobody is there")


def test_a_vault_is_asked_as_the_identity_of_the_settings() -> None:
    host = Host()
    with pytest.raises(Unfit):
        key_vault(AZURE, host)(SECRET)
    assert host.asked == [("https://vault.azure.net/.default", GUID)]


def test_without_the_extra_a_reference_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "azure.identity", None)
    host = Host()
    with pytest.raises(Unfit, match="azure-identity is not installed") as caught:
        key_vault(AZURE, host)(SECRET)
    assert caught.value.mend == "pip install 'mcpgov[azure]'"
    assert host.asked == []


async def test_azure_resource_manager_is_called_as_the_identity_of_the_settings() -> None:
    host = Host()
    with pytest.raises(CallRefused):
        await arm_caller(AZURE, host, lambda: datetime.now(UTC)).ask(Call("GET", "/subscriptions", "2022-12-01", {}))
    assert host.asked == [("https://management.azure.com/.default", GUID)]
