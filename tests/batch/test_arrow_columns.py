"""Columns go to Arrow and back unchanged, without pandas."""

import subprocess
import sys

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from numpy.typing import NDArray

from ihc_quant.batch.arrow_columns import from_column, to_column

DTYPES = ("bool", "int8", "int16", "int32", "int64", "uint8", "float32", "float64")
columns = st.sampled_from(DTYPES).flatmap(lambda name: arrays(np.dtype(name), array_shapes(max_dims=1, min_side=0)))


@given(columns, st.integers(0, 9), st.integers(0, 9))
def test_what_goes_in_comes_back_whatever_it_was_cut_from(values: NDArray[np.generic], start: int, length: int) -> None:
    whole = to_column(values)
    whole.validate(full=True)
    assert whole.to_pylist() == pytest.approx(values.tolist(), nan_ok=True)
    part = pa.chunked_array([whole, whole.slice(start, length)])
    assert from_column(part).tobytes() == np.concatenate([values, values[start : start + length]]).tobytes()
    assert from_column(whole).dtype == values.dtype


def test_an_array_that_is_not_in_one_piece_of_memory_is_taken_in_its_order() -> None:
    values = np.arange(12).reshape(3, 4)[:, 1]
    assert to_column(values).to_pylist() == [1, 5, 9]


def test_missing_values_are_refused() -> None:
    with pytest.raises(ValueError, match="missing"):
        from_column(pa.chunked_array([[1, None]]))


def test_pandas_is_not_imported() -> None:
    lines = [
        "import sys, numpy, pyarrow",
        "from ihc_quant.batch.arrow_columns import from_column, to_column",
        "from_column(pyarrow.Table.from_arrays([to_column(numpy.arange(3.0))], names=['x']).column('x'))",
        "sys.exit('pandas' in sys.modules)",
    ]
    assert subprocess.run([sys.executable, "-c", "; ".join(lines)], check=False).returncode == 0
