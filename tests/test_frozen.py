"""What is frozen here is what dataclasses freezes, made otherwise."""

import copy
from dataclasses import FrozenInstanceError, asdict, dataclass, field, fields, is_dataclass, replace
from typing import Any

import pytest

from mcpgov.frozen import frozen
from mcpgov.models import Connection, Headers, RemoteUpstream
from tests.upstream.calls import call


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


def test_one_that_derives_and_one_that_is_derived_from_are_of_their_own_classes() -> None:
    @frozen
    class Base:
        """One from which others derive."""

        name: str

    before = Base("a")

    @frozen
    class Derived(Base):
        """One that derives."""

        count: int = 1

    class Plain(Base):
        """One that says no more."""

    assert (repr(before), type(before)) == (repr(Base("a")), Base)
    assert (Derived("a", 2).name, Derived("a", 2).count, type(Derived("a"))) == ("a", 2, Derived)
    assert (Plain("a").name, type(Plain("a"))) == ("a", Plain)
    assert len({before, Base("a"), Derived("a"), Plain("a")}) == 3
    for made in (before, Derived("a"), Plain("a")):
        with pytest.raises(FrozenInstanceError):
            made.__setattr__("name", "b")


def test_what_a_class_says_of_its_own_stays() -> None:
    @frozen
    class Own:
        """One with methods that are not the shared ones."""

        name: str

        def __eq__(self, other: object) -> bool:
            return isinstance(other, Own) and other.name.lower() == self.name.lower()

        def __hash__(self) -> int:
            return hash(self.name.lower())

        def __repr__(self) -> str:
            return "Own(...)"

    assert Own("a") == Own("A")
    assert len({Own("a"), Own("A")}) == 1
    assert repr(Own("a")) == "Own(...)"


def test_a_field_may_count_for_equality_and_not_for_the_hash() -> None:
    @frozen
    class Listed:
        """One with a field that has no hash."""

        name: str
        given: dict[str, str] = field(default_factory=dict[str, str], hash=False)
        seen: int = field(default=0, compare=False)

    assert Listed("a", {"b": "c"}) != Listed("a")
    assert hash(Listed("a", {"b": "c"})) == hash(Listed("a", seen=3)) == hash(Listed("a"))
    assert Listed("a", seen=3) == Listed("a")


def test_nothing_is_written_for_a_class_of_which_there_is_no_value() -> None:
    @frozen
    class Unused:
        """One that nobody makes."""

        name: str

    assert Unused.__init__.__code__.co_filename != "<string>"
    Unused("a")
    assert Unused.__init__.__code__.co_filename == "<string>"


def test_the_values_on_the_path_of_a_call_are_made_with_a_twin() -> None:
    assert Headers((("a", "1"),)).get("a") == "1"
    made = Connection("city", "com.contoso/city", RemoteUpstream("https://city.contoso.com/mcp"))
    for value in (made, made.upstream, call()):
        assert "OPENED" in type(value).__init__.__code__.co_names
