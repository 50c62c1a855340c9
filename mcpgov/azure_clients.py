"""What is asked of Azure as mcpgov itself: secrets of Key Vault, and Azure Resource Manager.

A room of the composition root: app.py says how the host's identity is had. Nobody else imports it.
"""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

from mcpgov.credential.key_vault import KeyVault
from mcpgov.credential.references import Unfit
from mcpgov.extras import AZURE
from mcpgov.host_tokens import HostTokens
from mcpgov.publish.arm_caller import SCOPE, ArmCaller
from mcpgov.stage_settings import azure_identity
from mcpgov.trust import system_trust
from mcpgov.web import GuardedWeb

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime
    from typing import NoReturn

    from mcpgov.credential.references import Fetch
    from mcpgov.credential.tokens import AzureIdentity, HostIdentity
    from mcpgov.identity_settings import Azure
    from mcpgov.models import Secret

    Host = Callable[[AzureIdentity, ssl.SSLContext], HostIdentity]


def key_vault(azure: Azure, host: Host) -> Fetch:
    """How secrets are fetched from Key Vault, for one load of the files."""
    if not AZURE.installed:
        return without_azure
    identity, tls = azure_identity(azure), system_trust()
    own = host(identity, tls)

    async def token(audience: str) -> Secret:
        return (await own.token(f"{audience}/.default", identity.managed_identity)).secret

    return KeyVault(GuardedWeb(tls), token, private=azure.private).fetch


def without_azure(url: str) -> NoReturn:
    """What says at each reference that no Key Vault can be asked from this installation. Raises Unfit."""
    raise Unfit(f"names {url}, and {AZURE.package} is not installed", AZURE.mend)


def arm_caller(azure: Azure, host: Host, now: Callable[[], datetime]) -> ArmCaller:
    """What calls Azure Resource Manager as the host's identity."""
    identity, tls = azure_identity(azure), system_trust()
    tokens = HostTokens(host(identity, tls), SCOPE, identity.managed_identity, now)
    return ArmCaller(GuardedWeb(tls, deadline=30.0), tokens)
