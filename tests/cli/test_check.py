"""`mcpgov check` tells everything that is wrong, or what would be served; it connects to Key Vaults at most."""

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from mcpgov.cli.check import add_check

ENTRY = """\
name: com.contoso/github
upstream: https://mcp.contoso.com/mcp?api-key=in-the-query
connections:
  github: { authType: CustomKeys, keys: { X-Key: "${env:CHECK_KEY}" }, policies: [default] }
  github-open: {}
"""
LOCAL = "name: com.contoso/time\ncommand: [sleep, --secret-flag]\nconnections: { time: {} }\n"
POLICY = "inbound: [{ tool-rules: { deny: [delete_*] } }]"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, text in (("mcpgov", "listen: 127.0.0.1:9"), ("catalog/github", ENTRY), ("policies/default", POLICY)):
        place = tmp_path / f"{name}.yaml"
        place.parent.mkdir(exist_ok=True)
        place.write_text(text)
    (tmp_path / "catalog" / "time.yaml").write_text(LOCAL)
    monkeypatch.setenv("CHECK_KEY", "s3cret")
    return tmp_path


def check(folder: Path, *arguments: str) -> Result:
    app = typer.Typer()
    add_check(app)
    return CliRunner().invoke(app, ["--config", str(folder / "mcpgov.yaml"), *arguments])


def test_what_would_be_served_is_shown_without_a_secret(folder: Path) -> None:
    result = check(folder)
    assert result.exit_code == 0
    assert "127.0.0.1:9" in result.stdout
    assert "/mcp/github" in result.stdout
    assert "https://mcp.contoso.com/mcp" in result.stdout
    assert "sleep (local)" in result.stdout
    assert not any(secret in result.stdout for secret in ("s3cret", "in-the-query", "secret-flag"))


def test_the_same_is_printed_as_json(folder: Path) -> None:
    shown = json.loads(check(folder, "--json").stdout)
    assert shown["ok"] is True
    assert len(shown["stamp"]) == 64
    github, github_open, time = shown["connections"]
    assert (github["path"], github["authType"], github["policy_steps"]) == ("/mcp/github", "CustomKeys", 1)
    assert (github_open["authType"], github_open["policy_steps"]) == ("None", 0)
    assert time["upstream"] == "sleep (local)"


@pytest.mark.parametrize(
    ("registry", "strangers"),
    [("none", "nothing"), ("all", "all of it"), ("[com.contoso/*, a/b]", "com.contoso/*, a/b")],
)
def test_the_registry_and_the_aggregate_are_named_where_they_are_on(
    folder: Path, registry: str, strangers: str
) -> None:
    assert "as one server" not in check(folder).stdout
    more = f"aggregate: {{ connections: [github] }}\nregistry: {{ anonymous: {registry} }}\n"
    (folder / "mcpgov.yaml").write_text(f"listen: 127.0.0.1:9\n{more}")
    shown = check(folder).stdout
    assert "/mcp           github as one server" in shown
    assert f"/v0.1/servers  the registry; callers without a credential see {strangers}\n" in shown
    printed = json.loads(check(folder, "--json").stdout)
    assert printed["aggregate"] == "http://127.0.0.1:9/mcp"
    assert printed["registry"] == "http://127.0.0.1:9/v0.1/servers"


def test_an_empty_catalog_is_said(folder: Path) -> None:
    for place in (folder / "catalog").iterdir():
        place.unlink()
    assert "the catalog is empty" in check(folder).stdout


def test_every_problem_is_printed_with_its_place_and_mend(folder: Path) -> None:
    (folder / "mcpgov.yaml").write_text("lisen: 127.0.0.1:9\n")
    (folder / "policies" / "default.yaml").write_text("inbound: [{ ip-filtr: {} }]")
    result = check(folder)
    assert result.exit_code == 1
    assert result.stdout.splitlines() == [
        f"{folder}/mcpgov.yaml:1:1: there is no key lisen here (did you mean listen?)",
        f"{folder}/policies/default.yaml:1:13: there is no policy element ip-filtr (did you mean ip-filter?)",
        "",
        "2 problems found.",
    ]


