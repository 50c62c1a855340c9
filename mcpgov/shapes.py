"""What the files of a configuration have in common: how a mapping is read, and what may stand in its values.

Rules: no unknown key; a key or value of a later version is refused by name; every problem of a file is told
at once, each with its place and its mend. Refuses to know: what any file is for.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    ValidationError,
    WithJsonSchema,
)
from pydantic import ValidationInfo as Info

from mcpgov.credential.references import Lookup, Unfit, resolve
from mcpgov.errors import InvalidConfiguration
from mcpgov.models import Secret
from mcpgov.yaml_source import problems_of

if TYPE_CHECKING:
    from pydantic import GetJsonSchemaHandler
    from pydantic_core import CoreSchema

    from mcpgov.yaml_source import Source

_NAME: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110 section 5.6.2
_SECONDS: Final = re.compile(r"([0-9]{1,4}(?:\.[0-9]{1,3})?)s")
_LONGEST: Final = 240.0  # seconds
_HOP_BY_HOP: Final = "connection|keep-alive|proxy-.*|te|trailer|transfer-encoding|upgrade"  # RFC 9110 section 7.6.1
_NO_KEY: Final = re.compile(rf"{_HOP_BY_HOP}|host|content-.*|accept|accept-encoding|expect|mcp-.*", re.IGNORECASE)

Model = TypeVar("Model", bound=BaseModel)


class Shape(BaseModel):
    """A mapping in a file: no unknown keys, never changed, its values in no error message."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


def read_model(model: type[Model], source: Source, lookup: Lookup) -> Model:
    """The file as a `model`. Raises InvalidConfiguration with every problem, each with the mend its check gave."""
    try:
        return model.model_validate(source.value, context=lookup)
    except ValidationError as error:
        raise InvalidConfiguration(problems_of(error, source, model)) from None


def lookup_of(info: Info) -> Lookup:
    """The Lookup that read_model() was given."""
    context: Any = info.context
    return context


def key_header(name: str) -> str:
    """A header name that may carry a key. Raises Unfit for what is no name, or steers HTTP or MCP."""
    if not _TOKEN.fullmatch(name):
        raise Unfit("is not the name of a header", "write a name such as X-API-Key")
    if _NO_KEY.fullmatch(name):
        raise Unfit("is a header that belongs to HTTP or MCP, and carries no key", "write another, such as X-API-Key")
    return name


def policy_name(name: str) -> str:
    """The name of a policy: its file without the ending. Raises Unfit."""
    if not _NAME.fullmatch(name):
        raise Unfit("is not the name of a policy", "write the file's name without folder and ending, like: default")
    return name


def written(value: object) -> object:
    """A value that is there. Raises Unfit for a key with nothing behind it, which would be as if left out."""
    if value is None:
        raise Unfit("is empty", "write what belongs there, or remove the key")
    return value


def filled(value: object) -> object:
    """A list or mapping with something in it. Raises Unfit for an empty one, which would be as if left out."""
    if value is None or value in ([], {}):
        raise Unfit("is empty", "write at least one, or remove the key")
    return value


class _Filled(BeforeValidator):
    """A check by filled(), which JSON Schemas are told of."""

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        """What pydantic asks of an annotation."""
        made = handler(schema)
        return {**made, "minItems" if made.get("type") == "array" else "minProperties": 1}


def count(unit: str, low: int, high: int) -> PlainValidator:
    """A whole number of something, whose name and bounds are told to whoever writes 1MB."""

    def check(value: object) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise Unfit(f"must be a whole number of {unit} from {low} to {high}", "write digits without a unit")
        return value

    return PlainValidator(check)


def resolved_text(value: object, info: Info) -> Secret:
    """A text whose references are resolved. Raises Unfit."""
    if not isinstance(value, str):
        raise Unfit("must be text", "put it in quotes")
    return resolve(value, lookup_of(info))


def _seconds(value: object) -> float:
    match = _SECONDS.fullmatch(value) if isinstance(value, str) else None
    seconds = float(match[1]) if match else value
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 1 <= seconds <= _LONGEST:
        raise Unfit("is not a time from 1s to 240s", "write it like 90s")
    return float(seconds)


PolicyNames = tuple[Annotated[str, AfterValidator(policy_name)], ...]
TEXT: Final = WithJsonSchema({"type": "string"})
NUMBER: Final = WithJsonSchema({"type": "integer"})
Written: Final = BeforeValidator(written)
Filled: Final = _Filled(filled)
Seconds = Annotated[float, PlainValidator(_seconds), TEXT]  # how long something is waited for
Flag = Annotated[bool, Field(strict=True)]
