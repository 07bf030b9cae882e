"""Cut points as people write them."""

import numpy as np
import pytest

from ihc_quant.errors import SettingsError
from ihc_quant.evaluation.cut_points import parse_cuts


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
