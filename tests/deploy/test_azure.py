"""deploy/azure, read and never run: it closes what it opens, names what there is, and lets no secret out.

There is no compiler of Bicep here: types of properties are not checked, and nothing was deployed.
"""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from mcpgov.app import build_cli
from mcpgov.publish.api_center import ENVIRONMENT
from tests.deploy.bicep import NAME, Broken, Declared, code, declarations
from tests.deploy.configured import RECORDS_KEY, checked

FOLDER = Path(__file__).parents[2] / "deploy" / "azure"
FILES = sorted(FOLDER.rglob("*.bicep"))
MAIN = FOLDER / "main.bicep"
SETTINGS = FOLDER / "gateway" / "settings" / "mcpgov.yaml"
SEEN = {
    line.split()[0]
    for line in Path(__file__).with_name("api_versions.txt").read_text("utf-8").splitlines()
    if not line.startswith("#")
}
GATEWAY = "https://mcp.contoso.com"
SECRETS = {"POSTGRES_PASSWORD": "5up3r5ecret", "REDIS_PASSWORD": "5up3r5ecret", "MCPGOV_KEY": RECORDS_KEY}


def read(file: Path) -> list[Declared]:
    return list(declarations(file.read_text("utf-8")))


def of(file: Path, kind: str) -> dict[str, Declared]:
    return {one.name: one for one in read(file) if one.kind == kind}


def ids(file: Path) -> str:
    return file.relative_to(FOLDER).as_posix()


def given(module: Declared) -> set[str]:
    """The params that a module is given."""
    inside = code(module.text).partition("params:")[2]
    flat = re.sub(r"\([^()]*\)", "", inside)
    return set(re.findall(r"(\w+):", flat))


@pytest.mark.parametrize("file", FILES, ids=ids)
def test_everything_that_is_opened_is_closed(file: Path) -> None:
    assert code(file.read_text("utf-8"))


@pytest.mark.parametrize("file", FILES, ids=ids)
def test_every_type_is_one_that_was_seen_in_this_version(file: Path) -> None:
    assert {one.what for one in of(file, "resource").values()} - SEEN == set()


def test_what_is_no_longer_named_leaves_the_list() -> None:
    assert {one.what for file in FILES for one in of(file, "resource").values()} == SEEN


@pytest.mark.parametrize("file", FILES, ids=ids)
def test_every_name_that_is_declared_is_used(file: Path) -> None:
    text = file.read_text("utf-8")
    for kind in ("param", "var"):
        for name in of(file, kind):
            assert len(re.findall(rf"\b{name}\b", code(text))) > 1, f"{kind} {name}"


@pytest.mark.parametrize("file", FILES, ids=ids)
def test_every_file_that_is_named_is_there(file: Path) -> None:
    named = [one.what for one in of(file, "module").values()]
    named += re.findall(r"load(?:Text|Json)Content\('([^']+)'\)", file.read_text("utf-8"))
    assert [name for name in named if not (file.parent / name).is_file()] == []


@pytest.mark.parametrize("file", FILES, ids=ids)
def test_a_module_is_given_what_it_asks_for_and_gives_what_is_asked_of_it(file: Path) -> None:
    text = file.read_text("utf-8")
    for module in of(file, "module").values():
        there = file.parent / module.what
        params = of(there, "param")
        needed = {name for name, one in params.items() if not re.match(r"param \w+ \w+ =", one.text)}
        assert needed <= given(module) <= params.keys(), module.name
        asked = set(re.findall(rf"\b{module.name}\.outputs\.(\w+)", text))
        assert asked <= of(there, "output").keys(), module.name


@pytest.mark.parametrize("file", FILES, ids=ids)
def test_secrets_are_marked_and_stand_in_no_output(file: Path) -> None:
    for name, one in of(file, "param").items():
        assert one.secure is bool(re.search(r"(?i)password|key$|secret", name)), name
    for one in of(file, "output").values():
        assert not re.search(r"(?i)password|listKeys|secret|[a-z]Key\b", one.text.partition("=")[2]), one.name


def test_every_parameter_of_azd_is_one_of_the_template_and_every_output_that_a_hook_reads_is_there() -> None:
    parameters: dict[str, Any] = json.loads((FOLDER / "main.parameters.json").read_text("utf-8"))["parameters"]
    assert parameters.keys() == of(MAIN, "param").keys()
    azd: dict[str, Any] = yaml.safe_load((FOLDER / "azure.yaml").read_text("utf-8"))
    assert (FOLDER / azd["infra"]["path"] / f"{azd['infra']['module']}.bicep").is_file()
    hooks = [FOLDER / hook["run"] for hook in azd["hooks"].values()]
    text = "".join(hook.read_text("utf-8") for hook in hooks)
    set_there = set(re.findall(r"azd env set (\w+)", text))
    values = set(re.findall(r"\$\{(\w+)", json.dumps(parameters)))
    assert set_there <= values
    assert set(re.findall(r"get-value (\w+)", text)) <= of(MAIN, "output").keys() | set_there


