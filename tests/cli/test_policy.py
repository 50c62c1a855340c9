"""`mcpgov policy list`, `explain` and `test`, as they are typed."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from mcpgov.cli.policy import build_policy_app
from tests.cli.folder import furnish

CASES = """\
cases:
  - name: deleting is hidden
    tool: delete_repository
    expect: { reason: tool-hidden }
  - name: "from afar\\e[2J"
    tool: get_issue
    address: 11.0.0.1
    expect: { reason: allowed }
"""


def typed(*arguments: str) -> Result:
    return CliRunner().invoke(build_policy_app(), arguments)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    furnish(tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def explained(*arguments: str) -> Result:
    return typed("explain", "--connection", "github", *arguments)


def test_list_says_where_each_policy_is_in_force(folder: Path) -> None:
    (folder / "mcpgov.yaml").write_text("global_policies: [everywhere]")
    assert typed("list").stdout.splitlines() == [
        "POLICY       SIZE        MODE     IN FORCE ON",
        "company      7 elements  enforce  connection github",
        "everywhere   1 element   enforce  every connection, server com.contoso/github",
        "owners-only  1 element   enforce  tool delete_repository on github",
        "trial        1 element   report   nowhere",
    ]


def test_list_prints_the_same_as_json(folder: Path) -> None:
    assert folder
    company = json.loads(typed("list", "--json").stdout)[0]
    assert len(company.pop("digest")) == 64
    assert company == {
        "name": "company",
        "file": "policies/company.yaml",
        "mode": "enforce",
        "elements": 7,
        "scopes": ["connection github"],
        "left_out": [],
    }


def test_list_says_where_a_narrower_scope_leaves_a_policy_out(folder: Path) -> None:
    (folder / "mcpgov.yaml").write_text("global_policies: [trial]")
    (folder / "policies" / "company.yaml").write_text("base: false\ninbound: [tool-rules: { deny: [a] }]")
    rows = {line.split()[0]: line for line in typed("list").stdout.splitlines()}
    assert rows["trial"].endswith("report   every connection, left out on connection github")
    assert rows["everywhere"].endswith("enforce  nowhere, left out on connection github")
    assert rows["company"].endswith("connection github")


def test_explain_says_what_a_narrower_scope_leaves_out(folder: Path) -> None:
    (folder / "policies" / "company.yaml").unlink()
    (folder / "policies" / "company.xml").write_text(
        '<policies><inbound><trace source="a"><message>b</message></trace></inbound></policies>'
    )
    of_tool = explained("--tool", "delete_repository").stdout
    of_connection = "left out in inbound: everywhere (no <base /> in company)\n"
    assert of_connection + "left out in inbound: company (by the policies of the tool delete_repository)\n" in of_tool
    assert of_connection in explained("--tool", "get_issue").stdout
    (folder / "policies" / "company.xml").unlink()
    (folder / "policies" / "company.yaml").write_text("base: false\ninbound: []")
    said = json.loads(explained("--json").stdout)
    assert said["left_out"] == ["left out in inbound: everywhere (base: false in company)"]


def test_list_says_that_there_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "catalog").mkdir()
    assert "There is no policy." in typed("list").stdout


@pytest.mark.parametrize("verb", [("list",), ("explain", "--connection", "github"), ("test",)])
def test_a_folder_that_could_not_be_served_is_told(folder: Path, verb: tuple[str, ...]) -> None:
    (folder / "policies" / "company.yaml").write_text("inbound: [set-headr: {}]")
    result = typed(*verb)
    assert result.exit_code == 1
    assert "policies/company.yaml:1:11: there is no policy element set-headr" in result.stderr


def test_explain_shows_what_each_element_asked_and_did(folder: Path) -> None:
    assert folder
    shown = explained("--tool", "get_issue", "--ip", "10.0.0.7", "--header", "X-Region=eu")
    assert shown.exit_code == 0
    assert shown.stdout.startswith("""\
tools/call get_issue on github, by key:example from 10.0.0.7

inbound
  everywhere#1 set-header
      upstream header cookie is deleted
  company#1 ip-filter
""")
    assert (
        """
  company#3 choose
      request.headers["x-region"] == "eu" -> true
      takes branch 1
    company#3.1.1 set-backend-service
        is the host one of the connection's -> true
        sent to: https://europe-api.contoso.com
"""
        in shown.stdout
    )
    assert "\nSent to https://europe-api.contoso.com/mcp?…\n  host: europe-api.contoso.com\n" in shown.stdout
    assert "\n  authorization: ***\n" in shown.stdout
    assert not any(secret in shown.stdout for secret in ("of-the-connection", "in-the-query"))


def test_explain_prints_the_same_as_json(folder: Path) -> None:
    assert folder
    said = json.loads(explained("--tool", "delete_repository", "--ip", "10.0.0.7", "--json").stdout)
    assert (said["decision"], said["rule"]) == ("tool-hidden", "owners-only#1 tool-rules")
    assert said["elements"][0]["denies"] == "tool-hidden"
    assert said["replied"]["status"] == 200


def test_explain_tells_who_asks_with_what(folder: Path) -> None:
    rules = """\
