"""The index: which images have been compared with each other, and what was found; it grows a run at a time."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from imageyard.manifests.errors import NotFoundError, StoreError
from imageyard.manifests.store import Store
from imageyard.ray_jobs.edges import Layer
from imageyard.ray_jobs.facts import KEY
from imageyard.ray_jobs.matching.base import Look, Matcher
from imageyard.ray_jobs.matching.binaries import rows_of
from imageyard.ray_jobs.search.certificate import Certificate, combined

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

MOST_RUNS = 8
"""Runs of an index from which they are merged into one, so that opening it stays a few reads."""


@dataclass(frozen=True)
class Run:
    """Images that were compared with each other and with all before them."""

    keys: pa.Array
    """sha256 of each image, hex."""
    codes: pa.Array
    """What was compared, fixed-size binary; null for an image that cannot be."""
    node: np.ndarray
    """int64 of shape (images,): the place in the index of the first image with an equal code, -1 without a code."""
    first: np.ndarray
    """int64 of shape (pairs,): places of images that are the first with their code."""
    second: np.ndarray
    distance: np.ndarray
    """float64 of shape (pairs,), in the tier's own unit."""
    certificates: tuple[Certificate, ...]


@dataclass(frozen=True)
class Index(Run):
    """All runs one after another: every two images of it have been compared."""

    tier: str
    runs: tuple[str, ...]
    """Digests of the runs it is made of, the eldest first: what a version names."""
    added: Run | None = None
    """What was compared just now, if anything was."""

    def layer(self, keys: Sequence[str]) -> Layer:
        """The pairs over rows that have these keys."""
        import numpy as np
        import pyarrow as pa
        import pyarrow.compute as pc

        place = pc.fill_null(pc.index_in(pa.array(keys, pa.large_string()), value_set=self.keys), -1)
        place = np.asarray(place, dtype=np.int64)
        node = np.append(self.node, -1)[place]
        return Layer(self.tier, node, self.first, self.second, self.distance)


