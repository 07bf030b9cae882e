"""Sections become slides to score or to show, with their fragments and regions; what cannot be applied is refused."""

from dataclasses import replace
from pathlib import Path

import pytest

from ihc_quant.batch.manifest import ManifestRow
from ihc_quant.batch.section_tasks import slide_tasks
from ihc_quant.batch.slide_task import SlideTask
from ihc_quant.domain.geometry import Mpp
from ihc_quant.domain.stain import SectionStain
from ihc_quant.errors import ManifestError

STAIN = SectionStain("CD4", "DAB", chromogen_assumed=False)
ROW = ManifestRow("s1", "b", "p", "skin", STAIN, Path("s.svs"), 2, Mpp.square(0.25), ())


def test_sections_become_slides_to_score() -> None:
    assert slide_tasks([ROW]) == (SlideTask(Path("s.svs"), STAIN, "s1", Mpp.square(0.25), 2),)


def test_fragments_annotations_and_sections_without_chromogen_go_along() -> None:
    unstained = SectionStain("H&E", "none", chromogen_assumed=False)
    rows = [replace(ROW, fragments=(1, 3), annotations=Path("a.geojson")), replace(ROW, stain=unstained)]
    first, second = slide_tasks(rows, propose_infiltrate=False)
    assert (first.fragments, first.annotations, first.propose_infiltrate) == ((1, 3), Path("a.geojson"), False)
    assert second.stain == unstained


@pytest.mark.parametrize(("site", "proposed"), [("skin", True), ("lymph_node", False), ("other", False)])
def test_an_infiltrate_is_proposed_in_skin_alone(site: str, *, proposed: bool) -> None:
    (task,) = slide_tasks([replace(ROW, site=site)])
    assert task.propose_infiltrate == proposed
    (task,) = slide_tasks([replace(ROW, site=site)], propose_infiltrate=False)
    assert not task.propose_infiltrate


def test_everything_that_cannot_be_applied_is_named_at_once() -> None:
    red = SectionStain("CD8", "Fast Red", chromogen_assumed=False)
    with pytest.raises(ManifestError) as caught:
        slide_tasks([replace(ROW, stain=red), ROW, replace(ROW, slide_id="s3", stain=red)])
    assert [line.split(":")[0] for line in str(caught.value).split("\n")] == ["s1", "s3"]
    assert "Fast Red" in str(caught.value)
