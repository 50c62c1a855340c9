"""What is frozen here is what dataclasses freezes, made otherwise."""

import copy
from dataclasses import FrozenInstanceError, asdict, dataclass, field, fields, is_dataclass, replace
from typing import Any

import pytest

from mcpgov.frozen import frozen
from mcpgov.models import Connection, Headers, MCPRequest, RemoteUpstream


@frozen
class Value:
    """One with every sort of field."""

    name: str
    count: int = 7
    found: list[str] = field(default_factory=list[str])
    hidden: str = field(default="s", repr=False, compare=False)
    upper: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "upper", self.name.upper())


@dataclass(frozen=True, slots=True)
class Twin:
    """The same, as dataclasses makes it."""

    name: str
    count: int = 7
    found: list[str] = field(default_factory=list[str])
    hidden: str = field(default="s", repr=False, compare=False)
    upper: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "upper", self.name.upper())


def test_it_says_the_same_of_itself_as_a_dataclass_does() -> None:
    value, twin = Value("a", 2, hidden="x"), Twin("a", 2, hidden="x")
    assert is_dataclass(Value)
    assert repr(value) == repr(twin).replace("Twin", "Value")
    assert asdict(value) == asdict(twin)
    assert [one.name for one in fields(Value)] == [one.name for one in fields(Twin)]
    assert Value.__match_args__ == Twin.__match_args__
    assert Value("a") == Value("a", hidden="other")
    assert Value("a") != Value("b")


def test_each_has_its_own_of_what_is_made_for_it() -> None:
    one, other = Value("a"), Value("b")
    assert (one.count, one.found, one.upper, other.upper) == (7, [], "A", "B")
    assert one.found is not other.found


@pytest.mark.parametrize("name", ["name", "upper", "new"])
def test_nobody_changes_it(name: str) -> None:
    value = Value("a")
    with pytest.raises((FrozenInstanceError, AttributeError, TypeError)):
        setattr(value, name, "b")
    with pytest.raises((FrozenInstanceError, AttributeError, TypeError)):
        delattr(value, name)
    assert not hasattr(value, "__dict__")
    assert value == Value("a")


def test_it_is_of_its_own_class_and_not_of_the_open_one() -> None:
    assert type(Value("a")) is Value
    assert type(replace(Value("a"), name="b")) is Value
    assert replace(Value("a"), name="b").upper == "B"


def test_what_is_missing_or_not_known_is_told_as_for_any_function() -> None:
    makers: tuple[Any, ...] = (Value, Twin)
    for make in makers:
        with pytest.raises(TypeError, match=r"__init__\(\) missing 1 required positional argument: 'name'"):
            make()
        with pytest.raises(TypeError, match="unexpected keyword argument"):
            make(name="a", other=1)


def test_it_is_copied_as_it_is() -> None:
    connection = Connection("city", "com.contoso/city", RemoteUpstream("https://city.contoso.com/mcp"))
    for made in (copy.copy(connection), copy.deepcopy(connection)):
        assert made == connection
        assert hash(made) == hash(connection)
        with pytest.raises(FrozenInstanceError):
            made.__setattr__("name", "town")


def test_the_values_on_the_path_of_a_call_are_made_so() -> None:
    for value in (MCPRequest, Connection):
        assert value.__init__.__code__.co_filename == "<string>"
        assert "open_" in value.__init__.__code__.co_names
    assert Headers((("a", "1"),)).get("a") == "1"