def updated(
    store: Store, matcher: Matcher, identity: str, runs: Sequence[str], keys: Sequence[str], look: Look
) -> Index:
    """The index with all of `keys` in it, those that the `runs` lack compared with all and written as a new run.

    Called again after an interruption it finds its run, which is named by what is in it, and compares nothing.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    index = opened(store, matcher.tier, identity, runs)
    asked = pa.array(sorted(keys), pa.large_string())
    missing = asked.filter(pc.invert(pc.is_in(asked, value_set=index.keys)))
    measured = look.facts(matcher.source, missing.to_pylist(), [KEY, *matcher.columns]) if len(missing) else None
    measured = measured.filter(measured.column(KEY).is_valid()) if measured is not None else None
    if measured is not None and len(measured):
        digest = _digest(identity, index.runs, measured.column(KEY))
        try:
            run = _read(store, identity, digest)
        except NotFoundError:
            run = _compared(matcher, index, measured, look)
            _write(store, identity, digest, run)
        index = replace(_appended(index, digest, run), added=run)
    if len(index.runs) >= MOST_RUNS:
        digest = _digest(identity, (), index.keys)
        index = replace(index, runs=(digest,), certificates=combined(index.certificates))
        _write(store, identity, digest, index)
    return index


def opened(store: Store, tier: str, identity: str, runs: Sequence[str]) -> Index:
    """The index that these runs make. Raises StoreError if one is gone."""
    import numpy as np
    import pyarrow as pa

    none = np.zeros(0, np.int64)
    index = Index(
        pa.array([], pa.large_string()), pa.array([], pa.binary(1)), none, none, none, np.zeros(0), (), tier, ()
    )
    for digest in runs:
        try:
            index = _appended(index, digest, _read(store, identity, digest))
        except NotFoundError as error:
            raise StoreError(
                f"{store.address(_key(identity, digest))}: gone, but a version names it; restore the object, or give "
                "the step another parameter, and all is compared anew"
            ) from error
    return index


def _compared(matcher: Matcher, index: Index, measured: pa.Table, look: Look) -> Run:
    """The images of which these are the facts compared with each other and with all of the index."""
    import numpy as np
    import pyarrow as pa

    old, new, names = len(index.keys), matcher.codes(measured), measured.column(KEY).combine_chunks()
    kind = new.type if new.null_count < len(new) else index.codes.type
    codes = pa.concat_arrays([_typed(index.codes, kind), _typed(new, kind)])
    keys = pa.concat_arrays([index.keys, names.cast(pa.large_string())])
    value = np.asarray(codes.dictionary_encode().indices.fill_null(-1), dtype=np.int64)  # numbered as they first come
    known = np.flatnonzero(value >= 0)
    _, at = np.unique(value[known], return_index=True)
    leading = known[at]
    node = np.full(len(keys), -1, np.int64)
    node[known] = leading[value[known]]
    fresh = int(np.searchsorted(leading, old))
    run = Run(keys.slice(old), _typed(new, kind), node[old:], leading[:0], leading[:0], np.zeros(0), ())
    if fresh == len(leading):
        return run
    alike = matcher.relate(rows_of(codes.take(pa.array(leading))), _names(keys, leading), fresh, look)
    first, second = leading[alike.first], leading[alike.second]
    return replace(run, first=first, second=second, distance=alike.distance, certificates=alike.certificates)


def _names(keys: pa.Array, places: np.ndarray) -> Callable[[np.ndarray], list[str]]:
    """The keys of images by their row among the codes, looked up for those that are asked for."""
    import pyarrow as pa

    def names(rows: np.ndarray) -> list[str]:
        found: list[str] = keys.take(pa.array(places[rows])).to_pylist()
        return found

    return names


def _typed(codes: pa.Array, kind: pa.DataType) -> pa.Array:
    """Codes of another width are of no image at all: nulls."""
    import pyarrow as pa

    return codes if codes.type == kind else pa.nulls(len(codes), kind)


def _appended(index: Index, digest: str, run: Run) -> Index:
    import numpy as np
    import pyarrow as pa

    kind = run.codes.type if run.codes.null_count < len(run.codes) else index.codes.type
    return Index(
        pa.concat_arrays([index.keys, run.keys]),
        pa.concat_arrays([_typed(index.codes, kind), _typed(run.codes, kind)]),
        np.concatenate([index.node, run.node]),
        np.concatenate([index.first, run.first]),
        np.concatenate([index.second, run.second]),
        np.concatenate([index.distance, run.distance]),
        (*index.certificates, *run.certificates),
        index.tier,
        (*index.runs, digest),
    )


def _digest(identity: str, runs: Sequence[str], keys: pa.Array) -> str:
    """The name of the run that adds `keys`, in their order, to the `runs`."""
    whole = hashlib.sha256(json.dumps([identity, list(runs)]).encode())
    for at in range(0, len(keys), 65_536):
        whole.update("\n".join(keys[at : at + 65_536].to_pylist()).encode() + b"\n")
    return whole.hexdigest()[:32]


def _key(identity: str, digest: str, part: str = "pairs") -> str:
    return f"index/{identity}/{digest}.{part}.parquet"


def _write(store: Store, identity: str, digest: str, run: Run) -> None:
    """Write a run as two objects; the pairs last, whose being there says that both are."""
    import pyarrow as pa

    images = pa.table({"sha256": run.keys, "code": run.codes, "node": pa.array(run.node)})
    store.ensure(_key(identity, digest, "images"), _parquet(images))
    said = json.dumps([certificate.model_dump(mode="json") for certificate in run.certificates])
    columns = {"first": run.first, "second": run.second, "distance": run.distance}
    pairs = pa.table({name: pa.array(values) for name, values in columns.items()})
    store.ensure(_key(identity, digest), _parquet(pairs.replace_schema_metadata({"certificates": said})))


def _parquet(table: pa.Table) -> bytes:
    import pyarrow.parquet as pq

    sink = io.BytesIO()
    plain = {name: "none" if name == "code" else "zstd" for name in table.column_names}  # hashes do not shrink
    pq.write_table(table, sink, compression=plain, use_dictionary=False)
    return sink.getvalue()


def _read(store: Store, identity: str, digest: str) -> Run:
    """A run. Raises NotFoundError if it has not been written, or not wholly."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    pairs = pq.read_table(pa.BufferReader(store.get(_key(identity, digest))))
    images = pq.read_table(pa.BufferReader(store.get(_key(identity, digest, "images")))).combine_chunks()
    said = json.loads(pairs.schema.metadata[b"certificates"])
    columns = {name: images.column(name).combine_chunks() for name in images.column_names}
    first, second, distance = (pairs.column(name).to_numpy() for name in ("first", "second", "distance"))
    certificates = tuple(Certificate.model_validate(one) for one in said)
    return Run(columns["sha256"], columns["code"], columns["node"].to_numpy(), first, second, distance, certificates)
