"""What is called positive where no lymphocyte marker is: pen, pigment, H&E, keratin; with pictures of it.

The µm per pixel of these pictures are not stated; those assumed stand in the table. Only the epidermis is stained with
DAB; on all else every positive cell is false. In the epidermis a keratin (K10, FLG) or a nuclear
protein (Ki67, HSPA2) is brown, so that its positive cells are no errors of colour, but none of them is a lymphocyte.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from held_out import saw_file
from material import SHARED_DATA, picture
from PIL import Image, ImageDraw
from scored_pictures import FoundCells, Scorer

from ihc_quant.domain.geometry import Mpp
from ihc_quant.errors import SlideError
from ihc_quant.network.card import WeightsCard
from ihc_quant.slide.opening import open_slide

ASSUMED_UM = 0.5
EPIDERMIS_UM = 0.25
HE_SLIDE = SHARED_DATA / "slides" / "CMU-1-Small-Region.svs"

PANEL_PX = 720
"""Longest side of a picture on the contact sheet."""
COLUMNS = 3
CAPTION_PX = 34
POSITIVE_RGB, NEGATIVE_RGB = (255, 230, 0), (0, 200, 255)
"""Yellow and cyan: neither occurs in pen, stain or pigment."""


@dataclass(frozen=True, slots=True)
class Artefact:
    """A picture on which nothing should be called positive.

    Attributes
    ----------
    kind : str
    path : Path
    mpp_um : float or None
        Assumed µm per pixel; None takes the file's own.
    """

    kind: str
    path: Path
    mpp_um: float | None


def artefacts() -> list[Artefact]:
    """Return all artefact pictures that are here."""
    folder = SHARED_DATA / "artefacts"
    pens = [Artefact("pen", path, ASSUMED_UM) for path in sorted(folder.glob("*.png"))]
    melanin = [Artefact("melanin, H&E", path, ASSUMED_UM) for path in sorted(folder.glob("melanin*.jpg"))]
    epidermis = [Artefact("epidermis, DAB", path, EPIDERMIS_UM) for path in sorted(folder.glob("epidermis_dab/*.jpg"))]
    he = [Artefact("H&E slide", HE_SLIDE, None)] if HE_SLIDE.is_file() else []
    return [*pens, *melanin, *he, *epidermis]


def false_positives(
    scorer: Scorer, card: WeightsCard, chosen: Sequence[Artefact], pictures: Path | None = None
) -> list[dict[str, Any]]:
    """Score artefact pictures; a row each, and a contact sheet for each kind in the folder ``pictures``.

    A picture that shaped the weights, or that ``score`` refuses, is named with the reason and not counted.
    """
    rows: list[dict[str, Any]] = []
    panels: dict[str, list[Image.Image]] = {}
    for artefact in chosen:
        if saw_file(artefact.path.name, card):
            rows.append({"kind": artefact.kind, "picture": artefact.path.name, "note": "seen in training: not judged"})
            continue
        mpp = None if artefact.mpp_um is None else Mpp.square(artefact.mpp_um)
        try:
            found = scorer.score(artefact.path, mpp, marker="other")
        except SlideError as error:
            rows.append({"kind": artefact.kind, "picture": artefact.path.name, "note": f"refused: {error.reason}"})
            continue
        with open_slide(artefact.path, mpp=mpp) as reader:
            size, used = reader.info.size, reader.info.require_mpp()
        rows.append(row_of(artefact, found, size.width * used.x * size.height * used.y / 1e6))
        if pictures is not None:
            caption = (
                f"{artefact.path.name}: {int(found.positive.sum())} positive, {int((~found.positive).sum())} negative"
            )
            panels.setdefault(artefact.kind, []).append(panel(picture(artefact.path), found, used, caption))
    for kind, those in panels.items():
        assert pictures is not None
        pictures.mkdir(parents=True, exist_ok=True)
        name = kind.replace(", ", "-").replace("&", "").replace(" ", "-").lower()
        contact_sheet(those).save(pictures / f"artefacts-{name}.png")
    return rows


def row_of(artefact: Artefact, found: FoundCells, picture_mm2: float) -> dict[str, Any]:
    """Return the figures of one picture."""
    positive = int(found.positive.sum())
    return {
        "kind": artefact.kind,
        "picture": artefact.path.name,
        "assumed µm/px": artefact.mpp_um,
        "cells": len(found.positive),
        "positive": positive,
        "tissue mm²": found.tissue_mm2,
        "per mm² of tissue": positive / found.tissue_mm2 if found.tissue_mm2 else None,
        "picture mm²": picture_mm2,
        "per mm² of picture": positive / picture_mm2,
        "note": "",
    }


def by_kind(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the rows of each kind added up, ratios of sums."""
    summed = []
    for kind in dict.fromkeys(row["kind"] for row in rows):
        those = [row for row in rows if row["kind"] == kind and "positive" in row]
        positive, cells = sum(row["positive"] for row in those), sum(row["cells"] for row in those)
        tissue, whole = sum(row["tissue mm²"] for row in those), sum(row["picture mm²"] for row in those)
        summed.append(
            {
                "kind": kind,
                "pictures": len(those),
                "cells": cells,
                "positive": positive,
                "tissue mm²": tissue,
                "per mm² of tissue": positive / tissue if tissue else None,
                "per mm² of picture": positive / whole if whole else None,
            }
        )
    return summed


def panel(rgb: np.ndarray[Any, np.dtype[np.uint8]], found: FoundCells, mpp: Mpp, caption: str) -> Image.Image:
    """Return a picture with the outlines of its cells, positive ones yellow, negative ones cyan, and a caption."""
    height, width = rgb.shape[:2]
    scale = min(2.0, PANEL_PX / max(height, width))
    drawn = Image.fromarray(rgb).resize((max(1, round(width * scale)), max(1, round(height * scale))))
    pen = ImageDraw.Draw(drawn)
    order = np.argsort(found.positive, kind="stable")  # positive ones on top
    for index in order:
        corners = found.outlines_um[index] / (mpp.x, mpp.y) * scale
        colour = POSITIVE_RGB if found.positive[index] else NEGATIVE_RGB
        pen.line([*map(tuple, corners), tuple(corners[0])], fill=colour, width=2 if found.positive[index] else 1)
    sheet = Image.new("RGB", (PANEL_PX, drawn.height + CAPTION_PX), "white")
    sheet.paste(drawn, (0, CAPTION_PX))
    ImageDraw.Draw(sheet).text((4, 8), caption, fill="black", font_size=18)
    return sheet


def contact_sheet(panels: Sequence[Image.Image]) -> Image.Image:
    """Return panels side by side, ``COLUMNS`` in a row."""
    rows = [panels[first : first + COLUMNS] for first in range(0, len(panels), COLUMNS)]
    heights = [max(each.height for each in row) for row in rows]
    sheet = Image.new("RGB", (PANEL_PX * min(COLUMNS, len(panels)), sum(heights)), "white")
    for row, top in zip(rows, np.cumsum([0, *heights[:-1]]), strict=True):
        for column, each in enumerate(row):
            sheet.paste(each, (column * PANEL_PX, int(top)))
    return sheet
