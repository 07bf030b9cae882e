"""Whether the machine differs from people more than people differ from one another."""

from collections.abc import Callable
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from ihc_quant.domain.agreement import MachineAgainstPeople
from ihc_quant.domain.score import Estimate, Interval

DRAWS = 2000
SEED = 20040
"""Of the generator, so that the same table always gives the same page."""

FEWEST_TARGETS = 10
"""With fewer targets the draws repeat a few combinations, and no interval is given."""

Columns = NDArray[np.float64]


def judge_machine(people: NDArray[np.float64], machine: NDArray[np.float64]) -> tuple[MachineAgainstPeople, ...]:
    """Compare machine–reader pairs with reader–reader pairs, on the same targets.

    Parameters
    ----------
    people : ndarray, shape (n, k), float64
        Figures of people, finite.
    machine : ndarray, shape (n,), float64
        Figures of the machine, finite.

    Returns
    -------
    tuple of MachineAgainstPeople
        Lin's coefficient and the mean absolute difference, each averaged over pairs. Empty for fewer than two people
        or three targets, and without the coefficient where figures do not vary. The interval of the difference is a
        percentile bootstrap over targets.
    """
    n, k = people.shape
    if n < 3 or k < 2:
        return ()
    compared = (
        _compared("Lin's concordance coefficient", _concordance, True, people, machine),
        _compared("mean absolute difference", _distance, False, people, machine),
    )
    return tuple(each for each in compared if each is not None)


def _compared(
    name: str,
    figure: Callable[[Columns, Columns], Columns],
    larger_is_better: bool,
    people: NDArray[np.float64],
    machine: NDArray[np.float64],
) -> MachineAgainstPeople | None:
    n, k = people.shape
    random = np.random.Generator(np.random.PCG64(SEED))
    drawn = np.vstack([np.arange(n), random.integers(0, n, size=(DRAWS, n))])
    of_machine = machine[drawn]
    of_people = [people[:, reader][drawn] for reader in range(k)]
    with_machine = np.mean([figure(of_machine, each) for each in of_people], axis=0)
    among = np.mean([figure(one, other) for one, other in combinations(of_people, 2)], axis=0)
    apart = with_machine - among
    told = apart[1:][np.isfinite(apart[1:])]
    if not np.isfinite(apart[0]):
        return None
    intervals: tuple[Interval, ...] = ()
    if n >= FEWEST_TARGETS and len(told) >= DRAWS / 2:
        low, high = np.quantile(told, [0.025, 0.975])
        intervals = (Interval(float(low), float(high), 0.95, f"bootstrap over targets, {DRAWS} draws"),)
    difference = Estimate(float(apart[0]), "", intervals)
    return MachineAgainstPeople(name, float(with_machine[0]), float(among[0]), difference, larger_is_better, n)


def _concordance(one: Columns, other: Columns) -> Columns:
    """Return Lin's coefficient of each draw, shape (draws,); NaN where nothing varies."""
    apart = one.mean(axis=1) - other.mean(axis=1)
    whole = one.var(axis=1) + other.var(axis=1) + apart**2
    covariance = (one * other).mean(axis=1) - one.mean(axis=1) * other.mean(axis=1)
    return np.asarray(np.divide(2 * covariance, whole, out=np.full(len(one), np.nan), where=whole > 0))


def _distance(one: Columns, other: Columns) -> Columns:
    return np.asarray(np.abs(one - other).mean(axis=1))
