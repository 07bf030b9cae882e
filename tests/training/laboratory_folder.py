"""A laboratory's files, as tests need them: images whose cells are known, and what somebody drew on them."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ihc_quant.slide.writing import write_pyramid
from ihc_quant.training.field import TrainingField
from ihc_quant.training.laboratory import read_laboratory

RADIUS_L0 = 12
CLASSES = """classes:
  Positive: positive
  Negative: negative
  "Negative: faint": unknown
  "Ignore*": ignore
  Annotated area: valid
  Tissue: skip
"""
CELLS = [(200, 300, "Positive"), (260, 300, "Negative"), (700, 520, "Negative: faint"), (900, 100, "Negative")]
"""x, y in level-0 pixels of 0.25 µm, class."""


def painted(width: int = 1000, height: int = 800) -> NDArray[np.uint8]:
    """Return pale tissue with the cells, brown where positive."""
    rgb = np.full((height, width, 3), (230, 220, 230), np.uint8)
    for x, y, name in CELLS:
        # OpenCV's circle is centred on a pixel; the mark lies on the corner between pixels, half a pixel away.
        cv2.circle(rgb, (x, y), RADIUS_L0, (120, 70, 40) if name == "Positive" else (90, 90, 170), -1)
    return rgb


def drawn(kind: str, coordinates: object, name: str, **properties: object) -> dict[str, Any]:
    geometry = {"type": kind, "coordinates": coordinates}
    return {"type": "Feature", "geometry": geometry, "properties": {"classification": {"name": name}} | properties}


def area(x0: float, y0: float, x1: float, y1: float, name: str = "Annotated area") -> dict[str, Any]:
    return drawn("Polygon", [[[x0, y0], [x1, y0], [x1, y1], [x0, y1], [x0, y0]]], name)


def dots(cells: Sequence[tuple[int, int, str]] = CELLS) -> list[dict[str, Any]]:
    return [drawn("Point", [x, y], name) for x, y, name in cells]


def outlines(cells: Sequence[tuple[int, int, str]] = CELLS, **properties: object) -> list[dict[str, Any]]:
    angle = np.linspace(0, 2 * np.pi, 25)
    ring = RADIUS_L0 * np.column_stack([np.cos(angle), np.sin(angle)])
    ring[-1] = ring[0]
    return [drawn("Polygon", [np.add(ring, (x, y)).tolist()], name, **properties) for x, y, name in cells]


class Folder:
    """Writes a laboratory's files."""

    def __init__(self, path: Path) -> None:
        self.path = path
        (path / "classes.yaml").write_text(CLASSES)

    def slide(self, name: str = "slide.tif", rgb: NDArray[np.uint8] | None = None, mpp: float = 0.25) -> str:
        write_pyramid(self.path / name, painted() if rgb is None else rgb, mpp, quality=95, levels=2)
        return name

    def picture(self, name: str = "tile.png", rgb: NDArray[np.uint8] | None = None) -> str:
        rgb = painted() if rgb is None else rgb
        assert cv2.imwrite(str(self.path / name), np.ascontiguousarray(rgb[..., ::-1]))
        return name

    def geojson(self, features: Sequence[object], name: str = "drawn.geojson") -> str:
        (self.path / name).write_text(json.dumps({"type": "FeatureCollection", "features": list(features)}))
        return name

    def listed(self, *items: dict[str, object], **top: object) -> Path:
        # JSON is YAML too.
        path = self.path / "laboratory.yaml"
        path.write_text(json.dumps({"marker": "CCR4", "classes": "classes.yaml", **top, "items": items}))
        return path

    def read(self, image: str, annotation: object, **more: object) -> list[TrainingField]:
        item = {"image": image, "annotation": annotation, "patient": "P1", **more}
        return read_laboratory(self.listed(item), 0.5)


def points_of(field: TrainingField) -> NDArray[np.float64]:
    assert field.points_px is not None
    return field.points_px


WHERE = area(100, 200, 400, 400)
