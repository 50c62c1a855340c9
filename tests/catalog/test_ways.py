"""A server is reached by what it says, with no secret taken over, nothing guessed and no shell."""

import pytest

from mcpgov.catalog.entries import parse_entry
from mcpgov.catalog.server_json import read_server_json
from mcpgov.catalog.ways import Choice, Draft, free_name, reached
from mcpgov.catalog.yaml_text import yaml_text
from mcpgov.credential.references import EnvironmentAndFiles, Unfit, resolve
from mcpgov.errors import InvalidConfiguration
from mcpgov.models import Json
from mcpgov.settings_file import stood_in
from tests.catalog.server_shapes import BEARER, PACKAGES, REMOTES, SECRET, named, package, positional, remote, server

Document = dict[str, Json]
LOCAL = Choice("x", local=True)


def draft(choice: Choice = LOCAL, **more: Json) -> Draft:
    made = reached(read_server_json({**server("x"), **more}, "s.json"), choice)
    parse_entry(yaml_text(made.document), "x.yaml", EnvironmentAndFiles(stood_in({})))  # and it is an entry
    return made


def refused(choice: Choice = LOCAL, **more: Json) -> str:
    with pytest.raises(Unfit) as caught:
        draft(choice, **more)
    assert caught.value.mend
    return str(caught.value)


def keys(*headers: Json) -> Json:
    connections = draft(remotes=[remote(headers=list(headers))]).document["connections"]
    assert isinstance(connections, dict)
    said = connections["x"]
    assert isinstance(said, dict)
    return said.get("keys")


def command(part: Document, **variables: str) -> Json:
    return draft(Choice("x", local=True, variables=variables), packages=[part]).document["command"]


def test_a_remote_over_streamable_http_is_taken_before_any_other() -> None:
    made = draft(remotes=[REMOTES["sse"], REMOTES["http"]], packages=[PACKAGES["npm"]]).document
    assert made["upstream"] == "https://mcp.contoso.com/mcp"
    assert made["connections"] == {"x": {"authType": "None"}}
    assert list(made)[-1] == "server"


def test_keys_become_references_and_never_a_value() -> None:
    assert keys({"name": "X-API-Key", "isRequired": True, "isSecret": True}) == {"X-API-Key": "${env:MCP_X_X_API_KEY}"}
    assert keys(BEARER) == {"Authorization": "Bearer ${env:MCP_X_TOKEN}"}
    assert keys({"name": "X-Region", "value": "eu"}) == {"X-Region": "eu"}
    assert keys({"name": "X-Odd", "value": "a ${b} {c}"}) == {"X-Odd": "a $${b} {c}"}
    assert keys({"name": "X-Key", "value": "literal", "isSecret": True}) == {"X-Key": "${env:MCP_X_X_KEY}"}
    assert keys({"name": "X-Id", "value": "{org}-1", "variables": {"org": {"default": "eu"}}}) == {"X-Id": "eu-1"}


STOLEN = ("${env:AWS_SECRET_ACCESS_KEY}", "${file:/etc/shadow}", "${secret:https://v.vault.azure.net/secrets/a}")


def as_sent(value: Json) -> str:
    """What an upstream would get of a value that was written."""
    lookup = EnvironmentAndFiles(
        {"AWS_SECRET_ACCESS_KEY": "ours", "X": "ours", "MCP_X_T": "told"}, fetch=lambda _: "ours"
    )
    return resolve(str(value), lookup).reveal()


@pytest.mark.parametrize("stolen", STOLEN)
@pytest.mark.parametrize("key", ["value", "default"])
def test_no_header_of_a_stranger_reads_a_secret_of_this_machine(stolen: str, key: str) -> None:
    made = keys({"name": "X-A", "value": "{a}", "variables": {"a": {key: stolen}}}, {"name": "X-B", key: stolen})
    assert isinstance(made, dict)
    assert [as_sent(value) for value in made.values()] == [stolen, stolen]
    part = package("npm", "a", version="1.0.0", environmentVariables=[{"name": "A", key: stolen}])
    env = draft(packages=[part]).document["env"]
    assert isinstance(env, dict)
    assert as_sent(env["A"]) == stolen
    secret = keys({"name": "X-A", "value": stolen, "isSecret": True})
    assert secret == {"X-A": "${env:MCP_X_X_A}"}


