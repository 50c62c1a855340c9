"""What is added fits or is not there, hides no other, holds no secret, and takes the place of nothing."""

import json
import os
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from mcpgov.catalog.importers import Fetch
from mcpgov.cli.catalog import build_catalog
from mcpgov.cli.catalog_add import add_adding, with_progress
from mcpgov.credential.references import Unfit
from mcpgov.reload import load_generation
from mcpgov.yaml_source import parse_yaml
from tests.catalog.server_shapes import PACKAGES, remote, server
from tests.cli.adding import Document, Registry, files, item, run, written
from tests.cli.folder import furnish


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return furnish(tmp_path)


def test_a_server_is_added_by_its_url_and_can_be_served(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    result = run(
        config,
        *("add", "https://mcp.contoso.com/mcp", "--name", "com.contoso/orders", "--title", "Orders"),
        *("--header", "X-Api-Key", "--publisher", "Contoso", "--policy", "trial"),
    )
    assert result.exit_code == 0, result.output
    assert "served at /mcp/orders" in result.stderr
    assert "set    MCP_ORDERS_X_API_KEY, for mcpgov, before it is served" in result.stderr
    assert written(config, "orders.yaml") == (
        "# Written by mcpgov catalog add https://mcp.contoso.com/mcp\n"
        "name: com.contoso/orders\n"
        "title: Orders\n"
        "version: 1.0.0\n"
        "publisher: Contoso\n"
        "pin: require\n"
        "upstream: https://mcp.contoso.com/mcp\n"
        "connections:\n"
        "  orders:\n"
        "    authType: CustomKeys\n"
        "    keys:\n"
        '      X-Api-Key: "${env:MCP_ORDERS_X_API_KEY}"\n'
        "    policies: [trial]\n"
    )
    monkeypatch.setenv("MCP_ORDERS_X_API_KEY", "a-key")
    assert "orders" in load_generation(config).connections


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["https://x.contoso.com"], "--name is missing"),
        (["--name", "com.contoso/x"], "The URL is missing"),
        (
            ["http://x.contoso.com", "--name", "com.contoso/x"],
            "is plain http, which shows the credential to the network (use https, or say --private)",
        ),
        (["https://10.0.0.1/", "--name", "com.contoso/x"], "(say --private if this is your own server)"),
        (["http://169.254.169.254/", "--name", "com.contoso/x", "--private"], "this one is never allowed"),
        (
            ["https://u:hunter2@x.contoso.com/?code=hunter2", "--name", "a/b"],
            "https://…@x.contoso.com/ holds a user name",
        ),
        (
            ["https://x.contoso.com", "--name", "a/b", "--auth", "None", "--header", "X-Foo"],
            "no --header with --auth None",
        ),
        (["https://x.contoso.com", "--name", "a/b", "--header", "X-Api-Key=hunter2"], "say its name alone"),
        (["https://x.contoso.com", "--name", "a/b", "--header", "X-Api-Key: hunter2"], "say its name alone"),
        (["https://x.contoso.com", "--preset", "github"], "goes without URL"),
        (["--preset", "github", "--header", "X-Foo", "--version", "2.0.0"], "goes without --header, --version"),
        (
            ["https://x.contoso.com", "--name", "com.contoso/github", "--version", "2.0.0"],
            "say --other-host if it has moved",
        ),
        (["https://api.contoso.com", "--name", "com.contoso/github", "--version", "0.0.0"], "or --version for another"),
        (["https://x.contoso.com", "--name", "com.contoso/x", "--auth", "Custom"], "no way to sign in that is called"),
        (["https://x.contoso.com", "--name", "com.contoso/x", "--auth", "OAuth2"], "an application of yours"),
        (["--preset", "githubb"], "did you mean github?"),
        (["--preset", "functions", "--var", "app"], "--var app is not NAME=VALUE"),
    ],
)
def test_what_cannot_be_added_is_said_before_anything_is_written(config: Path, arguments: list[str], said: str) -> None:
    result = run(config, "add", *arguments)
    assert result.exit_code == 2
    assert said in result.stderr
    assert "hunter2" not in result.output
    assert files(config) == ["github.yaml", "time.yaml"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["https://x.contoso.com", "--name", "contoso"], "is not a server name"),
        (["https://x.contoso.com", "--name", "a/b", "--version", "1.x"], "not a range"),
        (["https://x.contoso.com", "--name", "a/b", "--connection", "github"], "the connection github is also in"),
        (["https://x.contoso.com", "--name", "a/b", "--auth", "ProjectManagedIdentity"], "without audience"),
        (["https://x.contoso.com", "--name", "a/b", "--policy", "nobody"], "there is no policy nobody"),
        (["--preset", "ai-search", "--var", "service=a", "--var", "knowledge-base=b"], "add azure:"),
    ],
)
def test_what_does_not_fit_with_the_other_files_is_never_there(config: Path, arguments: list[str], said: str) -> None:
    result = run(config, "add", *arguments)
    assert result.exit_code == 1
    assert said in result.stderr
    assert files(config) == ["github.yaml", "time.yaml"]


