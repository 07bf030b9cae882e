"""Figures never say more, or less, than they know."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ihc_quant.domain.score import Estimate, Interval
from ihc_quant.domain.stain import SectionStain
from ihc_quant.report.figures import (
    format_area,
    format_bounds,
    format_chromogen,
    format_estimate,
    format_method,
    one_line,
    positive_cells,
)


def printed_percent(text: str) -> float:
    return float(text.removesuffix(" %").lstrip("<>"))


@given(st.floats(0.0, 1.0))
def test_a_percentage_prints_close_to_its_value_and_only_the_ends_print_as_ends(fraction: float) -> None:
    text = format_estimate(Estimate(fraction, "fraction"))
    assert printed_percent(text) == pytest.approx(100 * fraction, abs=0.11)
    assert (text == "0 %") == (fraction == 0)
    assert (text == "100.0 %") == (100 * fraction == 100)


@given(st.floats(0.0, 1e7), st.sampled_from(["cells/mm²", "H-score"]))
def test_a_figure_above_zero_never_prints_as_zero(value: float, unit: str) -> None:
    text = format_estimate(Estimate(value, unit)).split()[0]
    assert (text == "0") == (value == 0)
    assert text.startswith("<") or float(text.replace(",", "")) == pytest.approx(value, rel=0.06, abs=0.5)


@given(st.floats(0.0, 1e12))
def test_an_area_keeps_three_digits(area_um2: float) -> None:
    number, unit = format_area(area_um2).split()
    assert unit == "mm²"
    shown = float(number.replace(",", "").lstrip("<"))
    assert shown == pytest.approx(area_um2 / 1e6, rel=0.005, abs=1e-4)


def test_bounds_have_the_digits_of_their_estimate() -> None:
    interval = Interval(0.0012, 0.0158, 0.95, "Wilson")
    assert format_bounds(Estimate(0.0044, "fraction", (interval,)), interval) == "0.12–1.58"
    interval = Interval(401.2, 1655.9, 0.95, "bootstrap")
    assert format_bounds(Estimate(526.07, "cells/mm²", (interval,)), interval) == "401–1,656"


def test_the_bounds_of_nothing_found_keep_useful_digits() -> None:
    interval = Interval(0.0, 73.76, 0.95, "Poisson")
    assert format_bounds(Estimate(0.0, "cells/mm²", (interval,)), interval) == "0–73.8"
    interval = Interval(0.0, 0.0076, 0.95, "Wilson")
    assert format_bounds(Estimate(0.0, "fraction", (interval,)), interval) == "0–0.8"


def test_a_figure_that_cannot_be_made_states_its_reason() -> None:
    text = format_estimate(Estimate(None, "H-score", reason="no cells were found"))
    assert text == "not evaluable: no cells were found"


def test_an_unreliable_interval_says_so() -> None:
    interval = Interval(0.1, 0.2, 0.95, "block bootstrap", reliable=False, note="only 9 blocks")
    assert format_method(interval) == "95 % block bootstrap, interval unreliable: only 9 blocks"


def test_an_assumed_chromogen_is_named_assumed() -> None:
    assert format_chromogen(SectionStain("CD4", "DAB", chromogen_assumed=True)) == "DAB (assumed)"
    assert format_chromogen(SectionStain("CD4", "DAB", chromogen_assumed=False)) == "DAB"


@pytest.mark.parametrize("marker", ["H&E", "negative_control", "other"])
def test_only_surface_markers_name_cells(marker: str) -> None:
    assert positive_cells(marker) == "positive cells"


@given(st.text())
def test_one_line_leaves_nothing_that_moves_a_cursor(text: str) -> None:
    assert one_line(text).isprintable()
    assert len(one_line(text)) == len(text)
