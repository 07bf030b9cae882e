"""Example cells: every kind is kept, and those of a call stand for all cells of that call."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ihc_quant.batch.example_bank import PER_KIND, choose_bank, draw_order, first_drawn


@given(st.integers(0, 2000), st.integers(0, 2**32))
def test_first_drawn_of_a_grade_are_the_first_of_all_its_cells(count: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    p, od = rng.beta(0.2, 2, count).astype(np.float32), rng.gamma(1, 0.2, count).astype(np.float32)
    kept = choose_bank(p, od, *rng.uniform(0, 9000, (2, count)))
    assert (np.diff(kept) > 0).all()
    # A threshold between kinds: calls are whole kinds.
    grade = np.where((p * 10).astype(int) >= 5, 1 + (od >= 0.4).astype(int) + (od >= 0.6), 0).astype(np.int8)
    drawn = kept[first_drawn(kept, count, grade[kept])]
    order = draw_order(count)
    for number in range(4):
        first = order[grade[order] == number][:PER_KIND]
        assert set(first) == set(drawn[grade[drawn] == number])
