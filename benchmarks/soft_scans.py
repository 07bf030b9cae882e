"""How much of labelled fields quality control leaves out: soft scans are no blur, as people marked cells all over them.

    python benchmarks/soft_scans.py

Fields are smaller than the least place that is called blurred, so each is continued by its mirror image to three times
its width and height, as a slide of the same scanner would go on. The bar is that of clean tissue: at most 2 %.
"""

from collections.abc import Sequence

import cv2
import numpy as np
from labelled_images import READERS, LabelledImage
from material import SHARED_DATA, mirrored, picture
from numpy.typing import NDArray
from painted_artefacts import PIXEL_UM
from quality import controlled
from tables import Bar, print_table

from ihc_quant.domain.quality import CAUSE_WORDS, Cause
from ihc_quant.tissue.quality_settings import DEFAULT_QUALITY

SOURCES = ("bcdata", "cd138", "deepliif", "dsb2018")
TIMES = 3
MOST_PERCENT = 2.0


def field(image: LabelledImage) -> NDArray[np.uint8]:
    """Return a labelled field at the network's pixel size, continued by its mirror image."""
    rgb, scale = picture(image.path), image.mpp_um / PIXEL_UM
    size = (round(rgb.shape[1] * scale), round(rgb.shape[0] * scale))
    small = np.asarray(cv2.resize(rgb, size, interpolation=cv2.INTER_AREA), np.uint8)
    rows, columns = (mirrored(np.arange(TIMES * length), length) for length in small.shape[:2])
    return np.ascontiguousarray(small[rows[:, None], columns])


def lost(images: Sequence[LabelledImage]) -> dict[str, float]:
    """Return per cent of the tissue of all fields that excluded causes take, and the most of any field."""
    shares, areas = [], []
    for image in images:
        quality, tissue, _, _ = controlled(field(image), 2.0)
        found = quality.areas_um2(tissue.mask)
        areas.append(tissue.area_um2())
        shares.append([found.get(cause, 0.0) for cause in DEFAULT_QUALITY.excluded])
    by_cause, whole = np.sum(shares, axis=0), max(sum(areas), 1.0)
    names = (CAUSE_WORDS[Cause(cause)] for cause in DEFAULT_QUALITY.excluded)
    most = max((100 * sum(one) / area for one, area in zip(shares, areas, strict=True) if area), default=0.0)
    figures = {name: 100 * float(share) / whole for name, share in zip(names, by_cause, strict=True)}
    return figures | {"all": sum(figures.values()), "most of a field": most}


def main() -> None:
    """Measure and print."""
    if not SHARED_DATA.is_dir():
        print(f"Nothing to judge on: {SHARED_DATA} is not here.")
        return
    cv2.setNumThreads(1)
    rows, bars = [], []
    for source in SOURCES:
        images = READERS[source](SHARED_DATA / "labelled" / source)
        figures = lost(images)
        rows.append({"set": source, "fields": len(images)} | figures)
        bars.append(Bar(f"{source}: tissue left out, %", figures["all"], MOST_PERCENT))
    print_table("Labelled fields left out, per cent of the tissue", [], rows, bars)


if __name__ == "__main__":
    main()