@pytest.mark.parametrize("hook", sorted((FOLDER / "hooks").iterdir()), ids=lambda hook: hook.name)
def test_a_script_can_be_read_by_a_shell(hook: Path) -> None:
    assert subprocess.run(["sh", "-n", hook], check=False).returncode == 0
    assert hook.stat().st_mode & 0o111


def test_mcpgov_takes_the_settings_as_they_stand_and_the_template_replaces_what_is_in_them() -> None:
    code_, said = checked(SETTINGS, SECRETS)
    assert (code_, "/mcp/learn" in said) == (0, True), said
    text = SETTINGS.read_text("utf-8")
    replaced = re.findall(r"replace\([^']*'([^']+)'", (FOLDER / "modules" / "gateway.bicep").read_text("utf-8"))
    assert len(replaced) == 7
    assert [one for one in replaced if one not in text] == []
    assert set(re.findall(r"\$\{env:(\w+)\}", text)) == set(SECRETS)
    assert re.findall(r"contoso", re.sub("|".join(map(re.escape, replaced)), "", text.partition("listen:")[2])) == []


def test_every_file_of_the_gateway_is_mounted_and_every_secret_is_one_of_the_app() -> None:
    text = (FOLDER / "modules" / "gateway.bicep").read_text("utf-8")
    loaded = set(re.findall(r"loadTextContent\('\.\./gateway/([^']+)'\)", text))
    there = {file.relative_to(FOLDER / "gateway").as_posix() for file in (FOLDER / "gateway").rglob("*.yaml")}
    assert loaded == there
    secrets = set(re.findall(r"name: '([\w-]+)'\n +(?:keyVaultUrl|value: (?:settings|learn|company))", text))
    assert set(re.findall(r"secretRef: '([\w-]+)'", text)) == secrets
    in_vault = set(re.findall(r"vaultUri\}secrets/([\w-]+)", text))
    made = "".join((FOLDER / "modules" / f"{name}.bicep").read_text("utf-8") for name in ("vault", "databases"))
    assert in_vault == set(re.findall(r"secrets@[\d-]+' = \{\n +parent: vault\n +name: '([\w-]+)'", made))
    paths = re.findall(r"path: '([\w.-]+\.yaml)'", text)
    assert sorted(paths) == sorted(Path(name).name for name in there)


def printed(*words: str) -> str:
    """What a verb prints with the settings of this deployment."""
    done = CliRunner(env=SECRETS).invoke(build_cli(), [*words, "--config", str(SETTINGS)])
    assert done.exit_code == 0, done.output
    return done.stdout


def test_the_connection_is_the_one_that_mcpgov_prints() -> None:
    ours = (FOLDER / "modules" / "foundry-connection.bicep").read_text("utf-8")
    theirs = printed("foundry", "bicep", "learn").replace(f"'{GATEWAY}/mcp/learn'", "target")
    theirs = theirs.replace("name: 'learn'", "name: connectionName")
    assert ours.partition("resource account")[2] == theirs.partition("resource account")[2]


def test_the_guard_is_the_one_that_mcpgov_prints() -> None:
    ours = json.loads((FOLDER / "modules" / "guard.json").read_text("utf-8"))
    assert ours == json.loads(printed("foundry", "policy"))


def test_the_environment_of_the_catalog_is_the_one_that_is_published_to() -> None:
    environment = of(FOLDER / "modules" / "api-center.bicep", "resource")["mcpgov"].text
    assert f"name: '{ENVIRONMENT}'" in environment
    assert "kind: 'mcp'" in environment


@pytest.mark.parametrize("text", ["a {", "a }", "a 'b\n'", "a '${b'", "(]", "a 'b"])
def test_what_is_not_closed_is_found(text: str) -> None:
    with pytest.raises(Broken):
        code(text)


def test_strings_and_comments_are_no_code_but_what_is_put_into_a_string_is() -> None:
    assert NAME.findall(code("a 'b ${c['d']} e' // f {\ng")) == ["a", "c", "g"]


def test_declarations_are_read_with_what_is_said_of_them() -> None:
    text = "@description('x')\n@secure()\nparam a string\nparam b string = 'c'\nresource d 'E/f@1' existing = {\n}\n"
    read_ = list(declarations(text))
    assert [(one.kind, one.name, one.what, one.secure) for one in read_] == [
        ("param", "a", "string", True),
        ("param", "b", "string", False),
        ("resource", "d", "E/f@1", False),
    ]