def test_two_halves_of_a_reference_make_none() -> None:
    halves: Json = {"a": {"value": "$"}, "b": {"default": "{env:X}"}}
    made = keys({"name": "X-A", "value": "{a}{b}", "variables": halves})
    assert isinstance(made, dict)
    assert as_sent(made["X-A"]) == "${env:X}"
    asked: Json = {"a": {"value": "$"}, "t": {"isSecret": True}}
    assert refused(remotes=[remote(headers=[{"name": "X-A", "value": "{a}{t}", "variables": asked}])]).startswith(
        "has a $"
    )
    secret: Json = {"name": "X-A", "value": "{a}{b}", "variables": halves, "isSecret": True}
    assert keys(secret) == {"X-A": "${env:MCP_X_X_A}"}
    mixed = keys({"name": "X-A", "value": "{env:X} {t}", "variables": asked})
    assert mixed == {"X-A": "{env:X} ${env:MCP_X_T}"}


@pytest.mark.parametrize("value", ["os.environ/X", "Bearer os.environ/X", "{a}environ/X"])
def test_a_variable_as_litellm_names_it_is_refused(value: str) -> None:
    header: Json = {"name": "X-A", "value": value, "variables": {"a": {"value": "os."}}}
    assert refused(remotes=[remote(headers=[header])]).startswith("has os.environ/ in X-A")


@pytest.mark.parametrize("stolen", [*STOLEN, "os.environ/X"])
def test_no_url_and_no_argument_of_a_stranger_holds_a_reference(stolen: str) -> None:
    assert refused(remotes=[remote("https://a.com/{a}", variables={"a": {"value": stolen}})])
    with pytest.raises(InvalidConfiguration, match="holds a reference"):
        draft(packages=[package("npm", "a", version="1.0.0", packageArguments=[positional(stolen)])])


def test_what_a_reference_stands_for_is_said() -> None:
    assert draft(remotes=[remote(headers=[BEARER])]).notes == ("MCP_X_TOKEN stands for {token} of Authorization",)


def test_what_is_optional_is_left_out_and_said() -> None:
    made = draft(remotes=[remote(headers=[{"name": "X-Trace"}, {"name": "X-Key", "value": "abc", "isSecret": True}])])
    assert made.notes == (
        "X-Trace is optional, and was left out",
        "X-Key held a secret: ${env:MCP_X_X_KEY} stands in its place",
    )
    assert made.label == "io.github.contoso/x 1.4.0"


def test_variables_of_a_url_are_filled_from_what_is_said_or_from_their_defaults() -> None:
    assert draft(remotes=[REMOTES["http-tenant"]]).document["upstream"] == "https://eu.contoso.com/mcp"
    assert draft(remotes=[REMOTES["http-path"]]).document["upstream"] == "https://mcp.contoso.com/contoso/mcp"
    said = Choice("x", variables={"tenant": "us"})
    assert draft(said, remotes=[REMOTES["http-required"]]).document["upstream"] == "https://us.contoso.com/mcp"
    assert refused(remotes=[REMOTES["http-required"]]) == "needs a value for tenant in its URL"
    secret = remote("https://a.b.com/{key}", variables={"key": {"isSecret": True}})
    assert refused(remotes=[secret]) == "wants the secret key in its URL, which is no place for one"


@pytest.mark.parametrize("url", ["http://mcp.contoso.com/mcp", "https://127.0.0.1/mcp", "https://169.254.0.1/latest"])
def test_a_target_that_is_not_public_is_refused_unless_it_may_be_private(url: str) -> None:
    assert refused(remotes=[remote(url)])
    assert draft(Choice("x", private=True), remotes=[remote(url)]).document["private"] is True


def test_an_address_of_a_variable_is_judged_as_what_it_becomes() -> None:
    inside = Choice("x", variables={"tenant": "169.254.169.254/#"})
    assert refused(inside, remotes=[REMOTES["http-required"]])


def test_sse_alone_and_nothing_at_all_are_refused() -> None:
    assert "SSE" in refused(remotes=[REMOTES["sse"]])
    assert refused() == "has neither a remote nor a package"


@pytest.mark.parametrize(
    ("part", "words"),
    [
        ("npm", ["npx", "-y", "@contoso/server-files@1.0.2"]),
        ("npm-named", ["npx", "-y", "a@1.0.2", "--port", "8080"]),
        ("npm-flag", ["npx", "-y", "a@1.0.2", "--read-only"]),
        ("npm-hint", ["npx", "-y", "a@1.0.2", "/data"]),
        ("npm-templated", ["npx", "-y", "a@1.0.2", "--dir", "/srv/x"]),
        ("npm-runtime-arguments", ["npx", "-y", "--silent", "a@1.0.2"]),
        ("pypi-arguments", ["uvx", "a@0.5.0", "--local-timezone", "UTC", "serve"]),
        ("oci", ["docker", "run", "-i", "--rm", "docker.io/contoso/server:1.0.0"]),
        ("oci-version", ["docker", "run", "-i", "--rm", "contoso/server:1.0.0"]),
        ("oci-digest", ["docker", "run", "-i", "--rm", f"ghcr.io/contoso/server@sha256:{'a' * 64}"]),
        ("oci-env", ["docker", "run", "-i", "--rm", "-e", "API_KEY", "ghcr.io/contoso/server:1.2.3"]),
        ("nuget", ["dnx", "Contoso.Mcp.Server@0.1.0-beta", "--yes"]),
        ("nuget-arguments", ["dnx", "K.M@1.0.0", "--yes", "--", "mcp", "start"]),
    ],
)
def test_a_package_becomes_a_command_in_one_version(part: str, words: list[str]) -> None:
    assert command(PACKAGES[part]) == words


