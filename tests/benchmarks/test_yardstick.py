"""The yardstick finds nuclei, tables print, bars judge."""

import json

import numpy as np
import pytest
from classical import find_nuclei
from speed import ONCE_STEPS, STEPS
from tables import Bar, show
from tiling import MARGINS_PX, Tiling, bars_of, cheapest, tilings

from ihc_quant.cells import find


def test_the_classical_pipeline_finds_separate_discs_and_their_stain() -> None:
    rgb = np.full((256, 256, 3), 245, np.uint8)
    y, x = np.mgrid[:256, :256]
    centres = [(row, column) for row in range(24, 256, 48) for column in range(24, 256, 48)]
    for number, (row, column) in enumerate(centres):
        # Brown and blue in turn.
        rgb[(y - row) ** 2 + (x - column) ** 2 < 81] = (150, 100, 60) if number % 2 else (90, 80, 160)
    nuclei = find_nuclei(rgb)
    assert len(nuclei.area_px) == len(centres)
    assert np.abs(nuclei.centroid[np.lexsort(nuclei.centroid.round().T[::-1])] - np.array(centres)).max() < 1
    brown = np.arange(len(centres)) % 2 == 1
    dab = nuclei.dab_od[np.lexsort(nuclei.centroid.round().T[::-1])]
    assert dab[brown].min() > dab[~brown].max()


def test_bars_judge_both_ways_and_miss_what_was_not_measured() -> None:
    assert Bar("low", 1.0, 1.0).met
    assert not Bar("low", 1.1, 1.0).met
    assert Bar("high", 0.995, 0.995, at_most=False).met
    assert not Bar("high", 0.99, 0.995, at_most=False).met
    assert not Bar("none", None, 1.0).met


def test_a_table_prints_as_text_and_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [{"slide": "a", "cells": 12, "share": 0.51234, "met": True, "none": None}]
    show("Title", ["note"], rows, [Bar("cells", 12.0, 20.0)], as_json=False)
    text = capsys.readouterr().out
    assert "0.5123" in text
    assert "cells ≤ 20: 12  met" in text
    show("Title", ["note"], rows, [Bar("cells", 12.0, 20.0)], as_json=True)
    values = json.loads(capsys.readouterr().out)
    assert values["rows"] == rows
    assert values["bars"][0]["met"] is True


def test_the_steps_that_are_timed_exist() -> None:
    assert all(callable(getattr(find, name)) for name in STEPS)
    assert all(callable(getattr(where, name)) for where, name, _ in ONCE_STEPS)


def test_the_tilings_cover_the_bars_and_the_least_good_margin_is_named() -> None:
    tried = list(tilings())
    assert {tiling.tile_px for tiling in tried} == {512, 1024, 2048}
    assert {tiling.order for tiling in tried} == {"rows", "columns", "reversed"}
    assert {tiling.workers for tiling in tried} == {1, 2}
    rows = [
        {"tiling": str(tiling), "F1": "0.99900", "F1 at seams": "0.99500", "count %": 0.1, "points": 0.1,
         "met": tiling.margin_px > min(MARGINS_PX) or tiling.tile_px > 512}
        for tiling in tried
    ]  # fmt: skip
    assert all(bar.met for bar in bars_of(rows))
    assert f"512 px: {sorted(MARGINS_PX)[1]} " in cheapest(rows)
    assert f"1024 px: {min(MARGINS_PX)} " in cheapest(rows)
    assert Tiling(512, 32).work == pytest.approx((576 / 512) ** 2)