inbound:
  - argument-rules: { tools: [pay], condition: mcp.tool.arguments.amount < 10 }
  - tool-rules: { deny: [{ annotation: destructiveHint }] }
  - choose:
      when: [{ condition: 'principal.project == "payments" && principal.id == "key:k1"', do: [] }]
      otherwise: [ip-filter: { action: forbid, addresses: [127.0.0.1] }]
"""
    (folder / "policies" / "company.yaml").write_text(rules)
    asked = ("--tool", "pay", "--arguments", '{"amount": 3}', "--annotation", "destructiveHint=false")
    assert "source-ip-denied" in explained(*asked).stdout
    allowed = explained(*asked, "--principal", "key:k1", "--project", "payments")
    assert "Decision: allowed" in allowed.stdout


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--connection", "githib"), "there is no connection githib (did you mean github?)"),
        (("--tool", "a", "--arguments", "{"), "--arguments:"),
        (("--tool", "a", "--arguments", "[1]"), "--arguments must be a JSON object"),
        (("--tool", "a", "--arguments", '{"a":1,"a":2}'), "--arguments:"),
        (("--tool", "a", "--arguments", "\udcff"), "--arguments: this is not text"),
        (("--header", "x"), "x: write NAME=VALUE"),
        (("--header", "=x"), "=x: write NAME=VALUE"),
        (("--tool", "a", "--annotation", "readOnlyHint=yes"), "write readOnlyHint=true or =false"),
        (("--ip", "10.0.0"), "10.0.0 is not an address"),
        (("--arguments", "{bad"), "--arguments: "),
        (("--arguments", '{"a": 1}'), "--arguments belongs to the call of a tool"),
        (("--annotation", "readOnlyHint=true"), "--annotation belongs to the call of a tool"),
        (("--method", "tools/call"), "--method tools/call needs --tool NAME"),
        (("--tool", "a", "--method", "tools/list"), "--tool belongs to tools/call"),
    ],
)
def test_what_cannot_be_asked_is_said(folder: Path, arguments: tuple[str, ...], told: str) -> None:
    assert folder
    result = CliRunner(env={"COLUMNS": "200"}).invoke(
        build_policy_app(), ["explain", "--connection", "github", *arguments]
    )
    assert result.exit_code == 2
    assert told in " ".join(result.stderr.replace("│", " ").split())


def test_an_empty_catalog_has_no_connection_to_explain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "catalog").mkdir()
    assert "the catalog is empty" in explained().stderr


def test_cases_are_run_and_what_they_do_not_reach_is_told(folder: Path) -> None:
    (folder / "policies" / "company.test.yaml").write_text(CASES)
    result = typed("test")
    assert result.exit_code == 1
    by = "by company#1 ip-filter: the caller's address is not allowed"
    wrong = f'reason: expected "allowed", got "source-ip-denied", {by}'
    assert result.stdout.splitlines() == [
        "ok      deleting is hidden",
        "FAILED  from afar\\x1b[2J",
        f"        policies/company.test.yaml:5: {wrong}",
        "",
        "1 of 2 cases as expected.",
        "6 of 9 elements and branches reached (66 %).",
        "    not reached: company#3.1.1 set-backend-service",
        "    not reached: company#outbound.1 set-header",
        "    not reached: company#3 choose branch 1",
    ]


def test_cases_that_come_out_as_expected_end_well(folder: Path) -> None:
    cases = folder / "one.test.yaml"
    cases.write_text("policies: [everywhere]\ncases: [{ name: a, tool: b, expect: { reason: allowed } }]\n")
    result = typed("test", str(cases))
    assert result.exit_code == 0
    assert "1 of 1 case as expected.\n1 of 1 elements and branches reached (100 %)." in result.stdout


def test_the_results_are_printed_as_json_too(folder: Path) -> None:
    (folder / "policies" / "company.test.yaml").write_text(CASES)
    said = json.loads(typed("test", "--json").stdout)
    assert [(case["name"], len(case["wrong"]), case["line"]) for case in said["cases"]] == [
        ("deleting is hidden", 0, 2),
        ("from afar\x1b[2J", 1, 5),
    ]
    assert (said["reached"], said["of"], len(said["missed"])) == (6, 9, 3)


def test_where_there_is_no_case_that_is_said(folder: Path) -> None:
    assert folder
    result = typed("test")
    assert result.exit_code == 1
    assert "There is no test." in result.stderr


def test_policies_without_elements_have_nothing_to_reach(folder: Path) -> None:
    (folder / "policies" / "nothing.yaml").write_text("inbound: []")
    (folder / "policies" / "nothing.test.yaml").write_text("cases: [{ name: a, tool: b, expect: { reason: allowed } }]")
    assert "0 of 0 elements and branches reached." in typed("test").stdout


def test_cases_that_cannot_be_read_are_told(folder: Path) -> None:
    (folder / "policies" / "company.test.yaml").write_text("cases: []")
    result = typed("test")
    assert result.exit_code == 1
    assert "policies/company.test.yaml:1:8: " in result.stderr