def test_what_a_command_starts_is_said_and_its_secrets_are_references() -> None:
    made = draft(packages=[PACKAGES["npm-env"]])
    assert made.document["env"] == {"API_KEY": "${env:MCP_X_API_KEY}"}
    assert made.notes == ("starts on this machine: npx -y @contoso/brave@1.0.2 with API_KEY=${env:MCP_X_API_KEY}",)
    mount = command(PACKAGES["oci-mount"], source="/srv/data")
    assert mount == [
        *("docker", "run", "-i", "--rm", "--mount", "type=bind,src=/srv/data,dst=/project"),
        *("mcp/filesystem:1.0.2", "/project"),
    ]


@pytest.mark.parametrize(
    ("part", "said"),
    [
        (PACKAGES["mcpb"], "is a package of mcpb"),
        (PACKAGES["cargo"], "is a package of cargo"),
        (PACKAGES["npm-http"], "runs as a server of its own"),
        (package("npm", "a", version="1.0.0", runtimeHint="bash"), "is a package of npm"),
        (package("npm", "a"), "is a package without a certain version"),
        (package("npm", "--eval=x", version="1.0.0"), "is a package whose name begins with -"),
        (package("oci", "contoso/server"), "is an image without a certain version"),
        (package("oci", "contoso/server:latest"), "is an image without a certain version"),
        (
            package("npm", "a", version="1.0.0", packageArguments=[named("--key", isSecret=True)]),
            "takes a secret as argument key",
        ),
        (
            package("npm", "a", version="1.0.0", packageArguments=[named("--dir", valueHint="d", isRequired=True)]),
            "needs a value for dir",
        ),
    ],
)
def test_a_package_that_cannot_be_started_as_it_stands_is_refused(part: Document, said: str) -> None:
    assert refused(packages=[part]).startswith(said)


def test_an_argument_that_may_be_left_out_is() -> None:
    part = package("npm", "a", version="1.0.0", packageArguments=[named("--dir", valueHint="d"), positional("b")])
    assert command(part) == ["npx", "-y", "a@1.0.0", "b"]
    assert command(part, dir="/x") == ["npx", "-y", "a@1.0.0", "--dir", "/x", "b"]


def test_no_program_is_started_here_unless_somebody_said_so() -> None:
    assert (
        refused(Choice("x"), packages=[PACKAGES["npm"]]) == "is a package of npm, and would be started on this machine"
    )
    with pytest.raises(Unfit, match="starts a program"):
        reached({"name": "a/b", "command": ["sh"]}, Choice())
    assert reached({"name": "a/b", "command": ["sh"]}, LOCAL).document == {"name": "a/b", "command": ["sh"]}
    assert reached({"name": "a/b", "upstream": "u"}, Choice()).notes == ()


def test_an_entry_that_somebody_else_wrote_says_what_it_is_given_and_where_it_may_lead() -> None:
    connection: Document = {"authType": "UserEntraToken", "audience": "https://vault.azure.net"}
    connection |= {"keys": {"A": "Bearer ${env:AWS_SECRET_ACCESS_KEY}"}, "oauth": {"clientSecret": "os.environ/B"}}
    written: Document = {"name": "a/b", "upstream": "https://a.b.com", "connections": {"x": connection, "y": None}}
    with pytest.raises(Unfit, match="sends a token for https://vault"):
        reached(written, Choice())
    made = reached(written, Choice(tokens=True))
    assert "AWS" not in str(made.document)
    assert made.notes == (
        "MCP_X_A stands for ${env:AWS_SECRET_ACCESS_KEY} of A",
        "MCP_X_CLIENTSECRET stands for os.environ/B of clientSecret",
        "sends a token for https://vault.azure.net to https://a.b.com",
    )
    started = reached({"name": "a/b", "command": ["x"], "env": {"A": "${file:/k}"}, "connections": {"x": {}}}, LOCAL)
    assert started.document["env"] == {"A": "${env:MCP_X_A}"}
    with pytest.raises(Unfit, match="leads to private addresses"):
        reached({**written, "private": True}, Choice())
    assert reached({**written, "private": True}, Choice(private=True, tokens=True)).document["private"] is True


