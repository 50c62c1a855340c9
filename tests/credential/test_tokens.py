"""An access token knows when it ends and when a new one is wanted, and does not print."""

from datetime import UTC, datetime, timedelta

from mcpgov.credential.tokens import AccessToken, AzureIdentity, EntraApp
from mcpgov.models import Secret

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)


def test_a_new_token_is_wanted_at_half_the_life_of_the_old_one() -> None:
    token = AccessToken.lasting(Secret("value"), 3600, NOW)
    assert token.expires_at == NOW + timedelta(hours=1)
    assert token.refresh_at == NOW + timedelta(minutes=30)


def test_neither_a_token_nor_an_app_prints_its_secret() -> None:
    token = AccessToken.lasting(Secret("canary"), 3600, NOW)
    azure = AzureIdentity("tenant", app=EntraApp("client", Secret("canary")))
    assert "canary" not in repr(token) + repr(azure)
