"""Records as Parquet, in the columns of columns.py; the time is a timestamp.

Pure: a payload is a whole file in memory, at most one batch. Refuses to know where pyarrow comes from, which is
optional: it is handed in.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Self

from mcpgov.audit.exported import Payload
from mcpgov.audit.formats.batches import LIMIT, divided, encoded, moment, name_of
from mcpgov.audit.formats.columns import NAMES, NUMBERS, values
from mcpgov.frozen import frozen

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mcpgov.audit.exported import Exported

MEDIA_TYPE: Final = "application/vnd.apache.parquet"
TIME: Final = "time"


@frozen
class Parquet:
    """The Format `parquet`, made by `arrow`, the module pyarrow. `limit` is in bytes of JSON: a file has fewer."""

    arrow: Any  # it comes without types
    limit: int = LIMIT

    def payloads(self, records: Sequence[Exported]) -> Iterator[Payload]:
        """One row a record."""
        for part, _ in divided(records, lambda one: encoded(one.fields), self.limit):
            sink = self.arrow.BufferOutputStream()
            with ParquetFile(self.arrow, sink) as file:
                file.write(part)
            yield Payload(sink.getvalue().to_pybytes(), len(part), MEDIA_TYPE, name_of(part, ".parquet"))


class ParquetFile:
    """One file in `sink`, which takes bytes, to which batches are added. It is whole when its context is left."""

    def __init__(self, arrow: Any, sink: Any) -> None:
        self._arrow, self._schema = arrow, schema(arrow)
        self._writer: Any = arrow.parquet.ParquetWriter(sink, self._schema, compression="zstd")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._writer.close()

    def write(self, records: Sequence[Exported]) -> None:
        """Add a batch."""
        rows = [{**values(one), TIME: moment(one)} for one in records]
        self._writer.write_table(self._arrow.Table.from_pylist(rows, schema=self._schema))


def schema(arrow: Any) -> Any:
    """The columns and their types."""
    kinds = {name: arrow.int64() for name in NUMBERS} | {TIME: arrow.timestamp("us", "UTC")}
    return arrow.schema([(name, kinds.get(name, arrow.string())) for name in NAMES])
