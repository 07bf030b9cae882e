"""Sample biopsies: sections of one population, the same whatever the threads."""

import numpy as np
import pytest

from ihc_quant.synthetic.field import SAMPLE_SEEDS
from ihc_quant.synthetic.population import LYMPHOCYTE, MARKERS
from ihc_quant.synthetic.sample import Biopsy, PaintedSection, grow_biopsy, paint_biopsy
from ihc_quant.synthetic.section import cut
from ihc_quant.synthetic.truth import biopsy_facts, cell_columns, section_facts
from ihc_quant.synthetic.visibility import VISIBLE_PROFILE_UM

SEED = SAMPLE_SEEDS.start + 500


@pytest.fixture(scope="module")
def node() -> Biopsy:
    return grow_biopsy("lymph_node", SEED, (620.0, 520.0))


@pytest.fixture(scope="module")
def painted(node: Biopsy) -> PaintedSection:
    return next(paint_biopsy(node, workers=2))


def test_paints_the_same_whatever_the_threads(node: Biopsy, painted: PaintedSection) -> None:
    alone = next(paint_biopsy(node, workers=1))
    assert np.array_equal(alone.rgb, painted.rgb)
    assert alone.rgb.shape == (2080, 2480, 3)


def test_same_seed_grows_the_same_biopsy(node: Biopsy) -> None:
    again = grow_biopsy("lymph_node", SEED, (620.0, 520.0))
    assert np.array_equal(again.population.x_um, node.population.x_um)
    assert np.array_equal(again.population.carries, node.population.carries)


def test_only_seeds_kept_for_samples_grow_biopsies() -> None:
    with pytest.raises(ValueError, match="seed"):
        grow_biopsy("skin", 1, (620.0, 520.0))


def test_nuclei_with_their_centre_in_the_section_count(node: Biopsy) -> None:
    section = cut(node.population, 12.0, 4.0)
    inside = (section.cells.z_um >= 12) & (section.cells.z_um < 16)
    assert section.counted[inside].all()
    assert (section.diameter_um[section.counted] >= VISIBLE_PROFILE_UM).all()
    assert section.counted.sum() > inside.sum()


def test_every_cell_lies_in_sections_that_leave_no_gap(node: Biopsy) -> None:
    seen = [cut(node.population, z, 4.0).cells.x_um for z in np.arange(0, node.depth_um, 4.0)]
    assert np.isin(node.population.x_um, np.concatenate(seen)).all()


def test_no_lymphocyte_carries_both_cd4_and_cd8(node: Biopsy) -> None:
    carries = node.population.carries
    assert not (carries[:, 0] & carries[:, 1]).any()
    assert carries[:, MARKERS.index("CCR4")].sum() > 20
    on_lymphocytes = carries[node.population.kind == LYMPHOCYTE]
    assert on_lymphocytes[on_lymphocytes[:, 0], 2].mean() > 5 * on_lymphocytes[~on_lymphocytes[:, 0], 2].mean()


def test_truth_agrees_with_itself_and_with_the_picture(node: Biopsy, painted: PaintedSection) -> None:
    columns = cell_columns(painted)
    facts = section_facts(node, painted)
    assert facts["cells_present"] == len(columns["x_um"])
    assert facts["positive_present"] == int(columns["positive"].sum())
    positive, visible = (np.asarray(columns[name], np.bool_) for name in ("positive", "visible"))
    assert facts["cells"] == int(visible.sum())
    assert facts["positive"] == int((positive & visible).sum())
    assert 0.9 <= visible.mean() < 1
    assert np.array_equal(np.asarray(columns["strength"], np.float32) > 0, columns["positive"])
    column, row = (np.asarray(columns[name], np.float64) / 0.25 for name in ("x_um", "y_um"))
    at_cells = painted.rgb[row.astype(int), column.astype(int)].mean()
    assert at_cells < painted.rgb.mean() - 20
    whole = biopsy_facts(node, [facts])
    both = whole["fraction_cd4_and_ccr4_in_slab"]
    fractions = whole["fraction_in_slab"]
    assert isinstance(fractions, dict)
    assert isinstance(both, float)
    assert 0 < both <= min(fractions["CD4"], fractions["CCR4"])
