"""Facts at rest: append-only Parquet chunks under names that say what was measured, by what."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterable, Mapping, Sequence, Set
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from imageyard.manifests.dataset import listed
from imageyard.manifests.store import Entry, Store
from imageyard.ray_jobs.extractors.base import Row
from imageyard.ray_jobs.ordered import ordered

if TYPE_CHECKING:
    import pyarrow as pa

KEY = "sha256"
ERROR = "error"
READERS = 8
WHOLE = 256 * 1024
"""A chunk up to this many bytes is fetched whole; of a larger one only the columns asked for, and those only if it has
an image that is asked for."""


def chunk_key(identity: str, keys: Iterable[str]) -> str:
    """The name of the chunk that holds facts of exactly these keys: a digest of them, in any order."""
    digest = hashlib.sha256("\n".join(sorted(keys)).encode()).hexdigest()[:32]
    return f"facts/{identity}/{digest}.parquet"


def write(store: Store, identity: str, columns: Sequence[pa.Field], rows: Mapping[str, Row]) -> bool:
    """Write one chunk of `rows`, by key; False if it was there already, which makes a retry harmless.

    A row may hold `error`, a sentence, in place of what could not be measured.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = pa.schema([pa.field(KEY, pa.string()), *columns, pa.field(ERROR, pa.string())])
    keys = sorted(rows)
    data = {name: [key if name == KEY else rows[key].get(name) for key in keys] for name in schema.names}
    sink = io.BytesIO()
    pq.write_table(pa.table(data, schema=schema), sink, compression="zstd", store_schema=False)
    return store.ensure(chunk_key(identity, keys), sink.getvalue())


def present(store: Store, identity: str) -> set[str]:
    """Keys that have a row of this extractor."""
    found: set[str] = set()
    for table in _tables(store, identity, [KEY]):
        found.update(table.column(KEY).to_pylist())
    return found


def read(store: Store, identity: str, keys: Sequence[str], columns: Sequence[str]) -> pa.Table:
    """The named columns, and `error`, of an extractor's rows for `keys`, in their order; null where there is none.

    KEY may be among the columns: it tells an image without a row from one with a row of nulls. Two rows of one key
    say the same; the first by chunk name is taken.
    """
    import numpy as np
    import pyarrow as pa

    wanted = set(keys)
    parts: list[Any] = []
    at: dict[str, int] = {}
    offset = 0
    fields = list(dict.fromkeys([*columns, ERROR]))
    for table in _tables(store, identity, list(dict.fromkeys([KEY, *fields])), wanted) if keys else ():
        names = table.column(KEY).to_pylist()
        useful = [row for row, name in enumerate(names) if name in wanted and name not in at]
        if not useful:
            continue
        for name in (names[row] for row in useful):
            if name not in at:
                at[name] = offset
                offset += 1
        part = table if len(useful) == len(names) else table.take(pa.array(useful))
        parts.append(part)
    if not parts:
        return pa.table({name: pa.nulls(len(keys)) for name in fields})
    whole = pa.concat_tables(parts, promote_options="permissive")
    rows = np.array([at.get(key, -1) for key in keys], dtype=np.int64)
    taken = whole.select(fields).take(pa.array(rows, mask=rows < 0))
    return taken.combine_chunks()


def _tables(store: Store, identity: str, columns: list[str], wanted: Set[str] | None = None) -> Iterable[Any]:
    """The columns of every chunk, in order of name; of one that has none of the `wanted` keys none of the rows."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    def load(entry: Entry) -> Any:
        if entry.size <= WHOLE:
            return pq.read_table(pa.BufferReader(store.get(entry.key)), columns=columns)
        with store.reader(entry.key) as stream:
            file = pq.ParquetFile(pa.PythonFile(stream, mode="r"))
            if wanted is not None and wanted.isdisjoint(file.read(columns=[KEY]).column(KEY).to_pylist()):
                return file.schema_arrow.empty_table().select(columns)
            return file.read(columns=columns)

    chunks = [entry for entry in listed(store.list(f"facts/{identity}")) if entry.key.endswith(".parquet")]
    with ThreadPoolExecutor(READERS) as pool:
        yield from ordered(pool, load, chunks, ahead=2 * READERS)


def column_names(store: Store, identity: str) -> list[str]:
    """The columns of an extractor's facts, by its first chunk; none where nothing was measured."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    chunks = listed(store.list(f"facts/{identity}"))
    if not chunks:
        return []
    with store.reader(chunks[0].key) as stream:
        return list(pq.ParquetFile(pa.PythonFile(stream, mode="r")).schema_arrow.names)