def test_what_this_machine_does_not_have_is_found_before_the_first_call(folder: Path) -> None:
    (folder / "mcpgov.yaml").write_text("policies: ./nope\naudit: { store: 'sqlite:///data/mcpgov.db' }\n")
    (folder / "catalog" / "time.yaml").write_text(LOCAL.replace("sleep", "no-such-program"))
    result = check(folder)
    assert result.exit_code == 1
    assert result.stdout.splitlines() == [
        (f"{folder}/catalog/github.yaml:4:83: there is no policy default (write {folder}/nope/default.yaml)"),
        (
            f"{folder}/catalog/time.yaml:2:11: there is no program no-such-program on PATH"
            " (install it, or write its whole path)"
        ),
        f"{folder}/mcpgov.yaml:1:11: the folder {folder}/nope is not there (make it, or name another)",
        f"{folder}/mcpgov.yaml:2:17: the folder {folder}/data is not there (mkdir -p {folder}/data)",
        "",
        "4 problems found.",
    ]


def test_problems_are_printed_as_json(folder: Path) -> None:
    (folder / "mcpgov.yaml").write_text("lisen: 127.0.0.1:9\n")
    result = check(folder, "--json")
    assert result.exit_code == 1
    (problem,) = json.loads(result.stdout)["problems"]
    assert (problem["line"], problem["column"], problem["mend"]) == (1, 1, "did you mean listen?")


def test_a_missing_settings_file_is_a_problem(tmp_path: Path) -> None:
    result = check(tmp_path)
    assert result.exit_code == 1
    assert "mcpgov.yaml: cannot be read" in result.stdout


@pytest.fixture
def bare(folder: Path) -> Path:
    """A folder that names no policy, its one server local."""
    (folder / "catalog" / "github.yaml").unlink()
    return folder


def told(folder: Path) -> list[str]:
    """Every problem of a folder, the way to it left out."""
    result = check(folder)
    assert result.exit_code == 1
    return result.stdout.replace(f"{folder}/", "").splitlines()[:-2]


@pytest.mark.parametrize("key", ["catalog", "policies"])
def test_a_named_folder_that_is_not_there_is_told_where_it_is_named(bare: Path, key: str) -> None:
    (bare / "mcpgov.yaml").write_text(f"{key}: ./nope\n")
    place = f"mcpgov.yaml:1:{len(key) + 3}"
    assert told(bare) == [f"{place}: the folder nope is not there (make it, or name another)"]
    (bare / "nope").write_text("")
    assert told(bare) == [f"{place}: the folder nope cannot be read: Not a directory (name another)"]


def test_the_catalog_must_be_there_under_its_default_name_too(bare: Path) -> None:
    (bare / "catalog").rename(bare / "aside")
    assert told(bare) == [
        "catalog: cannot be read: No such file or directory (mcpgov init makes a folder to start from)"
    ]


def test_a_policy_to_be_written_is_named_with_the_folder_it_belongs_to(bare: Path) -> None:
    (bare / "rules").mkdir()
    (bare / "mcpgov.yaml").write_text("policies: rules\nglobal_policies: [default]\n")
    assert told(bare) == ["mcpgov.yaml:2:19: there is no policy default (write rules/default.yaml)"]


@pytest.mark.parametrize(
    ("store", "says"),
    [
        ("data/mcpgov.db", "the folder data is not there (mkdir -p data)"),
        ("my data/a/mcpgov.db", "the folder my data/a is not there (mkdir -p 'my data/a')"),
        ("catalog", "catalog is a folder (name a file in it: catalog/mcpgov.db)"),
        ("mcpgov.yaml/mcpgov.db", "mcpgov.yaml is not a folder that mcpgov may enter (name another)"),
    ],
)
def test_a_store_that_cannot_be_made_is_told_with_its_place(bare: Path, store: str, says: str) -> None:
    (bare / "mcpgov.yaml").write_text(f"audit:\n  store: sqlite:///{store}\n")
    assert told(bare) == [f"mcpgov.yaml:2:10: {says}"]


