"""What is true of the painted biopsies, in the form in which it is kept beside the slides."""

import numpy as np
from numpy.typing import NDArray

from ihc_quant.synthetic.population import KIND_NAMES, LYMPHOCYTE, MARKERS
from ihc_quant.synthetic.sample import SECTION_UM, Biopsy, PaintedSection
from ihc_quant.synthetic.visibility import FAINTEST_CONTRAST_OD, VISIBLE_PROFILE_UM


def cell_columns(painted: PaintedSection) -> dict[str, NDArray[np.generic]]:
    """Return the table of the cells that lie in a section, one row a cell.

    Parameters
    ----------
    painted : PaintedSection

    Returns
    -------
    dict of str to ndarray, (n,)
        ``x_um`` and ``y_um`` (float32, from the corner of level-0 pixel (0, 0)), ``diameter_um`` (float32, of the
        nuclear profile), ``kind`` (str), ``positive`` (bool), ``strength`` (float32, 0 where negative), ``visible``
        (bool, whether a reader of the picture could mark it).
    """
    rows = painted.section.counted
    cells = painted.section.cells
    marker = MARKERS.index(painted.marker)
    return {
        "x_um": cells.x_um[rows],
        "y_um": cells.y_um[rows],
        "diameter_um": painted.section.diameter_um[rows],
        "kind": np.array(KIND_NAMES)[cells.kind[rows]],
        "positive": painted.carries[rows],
        "strength": cells.strength[rows, marker],
        "visible": painted.visible[rows],
    }


def section_facts(biopsy: Biopsy, painted: PaintedSection) -> dict[str, object]:
    """Return what is true of one section: of the cells that can be seen, and of all that lie in it."""
    present = painted.section.counted
    seen, positive = painted.visible, painted.visible & painted.carries
    lymphocytes = seen & (painted.section.cells.kind == LYMPHOCYTE)
    return {
        "marker": painted.marker,
        "section_index": painted.index,
        "z_um": painted.section.z_um,
        "thickness_um": painted.section.thickness_um,
        "cells": int(seen.sum()),
        "positive": int(positive.sum()),
        "fraction_positive": float(positive.sum() / seen.sum()),
        "positive_per_mm2": float(positive.sum() / (biopsy.tissue_um2 / 1e6)),
        "positive_per_mm2_without_fat": float(positive.sum() / (biopsy.tissue_without_fat_um2 / 1e6)),
        "lymphocytes": int(lymphocytes.sum()),
        "lymphocytes_positive": int((positive & lymphocytes).sum()),
        "cells_present": int(present.sum()),
        "positive_present": int((painted.carries & present).sum()),
        "fraction_positive_present": float((painted.carries & present).sum() / present.sum()),
    }


def biopsy_facts(biopsy: Biopsy, sections: list[dict[str, object]]) -> dict[str, object]:
    """Return what is true of a biopsy.

    Its sections' facts, and in three dimensions the fractions that carry each marker and both CD4 and CCR4.

    Parameters
    ----------
    biopsy : Biopsy
    sections : list of dict
        From ``section_facts``.

    Returns
    -------
    dict
    """
    carries = biopsy.population.carries
    cd4, ccr4 = carries[:, MARKERS.index("CD4")], carries[:, MARKERS.index("CCR4")]
    return {
        "biopsy_id": biopsy.biopsy_id,
        "patient_id": biopsy.patient_id,
        "site": biopsy.site,
        "seed": biopsy.seed,
        "tissue_area_um2": biopsy.tissue_um2,
        "tissue_area_without_fat_um2": biopsy.tissue_without_fat_um2,
        "section_thickness_um": SECTION_UM,
        "counting_rule": (
            f"the part of the nuclear profile that shows is at least {VISIBLE_PROFILE_UM} um wide, and the cell is "
            f"positive or its nucleus exceeds what lies around it by {FAINTEST_CONTRAST_OD} of hematoxylin density"
        ),
        "present_rule": f"the nuclear profile inside the section is at least {VISIBLE_PROFILE_UM} um wide",
        "cells_in_slab": biopsy.population.size,
        "slab_depth_um": biopsy.depth_um,
        "fraction_in_slab": {marker: float(carries[:, column].mean()) for column, marker in enumerate(MARKERS)},
        "fraction_cd4_and_ccr4_in_slab": float((cd4 & ccr4).mean()),
        "fraction_ccr4_among_cd4_in_slab": float(ccr4[cd4].mean()),
        "sections": sections,
    }
