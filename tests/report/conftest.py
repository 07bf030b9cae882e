"""A biopsy with one section of every outcome, and pictures for it."""

import numpy as np
import pytest

from ihc_quant.domain.biopsy import BiopsyReport
from ihc_quant.domain.outcome import Failed, NoTissue, Scored
from ihc_quant.domain.provenance import Provenance
from ihc_quant.domain.score import (
    CellCounts,
    CorrectedFraction,
    Estimate,
    Interval,
    MarkerScore,
    NetworkError,
    UncertainCalls,
)
from ihc_quant.domain.stain import SectionStain
from ihc_quant.report.biopsy_page import SlidePictures
from ihc_quant.report.encoding import encode_png


def make_provenance() -> Provenance:
    return Provenance(
        software="ihc-quant 0.1.0",
        libraries={"openslide": "4.0.0", "numpy": "2.4.6", "opencv": "5.0.0"},
        platform="Linux x86_64",
        runtime="openvino CPU, 2 threads",
        weights_name="membrane-small-1",
        weights_sha256="ab" * 32,
        weights_licence="research only",
        settings={
            "call": {"rule": "probability", "threshold": 0.5, "cuts_od": [0.2, 0.4, 0.6], "validated": False},
            "tile_px": 1024,
            "region": None,
        },
        settings_sha256="cd" * 32,
        slide_hash="ef" * 32,
        mpp_source="file",
    )


def make_scored(slide_id: str = "LN1-CD4", marker: str = "CD4") -> Scored:
    counts = CellCounts(8766, 700, 400, 134, 2_345_678.0)
    score = MarkerScore(
        marker=marker,
        counts=counts,
        positive_fraction=Estimate(
            0.1234,
            "fraction",
            (
                Interval(0.1171, 0.13, 0.95, "Wilson"),
                Interval(0.0954, 0.1523, 0.95, "block bootstrap", reliable=False, note="only 9 blocks"),
                Interval(0.0602, 0.2011, 0.95, "sampling + measurement, simulated", False, "not validated for CD4"),
            ),
        ),
        positive_density_per_mm2=Estimate(526.07, "cells/mm²", (Interval(401.2, 655.9, 0.95, "block bootstrap"),)),
        h_score=Estimate(19.02, "H-score", (Interval(15.4, 23.1, 0.95, "block bootstrap"),)),
        cautions=("Melanin may count as DAB: no region without it was drawn.",),
        uncertain=UncertainCalls(
            0.35, 0.85, 812, 10_000, Estimate(0.0812, "fraction"), Estimate(0.0923, "fraction"),
            Estimate(0.1735, "fraction"),
        ),
        network_error=NetworkError(
            "measured on CD138, marrow (101 images of 5 patients); not validated for CD4",
            (
                CorrectedFraction("CD138, marrow", Estimate(0.1176, "fraction", (Interval(0.09, 0.148, 0.95, "m"),))),
                CorrectedFraction("Ki-67, breast", Estimate(None, "fraction", reason="the correction is impossible")),
            ),
        ),
    )  # fmt: skip
    fragments = ((1, CellCounts(8000, 600, 300, 100, 2_000_000.0)), (2, CellCounts(766, 100, 100, 34, 345_678.0)))
    return Scored(slide_id, SectionStain(marker, "DAB", True), score, fragments, make_provenance())


def make_empty(slide_id: str = "LN1-CCR4") -> Scored:
    reason = "no cells were found"
    score = MarkerScore(
        "CCR4",
        CellCounts(area_um2=50_000.0),
        Estimate(None, "fraction", reason=reason),
        Estimate(0.0, "cells/mm²", (Interval(0.0, 73.8, 0.95, "Poisson"),)),
        Estimate(None, "H-score", reason=reason),
    )
    return Scored(slide_id, SectionStain("CCR4", "DAB", False), score, ((1, score.counts),), make_provenance())


@pytest.fixture
def scored() -> Scored:
    """A slide with cells of every grade on two fragments."""
    return make_scored()


@pytest.fixture
def without_cells() -> Scored:
    """A slide with tissue and no cells."""
    return make_empty()


@pytest.fixture
def without_tissue() -> NoTissue:
    """A slide of bare glass."""
    return NoTissue("LN1-control", SectionStain("negative_control", "DAB", True), make_provenance())


@pytest.fixture
def failed() -> Failed:
    """A slide that could not be read."""
    reason = "the file states no µm per pixel; state it with --mpp, for example --mpp 0.25"
    return Failed("LN1-CD8", SectionStain("CD8", "DAB", False), reason)


@pytest.fixture
def report(scored: Scored, failed: Failed, without_cells: Scored, without_tissue: NoTissue) -> BiopsyReport:
    """One section of every outcome."""
    flags = ("The sections' thickness is not recorded.",)
    return BiopsyReport("LN1", "P-07", "lymph_node", (scored, failed, without_cells, without_tissue), flags)


@pytest.fixture
def complete_report(scored: Scored) -> BiopsyReport:
    """Skin, every marker of the panel scored."""
    return BiopsyReport("SK1", "P-07", "skin", (scored, make_scored("SK1-CD8", "CD8"), make_scored("SK1-CCR4", "CCR4")))


@pytest.fixture
def pictures() -> dict[str, SlidePictures]:
    """Small pictures of the scored slide."""
    picture = encode_png(np.full((4, 6, 3), (120, 80, 40), np.uint8))
    return {"LN1-CD4": SlidePictures(picture, picture)}