@pytest.mark.parametrize(
    ("local", "says"),
    [
        ("command: [no-such-program]", "2:11: there is no program no-such-program on PATH"),
        ("command: [sleep]\nenv: { PATH: /nope }", "2:11: there is no program sleep on PATH"),
        ("command: [./serve]", "2:11: there is no program serve that mcpgov may run"),
        ("command: [./serve]\ncwd: catalog", "2:11: there is no program catalog/serve that mcpgov may run"),
        ("command: [./time.yaml]\ncwd: catalog", "2:11: there is no program catalog/time.yaml that mcpgov may run"),
        ("command: [/etc]", "2:11: there is no program /etc that mcpgov may run"),
        ("command: [./serve]\ncwd: nope", "3:6: the folder nope is not there (mkdir -p nope)"),
        ("command: [sleep]\ncwd: mcpgov.yaml", "3:6: mcpgov.yaml is not a folder that mcpgov may enter"),
    ],
)
def test_a_local_server_that_could_not_be_started_is_told_with_its_place(bare: Path, local: str, says: str) -> None:
    (bare / "catalog" / "time.yaml").write_text(f"name: a/time\n{local}\nconnections: {{ time: {{}} }}")
    (problem,) = told(bare)
    assert problem.startswith(f"catalog/time.yaml:{says}")


@pytest.mark.parametrize(
    "local",
    [
        "command: [sleep]",
        "command: [/bin/sh]",
        "command: [./serve]\ncwd: bin",
        "command: [serve]\nenv: { PATH: '${file:path}' }",
    ],
)
def test_a_local_server_that_can_be_started_is_served(bare: Path, local: str) -> None:
    (bare / "bin").mkdir()
    (bare / "bin" / "serve").touch(0o755)
    (bare / "path").write_text(f"/nope:{bare}/bin")
    (bare / "catalog" / "time.yaml").write_text(f"name: a/time\n{local}\nconnections: {{ time: {{}} }}")
    assert check(bare).exit_code == 0


def test_what_a_narrower_document_leaves_out_is_told(folder: Path) -> None:
    (folder / "mcpgov.yaml").write_text("global_policies: [default]\n")
    (folder / "policies" / "own.yaml").write_text("base: false\ninbound: []\n")
    (folder / "catalog" / "github.yaml").write_text(ENTRY.replace("policies: [default]", "policies: [own]"))
    assert "/mcp/github: own leaves out default in inbound." in check(folder).stdout


def test_a_secret_in_a_key_vault_is_looked_for_as_a_start_would(folder: Path) -> None:
    url = "https://contoso.vault.azure.net/secrets/key"
    (folder / "mcpgov.yaml").write_text("azure: { tenant_id: 00000000-1111-2222-3333-444444444444 }\n")
    (folder / "catalog" / "github.yaml").write_text(ENTRY.replace("env:CHECK_KEY", f"secret:{url}"))
    app = typer.Typer()
    asked: list[str] = []
    add_check(app, lambda azure: lambda url: asked.append(url) or azure.tenant_id)
    result = CliRunner().invoke(app, ["--config", str(folder / "mcpgov.yaml")])
    assert (result.exit_code, asked) == (0, [url])
    assert "no Key Vault is asked here" in check(folder).stdout


def test_what_the_catalog_needs_of_the_settings_is_told_with_the_rest(folder: Path) -> None:
    managed = "authType: ProjectManagedIdentity, audience: api://a"
    text = ENTRY.replace('authType: CustomKeys, keys: { X-Key: "${env:CHECK_KEY}" }', managed)
    (folder / "catalog" / "github.yaml").write_text(text)
    (folder / "policies" / "default.yaml").write_text("inbound: [{ ip-filtr: {} }]")
    assert [problem.partition(": ")[0] for problem in told(folder)] == [
        "catalog/github.yaml:4:23",
        "policies/default.yaml:1:13",
    ]


def test_the_redirect_url_of_an_app_registration_is_shown_where_people_are_sent_back(folder: Path) -> None:
    assert "Redirect" not in check(folder).stdout
    assert json.loads(check(folder, "--json").stdout)["redirect_urls"] == {}
    issuer = "{ issuer: 'https://issuer.example', sign_in: { client_id: c } }"
    (folder / "mcpgov.yaml").write_text(f"public_url: https://mcp.contoso.com\nidentity: {{ oidc: [{issuer}] }}\n")
    url = "https://mcp.contoso.com/oauth/callback"
    assert f"Redirect URLs to write into the app registrations:\n\nsign_in  {url}\n" in check(folder).stdout
    assert json.loads(check(folder, "--json").stdout)["redirect_urls"] == {"sign_in": url}
