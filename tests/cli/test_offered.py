"""The offer of a connection comes from the files, and says who may sign in where."""

from pathlib import Path

import pytest
import typer

from mcpgov.cli.offered import base_of, issuer_of, loaded, offered
from mcpgov.publish.offer import NotOffered
from mcpgov.settings import parse_settings
from tests.cli.folder import furnish

TENANT = "00000000-1111-2222-3333-444444444444"
ENTRA = f"""\
public_url: https://mcp.contoso.com
identity: {{ entra: {{ tenant_id: {TENANT}, audiences: [{TENANT}], scopes: [Mcp.Use] }} }}
"""
OIDC = "public_url: https://mcp.contoso.com\nidentity: { oidc: [{ issuer: https://id.contoso.com, scopes: [mcp] }] }\n"


def test_a_connection_is_offered_at_the_public_url(tmp_path: Path) -> None:
    snapshot = loaded(furnish(tmp_path, {"mcpgov.yaml": ENTRA}))
    offer = offered(snapshot, "github")
    assert offer.url == "https://mcp.contoso.com/mcp/github"
    assert offer.issuer
    assert offer.issuer.scopes == ("https://mcp.contoso.com/mcp/github/Mcp.Use",)
    assert offer.issuer.token_url == f"https://login.microsoftonline.com/{TENANT}/oauth2/v2.0/token"


def test_the_endpoints_of_another_issuer_are_left_open() -> None:
    issuer = issuer_of(parse_settings(OIDC, "mcpgov.yaml"), "github")
    assert issuer
    assert (issuer.issuer, issuer.scopes, issuer.token_url) == ("https://id.contoso.com", ("mcp",), "")
    assert issuer_of(parse_settings("{}", "mcpgov.yaml"), "github") is None


def test_an_issuer_without_scopes_asks_for_none() -> None:
    issuer = issuer_of(parse_settings(OIDC.replace(", scopes: [mcp]", ""), "mcpgov.yaml"), "github")
    assert issuer
    assert issuer.scopes == ()


def test_a_connection_that_there_is_not_names_the_nearest(tmp_path: Path) -> None:
    snapshot = loaded(furnish(tmp_path))
    with pytest.raises(NotOffered, match="github"):
        offered(snapshot, "gihub")


@pytest.mark.parametrize("listen", ["0.0.0.0:8080", "'[::]:8080'", "127.0.0.1:0"])
def test_an_address_that_nobody_can_call_is_no_url(listen: str) -> None:
    with pytest.raises(NotOffered, match="public_url"):
        base_of(parse_settings(f"listen: {listen}\n", "mcpgov.yaml"))


def test_files_that_are_wrong_end_the_verb(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit):
        loaded(furnish(tmp_path, {"mcpgov.yaml": "listne: 1\n"}))
    assert "mcpgov.yaml:1:1" in capsys.readouterr().err


def test_an_empty_catalog_says_so(tmp_path: Path) -> None:
    config = furnish(tmp_path)
    for file in (tmp_path / "catalog").iterdir():
        file.unlink()
    with pytest.raises(NotOffered, match="add one"):
        offered(loaded(config), "github")
