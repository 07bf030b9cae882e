"""Columns of Arrow tables from NumPy arrays and back, by their buffers.

``pyarrow.array`` and ``to_numpy`` import pandas where it is installed, to look out for its types: over a second of each
worker's first slide.
"""

from typing import Any, cast

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray


def to_column(values: NDArray[Any]) -> "pa.Array[Any]":
    """Return numbers or truth values as an Arrow array without nulls.

    Parameters
    ----------
    values : ndarray, shape (n,)
        Integers, floats or bool.
    """
    if values.dtype == np.bool_:
        bits = pa.py_buffer(np.packbits(values, bitorder="little").data)
        return pa.Array.from_buffers(pa.bool_(), len(values), [None, bits])
    plain = np.ascontiguousarray(values)
    return pa.Array.from_buffers(pa.from_numpy_dtype(plain.dtype), len(plain), [None, pa.py_buffer(plain.data)])


def from_column(column: "pa.ChunkedArray[Any] | pa.Array[Any]") -> NDArray[Any]:
    """Return a column of numbers or truth values without nulls as an array, shape (n,).

    Raises
    ------
    ValueError
        Where a value is missing.
    """
    if column.null_count:
        raise ValueError("a column has missing values")
    truth = pa.types.is_boolean(column.type)
    dtype = np.dtype(np.bool_ if truth else column.type.to_pandas_dtype())
    pieces = [np.empty(0, dtype)]
    for chunk in column.chunks if isinstance(column, pa.ChunkedArray) else [column]:
        if not len(chunk):  # then there may be no buffer
            continue
        buffer, first, end = cast("memoryview[int]", chunk.buffers()[1]), chunk.offset, chunk.offset + len(chunk)
        if truth:
            bits = np.unpackbits(np.frombuffer(buffer, np.uint8), count=end, bitorder="little")
            pieces.append(bits[first:].astype(np.bool_))
        else:
            pieces.append(np.frombuffer(buffer, dtype, len(chunk), first * dtype.itemsize))
    return np.concatenate(pieces)
