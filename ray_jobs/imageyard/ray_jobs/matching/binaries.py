"""Codes as Arrow holds them, fixed-size binary with nulls, and as numpy does, rows of bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa


def rows_of(column: pa.Array) -> np.ndarray:
    """Fixed-size binary, or integers, without nulls as uint8 of shape (n, bytes)."""
    import numpy as np
    import pyarrow as pa

    if pa.types.is_integer(column.type):
        return np.ascontiguousarray(column.to_numpy()).view(np.uint8).reshape(len(column), column.type.bit_width // 8)
    if not pa.types.is_fixed_size_binary(column.type):
        return np.zeros((len(column), 0), np.uint8)  # nothing has been measured
    width = column.type.byte_width
    values = np.frombuffer(column.buffers()[1], np.uint8)
    return values[column.offset * width : (column.offset + len(column)) * width].reshape(len(column), width)


def binaries(rows: np.ndarray, known: np.ndarray) -> pa.Array:
    """`rows`, uint8 of shape (n, bytes), as fixed-size binary at the places that `known` holds, null elsewhere."""
    import numpy as np
    import pyarrow as pa

    width = max(1, rows.shape[1])
    whole = np.zeros((len(known), width), np.uint8)
    if rows.shape[1]:
        whole[known] = rows
    mask = pa.py_buffer(np.packbits(known, bitorder="little").tobytes())
    return pa.FixedSizeBinaryArray.from_buffers(pa.binary(width), len(known), [mask, pa.py_buffer(whole.tobytes())])
