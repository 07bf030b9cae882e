"""Precision: what a device can do decides where nobody else does."""

import pytest
import torch

from ihc_quant.errors import SettingsError
from ihc_quant.training import precision
from ihc_quant.training.precision import mixed, usable_precision

CPU = torch.device("cpu")


@pytest.mark.parametrize(("has", "name"), [(True, "bfloat16"), (False, "float32")])
def test_automatic_precision_follows_the_processor(monkeypatch: pytest.MonkeyPatch, has: bool, name: str) -> None:
    monkeypatch.setattr(precision, "cpu_has_bfloat16", lambda: has)
    usable_precision.cache_clear()
    assert usable_precision("auto", CPU) == name
    assert usable_precision("float32", CPU) == "float32"
    assert usable_precision("bfloat16", CPU) == "bfloat16"
    usable_precision.cache_clear()


def test_an_unknown_precision_is_refused() -> None:
    with pytest.raises(SettingsError, match="--precision must be"):
        usable_precision("half", CPU)


@pytest.mark.parametrize(("name", "dtype"), [("bfloat16", torch.bfloat16), ("float32", torch.float32)])
def test_products_are_computed_in_the_precision(name: str, dtype: torch.dtype) -> None:
    one = torch.ones(2, 2)
    with mixed(name, CPU):
        assert (one @ one).dtype == dtype
