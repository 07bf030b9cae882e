"""Cut points as people write them."""

import numpy as np
import pytest

from ihc_quant.domain.ccr4 import Ccr4Scheme
from ihc_quant.errors import SettingsError
from ihc_quant.evaluation.cut_points import parse_cuts, published_scheme
from ihc_quant.scoring.ccr4_schemes import CCR4_SCHEMES


def test_the_cut_itself_belongs_where_the_rule_says() -> None:
    values = np.array([0, 10, 10.5, 25, 26])
    assert parse_cuts("a: ≥10, >25").classify(values).tolist() == [0, 1, 1, 1, 2]
    assert parse_cuts("10,25").classify(values).tolist() == [0, 1, 1, 2, 2]
    assert parse_cuts("10,25").name == "≥ 10, ≥ 25"


@pytest.mark.parametrize("text", ["", "x", "10,", ":10", "1e999", "..", "<10", "10 20"])
def test_what_is_no_cut(text: str) -> None:
    with pytest.raises(SettingsError, match="write cut points such as"):
        parse_cuts(text)


@pytest.mark.parametrize("text", ["25,10", "10,>10"])
def test_cuts_ascend(text: str) -> None:
    with pytest.raises(SettingsError, match="must ascend"):
        parse_cuts(text)


@pytest.mark.parametrize("scheme", [scheme for scheme in CCR4_SCHEMES if scheme.cut], ids=lambda scheme: scheme.id)
def test_a_published_scheme_puts_a_percentage_where_its_own_cut_does(scheme: Ccr4Scheme) -> None:
    assert scheme.cut is not None
    at = 100 * scheme.cut.fraction
    values = np.array([0, at - 1e-6, at, at + 1e-6, 100])
    above = [scheme.cut.is_above(value / 100) for value in values]
    assert published_scheme(scheme.id).classify(values).tolist() == [int(each) for each in above]
    assert published_scheme(scheme.id).categories == scheme.categories


def test_schemes_without_a_cut_and_unknown_ones_are_refused_with_those_there_are() -> None:
    for scheme_id, word in (("fujii-2021-terminus", "gives no cut"), ("kobe", "no such scheme")):
        with pytest.raises(SettingsError, match=rf"{word}.*kobe-poteligeo-test or"):
            published_scheme(scheme_id)
