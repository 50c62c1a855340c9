"""Every file of the policies folder is read; what is wrong in one does not hide the next."""

from pathlib import Path

import pytest

from mcpgov.credential.references import EnvironmentAndFiles
from mcpgov.models import Secret
from mcpgov.policy_files import Given, Linted, PolicyFiles, PolicyReferences, lint_alone, lint_policies, load_policies

REFERENCES = PolicyReferences({"plain": "p", "hidden": Secret("s3cret")}, EnvironmentAndFiles({"KEY": "from-env"}))


def texts(**files: str) -> dict[Path, str]:
    return {Path("policies", f"{name}.{'xml' if text[0] == '<' else 'yaml'}"): text for name, text in files.items()}


def loaded(**files: str) -> PolicyFiles:
    return load_policies(texts(**files), REFERENCES)


def linted(**files: str) -> tuple[Linted, ...]:
    return lint_alone(texts(**files))


def told(files: PolicyFiles) -> list[str]:
    return [str(problem) for problem in files.problems]


def test_policies_and_fragments_are_told_apart() -> None:
    files = loaded(
        one="inbound: [include-fragment: { fragment-id: part }]",
        two="<inbound><base /><include-fragment fragment-id='part' /></inbound>",
        part="fragment: [tool-rules: { deny: [a] }]",
    )
    assert told(files) == []
    assert (files.documents.keys(), files.fragments) == ({"one", "two"}, {"part"})


def test_every_problem_of_every_file_is_told_once() -> None:
    files = loaded(
        a="inbound: [nonsense: {}]",
        b="{",
        part="fragment: [nonsense: {}]\nmore: 1\n",
        user="inbound: [include-fragment: { fragment-id: part }, include-fragment: { fragment-id: part }]",
        gone="inbound: [include-fragment: { fragment-id: prat }]",
    )
    assert files.documents.keys() == set()
    assert [problem.partition(": ")[0] for problem in told(files)] == [
        "policies/a.yaml:1:11",
        "policies/b.yaml:1:2",
        "policies/part.yaml:2:1",
        "policies/part.yaml:1:12",
        "policies/gone.yaml:1:44",
    ]


def test_a_fragment_that_includes_itself_is_refused() -> None:
    (problem,) = told(loaded(part="fragment: [include-fragment: { fragment-id: part }]"))
    assert "the fragment part includes itself" in problem


def test_a_name_that_no_policy_may_have_is_told() -> None:
    (problem,) = told(load_policies({Path("policies/My Policy.yaml"): "inbound: []"}, REFERENCES))
    assert "the file name gives the policy the name My Policy" in problem


def test_secrets_that_policies_draw_in_are_collected() -> None:
    references = PolicyReferences(REFERENCES.values, REFERENCES.lookup)
    text = 'inbound: [set-header: { name: a, value: "{{plain}} {{hidden}} ${env:KEY}" }]'
    assert load_policies(texts(a=text), references).problems == ()
    assert {secret.reveal() for secret in references.drawn} >= {"s3cret", "from-env"}
    assert "s3cret" not in repr(references)


def test_a_reference_that_leads_nowhere_is_told() -> None:
    with pytest.raises(ValueError, match="names the environment variable GONE, which is not set"):
        REFERENCES.resolve("${env:GONE}")
    assert REFERENCES.named("gone") is None


def test_files_alone_are_read_with_what_they_draw_in_taken_as_given() -> None:
    a, b, c, d = linted(
        a="<inbound><set-header name='a'><value>{{x}}</value></set-header></inbound>",
        b="<inbound><set-backend-service base-url='{{api}}' /></inbound>",
        c="inbound: [include-fragment: { fragment-id: gone }, set-header: { name: a, value: '${file:gone}' }]",
        d="inbound: []",
    )
    assert [one.problems for one in (a, b, c, d)] == [(), (), (), ()]
    assert [one.given for one in (a, b, c, d)] == [
        ("{{x}}",),
        ("{{api}}",),
        ("the fragment gone", "${file:gone}"),
        (),
    ]


def test_remarks_are_those_of_the_file_and_of_the_fragment() -> None:
    step = "<ip-filter action='allow'><address>10.0.0.0/8</address></ip-filter>"
    policy, fragment = linted(a=f"<inbound><base />{step}</inbound>", part=f"<fragment>{step}</fragment>")
    assert len(policy.remarks) == len(fragment.remarks) == 1
    assert fragment.is_fragment


def test_a_fragment_that_is_no_mapping_never_comes_so_far() -> None:
    (one,) = lint_policies(texts(a="[]"), REFERENCES)
    assert (one.document, one.is_fragment, len(one.problems)) == (None, False, 1)


def test_given_names_what_was_asked_for() -> None:
    given = Given("v")
    assert (given.named("a"), given.resolve("${env:X}")) == ("v", Secret("0" * 44))
    assert given.fragment("part").source.value == {"fragment": []}
    assert given.taken == ["{{a}}", "${env:X}", "the fragment part"]