def test_a_catalog_that_is_wrong_already_is_to_be_mended_first(config: Path) -> None:
    (config.parent / "catalog" / "bad.yaml").write_text("name: a\n")
    result = run(config, "add", "--preset", "microsoft-learn")
    assert result.exit_code == 1
    assert "bad.yaml:1:7" in result.stderr
    assert "this is to be mended first" in result.stderr


def test_the_well_known_servers_are_listed_and_added(config: Path) -> None:
    assert "--var service=… --var knowledge-base=…" in run(config, "add", "--preset", "list").stdout
    assert len(json.loads(run(config, "add", "--preset", "list", "--json").stdout)) == 10
    assert run(config, "add", "--preset", "github").exit_code == 0
    assert "/mcp/github-3" in run(config, "add", "--preset", "github", "--name", "a/b").stderr
    assert files(config) == ["github-2.yaml", "github-3.yaml", "github.yaml", "time.yaml"]
    result = run(config, "add", "--preset", "microsoft-learn")
    assert "name: com.microsoft/learn" in written(config, "microsoft-learn.yaml"), result.output


def test_what_was_exported_is_imported_as_it_was(config: Path, tmp_path: Path) -> None:
    before = parse_yaml(written(config, "github.yaml"), "x").value
    out = tmp_path / "server.json"
    assert run(config, "export", "github", "-o", str(out)).exit_code == 0
    kept = run(config, "import", str(out))
    assert kept.stdout == "kept   com.contoso/github 0.0.0, which is there already\n"
    assert run(config, "remove", "github", "--yes").exit_code == 0
    stranger = run(config, "import", str(out), "--dry-run")
    assert "note   say --own if mcpgov exported it for you" in stranger.stderr
    assert "europe-api" not in stranger.stdout
    assert run(config, "import", str(out), "--own").exit_code == 0
    after = parse_yaml(written(config, "github.yaml"), "x").value
    assert isinstance(before, dict)
    assert isinstance(after, dict)
    assert after.pop("pin") == "require"
    secret = "Bearer of-the-connection"
    assert json.loads(json.dumps(before).replace(secret, "${env:MCP_GITHUB_AUTHORIZATION}")) == after


