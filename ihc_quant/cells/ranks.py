"""90th percentiles of short lists, by exact order statistics, for numba."""

import numpy as np
from numba import njit
from numpy.typing import NDArray


@njit(nogil=True, cache=True)
def p90(values: NDArray[np.float32], n: int) -> float:
    """Return the smallest of the first ``n`` values that at least nine tenths do not exceed; reorders them."""
    return _ranked(values, n, (9 * n + 9) // 10 - 1)


@njit(nogil=True, cache=True)
def p90_of_both(
    one: NDArray[np.float32],
    n: int,
    p90_of_one: np.float32,
    other: NDArray[np.float32],
    m: int,
    p90_of_other: np.float32,
) -> float:
    """Return the 90th percentile of two sets together, which lies between theirs; reorders the first."""
    low, high = min(p90_of_one, p90_of_other), max(p90_of_one, p90_of_other)
    below, between = 0, 0
    for i in range(n):
        value = one[i]
        below += value < low
        one[between] = value
        between += low <= value <= high
    for i in range(m):
        value = other[i]
        below += value < low
        one[between] = value
        between += low <= value <= high
    return _ranked(one, between, (9 * (n + m) + 9) // 10 - 1 - below)


@njit(nogil=True, cache=True)
def _ranked(values: NDArray[np.float32], n: int, wanted: int) -> float:
    """Return the value of rank ``wanted``, from 0, of the first ``n``; reorders them (Hoare's selection)."""
    low, high = 0, n - 1
    while low < high:
        pivot = values[(low + high) // 2]
        i, j = low, high
        while i <= j:
            while values[i] < pivot:
                i += 1
            while values[j] > pivot:
                j -= 1
            if i <= j:
                values[i], values[j] = values[j], values[i]
                i += 1
                j -= 1
        if wanted <= j:
            high = j
        elif wanted >= i:
            low = i
        else:
            break
    return float(values[wanted])