def test_where_an_entry_signs_in_is_private_only_where_somebody_said_so() -> None:
    oauth: Json = {"clientId": "a", "tokenUrl": "http://10.0.0.1/t", "private": True}
    written: Document = {"name": "a/b", "upstream": "https://a.b.com"}
    written["connections"] = {"x": {"authType": "OAuth2", "oauth": oauth}}
    with pytest.raises(Unfit, match="leads to private addresses") as caught:
        reached(written, Choice(tokens=True))
    assert "--private" in caught.value.mend
    assert reached(written, Choice(private=True, tokens=True)).document == written


@pytest.mark.parametrize("pin", ["off", "trust-on-first-use"])
def test_an_entry_whose_tools_need_nobodys_approval_says_so(pin: str) -> None:
    made = reached({"name": "a/b", "upstream": "https://a.b.com", "connections": {"x": {}}, "pin": pin}, Choice())
    assert made.notes == (f"says pin: {pin}, so that its tools do not wait until somebody approved them",)


@pytest.mark.parametrize(
    "name", ["NODE_OPTIONS", "npm_config_registry", "LD_PRELOAD", "PYTHONPATH", "DOCKER_HOST", "PATH"]
)
def test_no_variable_of_a_stranger_changes_what_a_program_loads(name: str) -> None:
    literal: Json = {"name": name, "value": "--require /tmp/x.js"}
    part = package("npm", "a", version="1.0.0", environmentVariables=[literal])
    assert refused(packages=[part]) == f"would be started with {name}, which changes what the program loads"
    written: Document = {"name": "a/b", "command": ["x"], "env": {name: "1"}, "connections": {"x": {}}}
    with pytest.raises(Unfit, match=name):
        reached(written, LOCAL)


def test_every_variable_that_a_package_is_started_with_is_said() -> None:
    variables: Json = [{"name": "REGION", "value": "eu; rm"}, {"name": "SALT_KEY", "value": "hunter2"}]
    made = draft(packages=[package("npm", "a", version="1.0.0", environmentVariables=variables)])
    assert made.notes == ("starts on this machine: npx -y a@1.0.0 with REGION='eu; rm' SALT_KEY=…",)


@pytest.mark.parametrize(
    ("kind", "identifier", "base"),
    [
        ("npm", "search", "https://npm.contoso.com"),
        ("npm", "search", "https://registry.npmjs.org.evil.example/"),
        ("pypi", "search", "https://pkgs.dev.azure.com/contoso/_packaging/x/pypi/simple"),
        ("nuget", "K.M", "https://nuget.contoso.com/v3/index.json"),
        ("oci", "contoso/server", "https://contoso.azurecr.io"),
        ("oci", "evil/contoso.azurecr.io", "https://contoso.azurecr.io"),
    ],
)
def test_a_package_of_another_registry_is_not_fetched_from_the_public_one(
    kind: str, identifier: str, base: str
) -> None:
    part = package(kind, identifier, version="1.0.0", registryBaseUrl=base)
    said = refused(packages=[part])
    assert said == f"is a package of {kind} from {base}, and would be fetched from the public registry instead"


@pytest.mark.parametrize(
    ("kind", "identifier", "base"),
    [
        ("npm", "a", "https://registry.npmjs.org/"),
        ("pypi", "a", "https://pypi.org"),
        ("nuget", "K.M", "https://api.nuget.org/v3/index.json"),
        ("oci", "contoso/server", "https://docker.io"),
        ("oci", "ghcr.io/contoso/server", "https://ghcr.io"),
    ],
)
def test_a_registry_that_is_asked_anyway_may_be_named(kind: str, identifier: str, base: str) -> None:
    assert command(package(kind, identifier, version="1.0.0", registryBaseUrl=base))


def test_a_connection_gets_a_name_that_nobody_has() -> None:
    document: Document = {"name": "com.Contoso/Git_Hub", "version": "1.0.0"}
    names: list[str] = []
    for _ in range(6):
        names.append(free_name(document, frozenset(names)))
    assert names == [
        *("git-hub", "contoso-git-hub", "git-hub-1-0-0", "contoso-git-hub-1-0-0"),
        *("git-hub-2", "git-hub-3"),
    ]
    assert free_name({"name": "a/___"}, frozenset()) == "server"
    assert len(free_name({"name": f"a/{'b' * 190}"}, frozenset())) == 63


def test_a_secret_header_without_a_value_is_asked_for_even_where_it_is_optional() -> None:
    assert keys(SECRET) == {"API_KEY": "${env:MCP_X_API_KEY}"}
