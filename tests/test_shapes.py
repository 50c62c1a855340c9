"""What every configuration file keeps to, whatever it is for."""

from typing import Annotated, Literal

import pytest
from pydantic import Field

from mcpgov.credential.references import EnvironmentAndFiles, Unfit
from mcpgov.errors import InvalidConfiguration
from mcpgov.shapes import (
    Filled,
    Flag,
    PolicyNames,
    Shape,
    Written,
    count,
    key_header,
    policy_name,
    read_model,
)
from mcpgov.yaml_source import parse_yaml


class Example(Shape):
    """A file with one key of each sort."""

    on: Flag = False
    policies: PolicyNames = ()
    size: Annotated[int, count("bytes", 1, 9)] = 1
    inner: Annotated[dict[str, str] | None, Written] = None
    named: Annotated[PolicyNames, Filled] = ()
    given: Annotated[dict[str, str], Filled] = Field(default_factory=dict[str, str])
    mode: Literal["memory", "disk"] = "memory"


def read(text: str) -> Example:
    return read_model(Example, parse_yaml(text, "x.yaml"), EnvironmentAndFiles({}, "."))


def problems(text: str) -> list[str]:
    with pytest.raises(InvalidConfiguration) as caught:
        read(text)
    return str(caught.value).splitlines()


def test_a_good_file_is_read_and_never_changed() -> None:
    example = read("on: true\npolicies: [default, a-b]\n")
    assert (example.on, example.policies, example.mode) == (True, ("default", "a-b"), "memory")
    with pytest.raises(ValueError, match="frozen"):
        example.on = False


def test_everything_wrong_is_told_at_once_each_with_its_place_and_mend() -> None:
    assert problems("onn: true\nmode: redis\npolicies: [A]\n") == [
        (
            "x.yaml:3:12: policies[0] is not the name of a policy"
            " (write the file's name without folder and ending, like: default)"
        ),
        "x.yaml:2:7: mode must be 'memory' or 'disk' (did you mean disk?)",
        "x.yaml:1:1: there is no key onn here (did you mean on?)",
    ]


@pytest.mark.parametrize("size", ["0", "10", "1.0", "true", "'5'", "5B"])
def test_a_count_is_told_its_unit_and_bounds(size: str) -> None:
    (told,) = problems(f"size: {size}")
    assert "size must be a whole number of bytes from 1 to 9 (write digits without a unit)" in told


def test_a_section_that_is_written_and_empty_is_not_taken_for_one_that_is_left_out() -> None:
    (told,) = problems("inner:")
    assert "inner is empty (write what belongs there, or remove the key)" in told
    assert read("inner: { a: b }").inner == {"a": "b"}


@pytest.mark.parametrize("text", ["named:", "named: []", "given:", "given: {}"])
def test_a_list_that_is_written_and_empty_is_not_taken_for_one_that_is_left_out(text: str) -> None:
    (told,) = problems(text)
    assert f"{text[:5]} is empty (write at least one, or remove the key)" in told


def test_a_list_with_one_bad_item_is_not_called_empty_too() -> None:
    (told,) = problems("named: [A]")
    assert "named[0] is not the name of a policy" in told
    assert read("named: [a]\ngiven: { a: b }").named == ("a",)


def test_editors_are_told_what_may_not_be_empty() -> None:
    said = Example.model_json_schema()["properties"]
    assert (said["named"]["minItems"], said["given"]["minProperties"]) == (1, 1)


@pytest.mark.parametrize("name", ["X Key", "Host", "Connection", "Mcp-Session-Id", "content-type", "proxy-x", ""])
def test_a_header_that_steers_http_or_mcp_carries_no_key(name: str) -> None:
    with pytest.raises(Unfit):
        key_header(name)


def test_other_headers_may() -> None:
    assert key_header("X-Functions-Key") == "X-Functions-Key"
    assert policy_name("office-only") == "office-only"
