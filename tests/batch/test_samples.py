"""The samples' writer, on a biopsy small enough to paint in a test, and the samples that are shipped."""

import csv
import json
from pathlib import Path

import openslide
import pyarrow.parquet as pq
import pytest

from ihc_quant.batch import samples
from ihc_quant.batch.manifest import MANIFEST_COLUMNS
from ihc_quant.batch.settings import MeasureSettings
from ihc_quant.batch.slide_overview import find_slide_tissue
from ihc_quant.slide.opening import open_slide
from ihc_quant.synthetic.field import SAMPLE_SEEDS
from ihc_quant.synthetic.sample import grow_biopsy

SHIPPED = Path(__file__).resolve().parents[2] / "slides_sample"


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("samples")
    small = grow_biopsy("skin", SAMPLE_SEEDS.start + 501, (480.0, 440.0))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(samples, "grow_biopsies", lambda: (small,))
        samples.write_samples(folder)
    return folder


@pytest.mark.parametrize("shipped", [False, True])
def test_manifest_slides_and_truth_agree(written: Path, shipped: bool) -> None:
    folder = SHIPPED if shipped else written
    with (folder / "manifest.csv").open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file)
        rows = list(reader)
        assert tuple(reader.fieldnames or ()) == MANIFEST_COLUMNS
    facts = json.loads((folder / "truth" / "biopsies.json").read_text(encoding="utf-8"))
    sections = {section["slide_id"]: section for biopsy in facts["biopsies"] for section in biopsy["sections"]}
    assert set(sections) == {row["slide_id"] for row in rows}
    for row in rows:
        with openslide.OpenSlide(folder / row["slide"]) as slide:
            assert float(slide.properties["openslide.mpp-x"]) == pytest.approx(0.25, rel=1e-6)
            width, height = slide.dimensions
        table = pq.read_table(folder / "truth" / f"{row['slide_id']}.parquet")
        truth = sections[row["slide_id"]]
        x_um, y_um, positive, visible = (table[name].to_numpy() for name in ("x_um", "y_um", "positive", "visible"))
        assert (table.num_rows, visible.sum()) == (truth["cells_present"], truth["cells"])
        assert (positive.sum(), positive[visible].sum()) == (truth["positive_present"], truth["positive"])
        assert x_um.min() >= 0
        assert x_um.max() <= width * 0.25
        assert y_um.max() <= height * 0.25


def test_shipped_samples_are_small_and_complete() -> None:
    assert len(list(SHIPPED.glob("*.tiff"))) == 6
    assert sum(path.stat().st_size for path in SHIPPED.rglob("*") if path.is_file()) <= 25e6


def test_tissue_found_on_the_shipped_samples_has_the_area_that_was_painted() -> None:
    facts = json.loads((SHIPPED / "truth" / "biopsies.json").read_text(encoding="utf-8"))["biopsies"]
    for biopsy in facts:
        for section in biopsy["sections"]:
            with open_slide(SHIPPED / f"{section['slide_id']}.tiff") as reader:
                _, tissue = find_slide_tissue(reader, MeasureSettings())
            assert tissue.area_um2() == pytest.approx(biopsy["tissue_area_without_fat_um2"], rel=0.02)
