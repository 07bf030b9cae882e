"""What is recorded of a section: the manifest's columns in one order, its level, and the scan in words."""

from pathlib import Path

import pytest

from ihc_quant.batch.manifest import ManifestRow
from ihc_quant.batch.measurement import Measurement, read_slide_json
from ihc_quant.batch.section_records import scan_record, section_records
from ihc_quant.domain.stain import SectionStain


def row(slide_id: str, **details: str) -> ManifestRow:
    stain = SectionStain("CCR4", "DAB", chromogen_assumed=False)
    return ManifestRow(slide_id, "b", "p", "skin", stain, Path("s.tif"), None, None, tuple(details.items()))


def test_details_stand_in_the_order_in_which_they_are_read_back() -> None:
    records = section_records([row("s", section_index="2", clone="1G1")])
    assert list(records["s"].details.items()) == [("clone", "1G1"), ("section_index", "2")]
    assert records["s"].replicate == ""


def test_levels_are_named() -> None:
    records = section_records([row("s1"), row("s2")])
    assert [records[name].replicate for name in ("s1", "s2")] == ["level 1 of 2", "level 2 of 2"]


@pytest.fixture
def measurement(scored: Path) -> Measurement:
    return read_slide_json(scored)[1]


def test_the_scan_is_put_in_words_and_what_is_not_known_is_left_out(measurement: Measurement) -> None:
    scan = scan_record(measurement)
    assert scan["µm per pixel"] == "0.5, from the file"
    assert scan["Stain vectors"].startswith("hematoxylin 0.651, 0.701, 0.290; DAB 0.269, 0.568, 0.778 (reference; ")
    assert {"Scanner", "Objective"}.isdisjoint(scan)
    facts = measurement.facts.model_copy(
        update={"scanner": "Aperio GT 450", "objective": 40.0, "mpp_y": 0.26, "mpp_x": 0.25, "mpp_source": "override"}
    )
    stains = measurement.stains.model_copy(update={"deviation_degrees": 12.34, "white": (241.2, 240.0, 243.9)})
    known = scan_record(measurement.model_copy(update={"facts": facts, "stains": stains}))
    assert known["Scanner"] == "Aperio GT 450"
    assert known["Objective"] == "40×"
    assert known["µm per pixel"] == "0.25 × 0.26, stated by the user"
    assert "the slide's own lie 12.3° away" in known["Stain vectors"]
    assert known["White point"].startswith("241, 240, 244 (")
