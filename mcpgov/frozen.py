"""`@frozen`: a dataclass that is frozen and slotted, and cheap to make.

It is what `dataclass(frozen=True, slots=True)` gives, but for how its `__init__` sets the fields. That one calls
object.__setattr__ for each, which was a sixth of what a governed call cost; this one makes an object of an open twin
class, with the same slots and nothing that forbids, sets the fields as any object's are set, and closes it by giving it
its own class. Nobody else sees it open. As dataclasses does, it writes the text of `__init__` from the names of the
fields, and from nothing else.
"""

from __future__ import annotations

from dataclasses import MISSING, dataclass, field, fields
from typing import TYPE_CHECKING, Any, TypeVar, dataclass_transform

if TYPE_CHECKING:
    from dataclasses import Field

T = TypeVar("T")


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def frozen(cls: type[T]) -> type[T]:
    """The class as such a dataclass. It has no base but object, and no field that is only for `__init__`."""
    closed: Any = dataclass(frozen=True, slots=True)(cls)
    opened = type(closed.__name__, (), {"__slots__": closed.__slots__})
    known: dict[str, Any] = {"closed": closed, "opened": opened, "open_": object.__setattr__, "MISSING": MISSING}
    parameters, lines = ["self"], [" open_(self, '__class__', opened)"]
    for one in filter(lambda one: one.init, fields(closed)):
        parameters.append(_parameter(one, known))
        made = f"made_{one.name}() if {one.name} is MISSING else " if one.default_factory is not MISSING else ""
        lines.append(f" self.{one.name} = {made}{one.name}")
    lines.append(" self.__class__ = closed")
    if hasattr(closed, "__post_init__"):
        lines.append(" self.__post_init__()")
    exec("\n".join((f"def __init__({', '.join(parameters)}):", *lines)), known)
    init = known["__init__"]
    init.__qualname__, init.__annotations__ = f"{closed.__qualname__}.__init__", closed.__init__.__annotations__
    closed.__init__ = init
    return closed


def _parameter(one: Field[Any], known: dict[str, Any]) -> str:
    """How a field stands in the head of `__init__`; its default, or what makes it, joins what is `known` there."""
    if one.default_factory is not MISSING:
        known[f"made_{one.name}"] = one.default_factory
        return f"{one.name}=MISSING"
    if one.default is MISSING:
        return one.name
    known[f"default_{one.name}"] = one.default
    return f"{one.name}=default_{one.name}"
