"""Sections become slides to score; what cannot be applied is refused, never dropped."""

from dataclasses import replace
from pathlib import Path

import pytest

from ihc_quant.batch.manifest import ManifestRow
from ihc_quant.batch.section_tasks import slide_tasks
from ihc_quant.batch.slide_job import SlideTask
from ihc_quant.domain.geometry import Mpp
from ihc_quant.domain.stain import SectionStain
from ihc_quant.errors import ManifestError

STAIN = SectionStain("CD4", "DAB", chromogen_assumed=False)
ROW = ManifestRow("s1", "b", "p", "skin", STAIN, Path("s.svs"), 2, Mpp.square(0.25), ())


def test_sections_become_slides_to_score() -> None:
    assert slide_tasks([ROW]) == (SlideTask(Path("s.svs"), STAIN, "s1", Mpp.square(0.25), 2),)


def test_everything_that_cannot_be_applied_is_named_at_once() -> None:
    unstained = SectionStain("H&E", "none", chromogen_assumed=False)
    rows = [
        replace(ROW, fragments=(1,), annotations=Path("a.geojson")),
        ROW,
        replace(ROW, slide_id="s3", stain=unstained),
    ]
    with pytest.raises(ManifestError) as caught:
        slide_tasks(rows)
    assert [line.split(":")[0] for line in str(caught.value).split("\n")] == ["s1", "s1", "s3"]
    assert all(word in str(caught.value) for word in ("fragments", "annotations", "H&E"))
