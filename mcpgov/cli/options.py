"""A verb with many options: each is a field of a dataclass, and the verb gets one value of that class.

A function that takes ten things is hard to call and to read; a person at a terminal may still want to say ten things.
"""

from __future__ import annotations

import inspect
from dataclasses import MISSING, Field, fields
from typing import TYPE_CHECKING, Any, TypeVar, get_type_hints

if TYPE_CHECKING:
    from collections.abc import Callable

    from _typeshed import DataclassInstance

T = TypeVar("T", bound="DataclassInstance")


def with_options(shape: type[T], verb: Callable[[T], None]) -> Callable[..., None]:
    """The verb as typer wants it: a function whose keyword parameters are the fields of `shape`."""
    hints = get_type_hints(shape, include_extras=True)

    def run(**options: Any) -> None:
        verb(shape(**options))

    run.__doc__, run.__name__ = verb.__doc__, verb.__name__
    run.__annotations__ = hints
    given = [
        inspect.Parameter(
            field.name, inspect.Parameter.KEYWORD_ONLY, default=_default(field), annotation=hints[field.name]
        )
        for field in fields(shape)
    ]
    vars(run)["__signature__"] = inspect.Signature(given)
    return run


def _default(field: Field[Any]) -> Any:
    if field.default is not MISSING:
        return field.default
    return inspect.Parameter.empty if field.default_factory is MISSING else field.default_factory()
