"""A biopsy with one section of every outcome, and pictures for it."""

from dataclasses import replace

import numpy as np
import pytest

from ihc_quant.domain.biopsy import BiopsyPanel, BiopsyReport, SectionRecord
from ihc_quant.domain.od_histogram import OdHistogram
from ihc_quant.domain.outcome import DrawnBy, Failed, LeftOut, NoTissue, RegionScore, Scored, Shown
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
from ihc_quant.domain.sensitivity import HotSpot, ThresholdSensitivity, Variant
from ihc_quant.domain.serial_sections import (
    MISSED_NUCLEI,
    AnalysedRegion,
    CoexpressionBounds,
    CountedSection,
    DensityRatio,
    FractionRange,
)
from ihc_quant.domain.stain import SectionStain
from ihc_quant.report.biopsy_page import SlidePictures
from ihc_quant.report.density_map import DensityMap
from ihc_quant.report.encoding import encode_png
from ihc_quant.report.slide_pictures import Thumbnail
from ihc_quant.scoring.panel_section import MissingSection, PanelSection
from ihc_quant.scoring.scheme_verdicts import Ccr4Reading, judge_all
from ihc_quant.scoring.serial_sections import panel_bounds, panel_ratios


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
        h_score=Estimate(
            19.02,
            "H-score",
            (
                Interval(15.4, 23.1, 0.95, "block bootstrap"),
                Interval(9.8, 41.7, 0.95, "sampling + measurement, simulated", False, "error of grades not measured"),
            ),
        ),
        cautions=("Melanin may count as DAB: no region without it was drawn.",),
        uncertain=UncertainCalls(
            0.35, 0.85, 812, 10_000, Estimate(0.0812, "fraction"), Estimate(0.0923, "fraction"),
            Estimate(0.1735, "fraction"),
        ),
        network_error=NetworkError(
            "measured on CD138, marrow (101 images of 5 patients); not validated for CD4",
            corrected=(
                CorrectedFraction("CD138, marrow", Estimate(0.1176, "fraction", (Interval(0.09, 0.148, 0.95, "m"),))),
                CorrectedFraction("Ki-67, breast", Estimate(None, "fraction", reason="the correction is impossible")),
            ),
        ),
        cell_density_per_mm2=Estimate(4263.16, "cells/mm²", (Interval(4180.0, 4347.6, 0.95, "Poisson"),)),
        grade_fractions=(
            Estimate(0.07, "fraction", (Interval(0.0651, 0.0752, 0.95, "Wilson"),)),
            Estimate(
                0.04,
                "fraction",
                (
                    Interval(0.0363, 0.044, 0.95, "Wilson"),
                    Interval(0.01, 0.09, 0.95, "sampling + measurement, simulated", False, "grades not measured"),
                ),
            ),
            Estimate(0.0134, "fraction", (Interval(0.0113, 0.0158, 0.95, "Wilson"),)),
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
def full_report(scored: Scored, failed: Failed) -> BiopsyReport:
    """Every attribute that a report may have: regions, ratios, bounds, verdicts, records, a section that is shown."""
    infiltrate = RegionScore(AnalysedRegion("infiltrate", "drawn"), scored.score, 6.8)
    ccr4 = replace(
        make_scored("SK1-CCR4", "CCR4"),
        nucleus_um=6.5,
        compartments=(infiltrate, replace(infiltrate, region=AnalysedRegion("tumour", "proposed"))),
        control=scored.score,
        left_out=(LeftOut("drawn exclusion", 1234.5),),
        annotations=DrawnBy("ab" * 32, 3, ("One outline was mended.",)),
        hot_spot=HotSpot(Estimate(900.0, "cells/mm²"), 447.2, 50.0, 0.5, 10.0, 20.0, 180, 230, 2e5),
        notes=("Half of the section is out of focus.",),
    )
    cd4 = PanelSection("LN1-CD4", "SK1", "skin", AnalysedRegion(), scored.score, None, 1, 4.0, 6.4)
    whole = PanelSection("SK1-CCR4", "SK1", "skin", AnalysedRegion(), ccr4.score, None, 3, 4.0, 6.5)
    sides = (cd4, MissingSection("CD8", "LN1-CD8 (CD8) failed: it is torn", "LN1-CD8"), whole)
    readings = [Ccr4Reading("SK1-CCR4", "skin", each.region, each.score.positive_fraction) for each in ccr4.parts]
    shown = Shown("SK1-HE", SectionStain("H&E", "none", False), scored.provenance)
    outcomes = (scored, failed, ccr4, shown)
    return BiopsyReport(
        "SK1",
        "P-07",
        "skin",
        outcomes,
        ("A flag.",),
        BiopsyPanel(panel_ratios(sides), panel_bounds(sides), judge_all(readings)),
        tuple(SectionRecord(each.slide_id, "level 1 of 2", {"clone": "x"}, {"scanner": "y"}) for each in outcomes),
        -14,
    )


@pytest.fixture
def pictures() -> dict[str, SlidePictures]:
    """Small pictures of the scored slide."""
    picture = encode_png(np.full((4, 6, 3), (120, 80, 40), np.uint8))
    return {"LN1-CD4": SlidePictures(picture, picture)}


def make_variant(name: str, fraction: float, cuts_od: tuple[float, float, float] = (0.2, 0.4, 0.6)) -> Variant:
    figures = (Estimate(fraction, "fraction"), Estimate(4263.0 * fraction, "cells/mm²"), Estimate(20.0, "H-score"))
    return Variant(name, 0.5, cuts_od, CellCounts(), *figures)


def make_measured(marker: str) -> Scored:
    plain = make_scored(f"SK2-{marker}", marker)
    parts = (
        RegionScore(AnalysedRegion("epidermis", "drawn"), plain.score, 6.8),
        RegionScore(AnalysedRegion("infiltrate", "proposed"), plain.score),
    )
    others = (
        make_variant("OD cuts × 0.75", 0.1234, (0.15, 0.3, 0.45)),
        make_variant("uncertain calls all positive", 0.2),
    )
    return replace(
        plain,
        nucleus_um=7.1,
        compartments=parts,
        control=make_scored("control", marker).score,
        left_out=(LeftOut("drawn exclusion", 310_000.0), LeftOut("out of focus", 42_000.0)),
        annotations=DrawnBy("ba" * 32, 4, ("One outline crossed itself and was mended.",)),
        sensitivity=ThresholdSensitivity(make_variant("as scored", 0.1234), others, ("The cuts move grades alone.",)),
        hot_spot=HotSpot(
            Estimate(2345.0, "cells/mm²", (Interval(2010.0, 2600.0, 0.95, "exact Poisson"),)),
            447.2,
            55.9,
            0.5,
            1200.0,
            3400.0,
            412,
            462,
            176_000.0,
        ),
        notes=("The stain vectors of this slide lie 9° from the reference.",),
    )


@pytest.fixture
def skin_report() -> BiopsyReport:
    """Skin with all markers scored and H&E, a drawn epidermis, a proposed infiltrate, ratios, bounds and schemes."""
    sections = {marker: make_measured(marker) for marker in ("CD4", "CD8", "CCR4")}
    counted = {
        marker: CountedSection(section.slide_id, marker, section.region, section.score.counts)
        for marker, section in sections.items()
    }
    ratio = Estimate(0.4123, "ratio", (Interval(0.29, 0.61, 0.95, "block bootstrap", False, "only 12 blocks"),))
    thickness = "Section thickness is not recorded for SK2-CD4: the ratio wants equal thickness."
    pairs = (("CD4", "CD8"), ("CCR4", "CD4"))
    ratios = tuple(DensityRatio(counted[one], counted[other], ratio, (thickness,)) for one, other in pairs)
    bounds = CoexpressionBounds(
        counted["CD4"], counted["CCR4"], FractionRange(0, 0.21), FractionRange(0, 0.27), "", (MISSED_NUCLEI,)
    )
    ccr4 = sections["CCR4"]
    verdicts = judge_all([Ccr4Reading(ccr4.slide_id, "skin", ccr4.region, ccr4.score.positive_fraction)])
    shown = Shown("SK2-HE", SectionStain("H&E", "none", chromogen_assumed=False), make_provenance())
    records = (
        SectionRecord("SK2-CD4", "level 1 of 2", {"clone": "4B12", "section_thickness_um": "4"}, {"Scanner": "Aperio"}),
        *(SectionRecord(slide_id) for slide_id in ("SK2-CD8", "SK2-CCR4", "SK2-HE")),
    )
    return BiopsyReport(
        "SK2",
        "P-08",
        "skin",
        (*sections.values(), shown),
        ("No peroxidase block is recorded for SK2-CD8: eosinophils may be brown without antibody.",),
        BiopsyPanel(ratios, (bounds,), verdicts),
        records,
        -12,
    )


@pytest.fixture
def skin_pictures(skin_report: BiopsyReport) -> dict[str, SlidePictures]:
    """Pictures of every section, their thumbnails of different sizes."""
    picture = encode_png(np.full((40, 60, 3), (120, 80, 40), np.uint8))
    histogram = OdHistogram(
        0.25, (800, 60, 6, 0, 0, 0), (0, 40, 70, 20, 4, 0), (0.2, 0.4, 0.6), "mean of the cell", by_network=True
    )
    made = {}
    for number, outcome in enumerate(skin_report.outcomes):
        height, width = 60 + 10 * number, 90
        thumbnail = np.full((height, width, 3), 245, np.uint8)
        thumbnail[20:40, 30:60] = (150, 110, 90)
        analysed = np.zeros((height, width), np.bool_)
        analysed[20:40, 30:60] = True
        density = DensityMap((analysed * 500.0 * (number + 1)).astype(np.float32), analysed, 20.0)
        scored = isinstance(outcome, Scored)
        made[outcome.slide_id] = SlidePictures(
            picture if scored else b"",
            picture if scored else b"",
            Thumbnail(thumbnail, 20.0),
            density if scored else None,
            histogram if scored else None,
        )
    return made
