"""The straight line through times: it takes what is spent once, and does not follow times that grow faster."""

import pytest
from scaling import straight_line

SLIDES = [10, 20, 40]


@pytest.mark.parametrize("once", [0.0, 4.0, 60.0])
def test_what_is_spent_once_and_on_each_slide_is_told_apart(once: float) -> None:
    assert straight_line(SLIDES, [once + 1.5 * count for count in SLIDES]) == pytest.approx((1.5, once, 0.0), abs=1e-6)


@pytest.mark.parametrize("power", [1.2, 1.5, 2.0])
def test_times_that_grow_faster_than_the_slides_miss_the_line(power: float) -> None:
    _, once, missed = straight_line(SLIDES, [count**power for count in SLIDES])
    assert once == 0
    assert missed > 0.1