def test_a_program_is_started_here_only_where_somebody_said_so(
    config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "server.json"
    file.write_text(json.dumps({**server("brave"), "packages": [PACKAGES["npm-env"]]}))
    refused = run(config, "import", str(file))
    assert (refused.exit_code, "say --local" in refused.stderr) == (1, True)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    (tmp_path / "npx").write_text("#!/bin/sh\n")
    (tmp_path / "npx").chmod(0o755)
    shown = run(config, "import", str(file), "--local", "--dry-run")
    assert 'API_KEY: "${env:MCP_BRAVE_API_KEY}"' in shown.stdout
    assert "note   starts on this machine: npx -y @contoso/brave@1.0.2" in shown.stderr
    assert "set    MCP_BRAVE_API_KEY, for mcpgov, before it is served" in shown.stderr
    assert "would write" in shown.stderr
    assert files(config) == ["github.yaml", "time.yaml"]
    done = run(config, "import", str(file), "--local")
    assert "note   starts on this machine: npx -y @contoso/brave@1.0.2" in done.stderr
    assert files(config) == ["brave.yaml", "github.yaml", "time.yaml"]


def test_the_servers_of_a_client_are_imported_one_by_one(config: Path, tmp_path: Path) -> None:
    file = tmp_path / "mcp.json"
    servers = {
        "Learn": {"type": "http", "url": "https://learn.microsoft.com/api/mcp"},
        "Meta": {"url": "https://169.254.169.254/"},
    }
    file.write_text(json.dumps({"servers": servers}))
    result = run(config, "import", str(file), "--namespace", "com.contoso")
    assert result.exit_code == 0
    assert "refused Meta: leads to 169.254.169.254" in result.stderr
    assert "name: com.contoso/learn" in written(config, "learn.yaml")


def test_a_registry_is_imported_and_a_bad_entry_hides_no_other(config: Path) -> None:
    registry = Registry(
        [
            item("one"),
            item("two", version="^1"),
            item("three", remotes=[remote("http://10.0.0.1/")]),
            item("time"),
            item("long", description="x" * 101),
            {"server": {**server("two"), "remotes": [remote()]}},
        ]
    )
    url = "https://registry.contoso.com"
    result = run(config, "import", url, "--updated-since", "2026-11-01T00:00:00Z", registry=registry)
    assert result.exit_code == 0
    assert files(config) == ["contoso-time.yaml", "github.yaml", "one.yaml", "time.yaml", "two.yaml"]
    assert "registry: registry.contoso.com" in written(config, "one.yaml")
    refused = [line for line in result.stderr.splitlines() if line.startswith("refused")]
    assert [line.split()[1].rpartition("/")[2] for line in refused] == ["two", "long", "three"]
    assert registry.asked[0][0].startswith(f"{url}/v0.1/servers?limit=100&updated_since=2026-11-01")
    again = run(config, "import", url, "--match", "*/one", registry=registry)
    assert again.stdout == "kept   io.github.contoso/one 1.4.0, which is there already\n"
    assert "refused" not in again.stderr


def test_a_saved_list_is_imported_too(config: Path, tmp_path: Path) -> None:
    file = tmp_path / "list.json"
    file.write_text(json.dumps({"servers": [item("one")], "metadata": {}}))
    assert run(config, "import", str(file)).exit_code == 0
    assert "registry: file" in written(config, "one.yaml")


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("http://registry.contoso.com", "is plain http"),
        ("https://127.0.0.1", "not a public address"),
        ("https://registry.contoso.com", "did not answer in time"),
        ("gone.json", "cannot be read"),
    ],
)
def test_a_source_that_cannot_be_read_is_said(config: Path, source: str, said: str) -> None:
    registry = Registry(unfit=Unfit("did not answer in time", "try again"))
    result = run(config, "import", source, registry=registry)
    assert result.exit_code == 1
    assert said in result.stderr


def test_a_file_that_is_no_server_json_names_what_is_wrong(config: Path, tmp_path: Path) -> None:
    file = tmp_path / "server.json"
    file.write_text(json.dumps({**server("x"), "remotes": [{"type": "http", "url": "x"}]}))
    result = run(config, "import", str(file))
    assert result.exit_code == 1
    assert "remotes[0].type" in result.stderr
    file.write_text("{")
    assert "Not JSON at line 1, column 2" in run(config, "import", str(file)).stderr
    file.write_text("{\n// said\n" + json.dumps(server("x"))[1:])
    assert "Not JSON at line 2, column 1" in run(config, "import", str(file)).stderr


@pytest.mark.parametrize(
    ("text", "said"),
    [("é" * 25_000_000, "larger than 1048576 bytes"), ('{"a":' * 10_000 + "1" + "}" * 10_000, "cannot be read")],
    ids=["50 MB", "10,000 levels"],
)
def test_a_file_that_is_too_large_or_too_deep_is_refused_and_nothing_is_written(
    config: Path, tmp_path: Path, text: str, said: str
) -> None:
    before = files(config)
    file = tmp_path / "server.json"
    file.write_text(text)
    result = run(config, "import", str(file))
    assert (result.exit_code, files(config)) == (1, before)
    assert said in result.stderr


CONNECTION: Document = {
    "name": "orders",
    "properties": {
        "authType": "CustomKeys",
        "category": "RemoteTool",
        "target": "https://orders.contoso.com/mcp",
        "credentials": {"keys": {"X-Key": "hunter2"}},
    },
}


def test_a_connection_is_adopted_and_printed_as_it_leads_to_the_gateway(config: Path, tmp_path: Path) -> None:
    config.write_text("listen: 127.0.0.1:9\npublic_url: https://gw.contoso.com\n")
    file = tmp_path / "connection.json"
    file.write_text(json.dumps(CONNECTION))
    result = run(config, "adopt", str(file), "--name", "com.contoso/orders")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["properties"]["target"] == "https://gw.contoso.com/mcp/orders"
    assert '"Authorization": "Bearer <gateway key' in result.stdout
    assert "mcpgov keys create NAME --connection orders" in result.stderr
    assert "https alone" not in result.stderr
    assert "hunter2" not in result.output + written(config, "orders.yaml")


