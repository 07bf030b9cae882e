"""How far the positive percentage moves when a laboratory stains, lights, focuses or stores otherwise.

Held-out pictures are changed at their own µm per pixel, scored again, and compared with themselves untouched.
"""

import io
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import cv2
import numpy as np
from agreement import ImageResult
from labelled_images import LabelledImage
from numpy.typing import NDArray
from PIL import Image
from scored_pictures import FoundCells, Scorer

from ihc_quant.domain.geometry import Mpp
from ihc_quant.evaluation.matching import ClassDetection
from ihc_quant.stain.density import from_optical_density, optical_density
from ihc_quant.stain.estimate import reference_stains
from ihc_quant.stain.unmixing import unmixing_matrix
from ihc_quant.training.sources import read_rgb

MOST_IMAGES = 40
BLUR_UM = 1.0
"""Standard deviation of the blur."""
JPEG_QUALITY = 40

Pixels = NDArray[np.uint8]
Change = Callable[[Pixels, float], Pixels]
"""From pixels (H, W, 3) and their µm to other pixels."""


def stain_changed(rgb: Pixels, hematoxylin: float = 1.0, dab: float = 1.0) -> Pixels:
    """Return the picture with the densities of its stains multiplied; what is neither stain stays.

    Parameters
    ----------
    rgb : ndarray, shape (H, W, 3), uint8
    hematoxylin, dab : float
        Factors of the unmixed optical densities, at the reference vectors.
    """
    to_stains = unmixing_matrix(reference_stains())
    factors = np.diag([hematoxylin, dab, 1.0])
    changed = optical_density(rgb).astype(np.float64) @ to_stains @ factors @ np.linalg.inv(to_stains)
    return from_optical_density(changed.astype(np.float32))


def light_changed(rgb: Pixels, factor: float) -> Pixels:
    """Return the picture under a lamp so much brighter, clipped where the camera would."""
    return np.clip(np.rint(rgb.astype(np.float64) * factor), 0, 255).astype(np.uint8)


def blurred(rgb: Pixels, mpp_um: float) -> Pixels:
    """Return the picture out of focus by ``BLUR_UM``."""
    return np.asarray(cv2.GaussianBlur(rgb, (0, 0), BLUR_UM / mpp_um, borderType=cv2.BORDER_REFLECT), np.uint8)


def compressed(rgb: Pixels, quality: int = JPEG_QUALITY) -> Pixels:
    """Return the picture after JPEG compression, chroma at half resolution."""
    buffer = io.BytesIO()
    Image.fromarray(rgb).save(buffer, "JPEG", quality=quality, subsampling=2)
    return np.asarray(Image.open(buffer).convert("RGB"))


CHANGES: dict[str, Change] = {
    "hematoxylin × 0.7": lambda rgb, _: stain_changed(rgb, hematoxylin=0.7),
    "hematoxylin × 1.4": lambda rgb, _: stain_changed(rgb, hematoxylin=1.4),
    "DAB × 0.7": lambda rgb, _: stain_changed(rgb, dab=0.7),
    "DAB × 1.4": lambda rgb, _: stain_changed(rgb, dab=1.4),
    "white − 8 %": lambda rgb, _: light_changed(rgb, 0.92),
    "white + 8 %": lambda rgb, _: light_changed(rgb, 1.08),
    f"blur {BLUR_UM:g} µm": blurred,
    f"JPEG {JPEG_QUALITY}": lambda rgb, _: compressed(rgb),
}
"""What is tried, by name."""


def moves(scorer: Scorer, untouched: Sequence[ImageResult]) -> list[dict[str, Any]]:
    """Return for each change and image the percentage before and after, and the matches after.

    Parameters
    ----------
    scorer : Scorer
        With the weights that gave ``untouched``.
    untouched : sequence of ImageResult
        Pictures as they are.
    """
    rows = []
    with TemporaryDirectory(prefix="ihc_quant_bench_") as folder:
        path = Path(folder) / "changed.png"
        for before in untouched:
            image, rgb = before.image, read_rgb(before.image.path)
            for name, change in CHANGES.items():
                Image.fromarray(change(rgb, image.mpp_um)).save(path, compress_level=1)
                after = ImageResult(image, scorer.score(path, Mpp.square(image.mpp_um)))
                rows.append(
                    {
                        "change": name,
                        "image": f"{image.source}/{image.name}",
                        "before": percent_marked(image, before.found),
                        "after": percent_marked(image, after.found),
                        "detection": after.detection(),
                        "detection_before": before.detection(),
                    }
                )
    return rows


def percent_marked(image: LabelledImage, found: FoundCells) -> float | None:
    """Return the positive percentage of the found cells where people marked cells; None without cells."""
    positive = found.positive[image.marked_at(found.places_um)]
    return 100 * float(positive.mean()) if len(positive) else None


def summary(rows: Sequence[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return for each change, and over all, how far the percentage moved and what became of F1."""
    names = list(dict.fromkeys(row["change"] for row in rows))
    parts = {name: [row for row in rows if row["change"] == name] for name in names}
    return {name: _moved(part) for name, part in (parts | {"all": list(rows)}).items() if part}


def _moved(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    pairs = [(row["before"], row["after"]) for row in rows if row["before"] is not None and row["after"] is not None]
    signed = np.array([after - before for before, after in pairs])
    before = sum((row["detection_before"] for row in rows), ClassDetection())
    after = sum((row["detection"] for row in rows), ClassDetection())
    return {
        "images": len(pairs),
        "without_cells": len(rows) - len(pairs),
        "median_points": float(np.median(np.abs(signed))) if len(pairs) else None,
        "p90_points": float(np.percentile(np.abs(signed), 90)) if len(pairs) else None,
        "mean_points": float(signed.mean()) if len(pairs) else None,
        "positive_f1": after.positive.f1,
        "positive_f1_change": _change(before.positive.f1, after.positive.f1),
        "negative_f1": after.negative.f1,
        "negative_f1_change": _change(before.negative.f1, after.negative.f1),
    }


def _change(before: float | None, after: float | None) -> float | None:
    return None if before is None or after is None else after - before