def test_the_platform_reaches_https_alone(config: Path, tmp_path: Path) -> None:
    file = tmp_path / "connection.json"
    file.write_text(json.dumps(CONNECTION))
    assert "set public_url" in run(config, "adopt", str(file)).stderr


def test_a_connection_is_rewritten_for_the_header_that_keys_come_in(config: Path, tmp_path: Path) -> None:
    config.write_text("public_url: https://gw.contoso.com\nidentity: { key_headers: [X-API-Key] }\n")
    file = tmp_path / "connection.json"
    file.write_text(json.dumps(CONNECTION))
    keys = json.loads(run(config, "adopt", str(file)).stdout)["properties"]["credentials"]["keys"]
    assert list(keys) == ["X-Api-Key"]


def test_without_a_url_that_agents_could_call_nothing_is_adopted(config: Path, tmp_path: Path) -> None:
    config.write_text("listen: 0.0.0.0:8080\n")
    file = tmp_path / "connection.json"
    file.write_text(json.dumps(CONNECTION))
    result = run(config, "adopt", str(file))
    assert (result.exit_code, result.stdout) == (1, "")
    assert "public_url" in result.stderr
    assert not list(tmp_path.rglob("orders.yaml"))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--client-auth", "Keys"], "no way to sign in"),
        (["--client-auth", "UserEntraToken"], "without clientAudience"),
        (["--connection", "github"], "is also in"),
    ],
)
def test_what_cannot_be_adopted_prints_no_connection(
    config: Path, tmp_path: Path, arguments: list[str], said: str
) -> None:
    file = tmp_path / "connection.json"
    file.write_text(json.dumps(CONNECTION))
    result = run(config, "adopt", str(file), *arguments)
    assert (result.exit_code, result.stdout) == (1, "")
    assert said in result.stderr


def test_a_connection_that_is_not_there_is_said_once(config: Path) -> None:
    assert run(config, "adopt", "gone.json").stderr == "gone.json: cannot be read: No such file or directory\n"


def test_a_connection_is_adopted_under_a_name_that_nobody_has(config: Path, tmp_path: Path) -> None:
    file = tmp_path / "connection.json"
    file.write_text(json.dumps(CONNECTION))
    assert run(config, "adopt", str(file)).exit_code == 0
    assert "is in the catalog already, as foundry/orders 1.0.0 (say --name" in run(config, "adopt", str(file)).stderr


def test_every_verb_says_what_it_does_in_a_line(config: Path) -> None:
    app = build_catalog()
    add_adding(app, Registry())
    shown = CliRunner().invoke(app, ["--help"]).stdout
    assert "Write an entry for each server of a server.json" in shown
    assert all(command.callback and command.callback.__doc__ for command in app.registered_commands)
    assert config.exists()


def test_a_preset_that_differs_by_tenant_is_added_again_under_another_name(config: Path) -> None:
    one, two = ["--preset", "functions", "--var", "app=one"], ["--preset", "functions", "--var", "app=two"]
    assert run(config, "add", *one).exit_code == 0
    refused = run(config, "add", *two)
    assert (refused.exit_code, "(say --name com.contoso/NAME for another server)" in refused.stderr) == (2, True)
    assert run(config, "add", *two, "--name", "com.contoso/two").exit_code == 0


class Stopped(Registry):
    """A registry in the midst of which somebody ends the verb."""

    def __call__(self, config: Path | None, *, private: bool) -> Fetch:
        del config, private

        async def fetch(_url: str) -> bytes:
            raise KeyboardInterrupt

        return fetch


def test_an_import_that_is_stopped_says_that_nothing_was_written(config: Path) -> None:
    result = run(config, "import", "https://registry.contoso.com", registry=Stopped())
    assert result.exit_code == 130
    assert "Stopped. Nothing was written." in result.stderr
    assert files(config) == ["github.yaml", "time.yaml"]


async def test_at_a_terminal_an_import_tells_that_it_goes_on(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def fetch(url: str) -> bytes:
        return url.encode()

    assert with_progress(fetch) is fetch
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    told = with_progress(fetch)
    assert [await told("a"), await told("b")] == [b"a", b"b"]
    assert capsys.readouterr().err == "\rread   1 pages\rread   2 pages"
