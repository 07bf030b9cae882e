"""What a slide is, and whether this installation can score it."""

import platform
from pathlib import Path
from typing import Any

from ihc_quant import __version__
from ihc_quant.batch.measurement import library_versions
from ihc_quant.batch.settings import MeasureSettings
from ihc_quant.batch.slide_job import require_fine_enough
from ihc_quant.batch.slide_overview import find_slide_tissue
from ihc_quant.domain.geometry import Mpp
from ihc_quant.errors import CalibrationMissing, SettingsError, WeightsError
from ihc_quant.network.card import WEIGHTS_FOLDER
from ihc_quant.network.devices import gpu_names, openvino_devices
from ihc_quant.network.precision import settled_precision
from ihc_quant.network.predictor import load_predictor
from ihc_quant.slide.opening import open_slide


def inspect_slide(path: Path, mpp: Mpp | None, series: int | None) -> dict[str, Any]:
    """Return the facts of a slide, whether it can be scored, and how much tissue it holds.

    Raises
    ------
    SlideError
        Where the slide cannot be opened at all.
    """
    with open_slide(path, mpp=mpp, series=series) as reader:
        info = reader.info
        facts: dict[str, Any] = {
            "slide": str(path),
            "reader": info.reader,
            "format": info.vendor,
            "width_px": info.size.width,
            "height_px": info.size.height,
            "levels": len(info.levels),
            "level_downsamples": ", ".join(f"{level.downsample_x:.4g}" for level in info.levels),
            "um_per_px_x": info.mpp.x if info.mpp else None,
            "um_per_px_y": info.mpp.y if info.mpp else None,
            "um_per_px_from": info.mpp_source,
            "objective": info.objective,
            "scanner": info.scanner,
            "series": f"{info.series} of {info.series_count}",
            "quick_hash": info.quick_hash,
        }
        try:
            require_fine_enough(info, str(path), MeasureSettings())
        except CalibrationMissing as error:
            return facts | {"can_be_scored": f"no: {error.reason}"}
        _, tissue = find_slide_tissue(reader, MeasureSettings())
        return facts | {
            "tissue_mm2": round(tissue.area_um2() / 1e6, 3),
            "tissue_fragments": tissue.fragment_count,
            "can_be_scored": "yes" if tissue.fragment_count else "yes, but no tissue was found",
        }


def examine_installation() -> dict[str, Any]:
    """Return versions, devices, codecs and the state of the shipped weights; ``faults`` names what must be mended."""
    import imagecodecs

    faults: list[str] = []
    states: dict[str, str] = {}
    for card in sorted(WEIGHTS_FOLDER.glob("*.json")):
        try:
            predictor = load_predictor(card, workers=1, precision=settled_precision("auto", card))
            states[card.stem] = f"whole, runs in {predictor.description}"
        except WeightsError as error:
            states[card.stem] = "damaged"
            faults.append(str(error))
        except SettingsError as error:
            states[card.stem] = "cannot run here"
            faults.append(str(error))
    if not states:
        faults.append("no weights are there; get the weights folder again")
    codecs = {
        name: bool(getattr(imagecodecs, name.upper()).available) for name in ("jpeg8", "jpeg2k", "lzw", "zstd", "webp")
    }
    faults += [f"the codec {name} is missing; install imagecodecs again" for name, there in codecs.items() if not there]
    devices: dict[str, list[str]] = {}
    for kind, found in (("gpus", gpu_names), ("openvino", openvino_devices)):
        try:
            devices[kind] = found()
        except SettingsError as error:
            devices[kind] = []
            faults.append(str(error))
    return {
        "ihc_quant": __version__,
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "libraries": library_versions(),
        "codecs": codecs,
        "devices": devices,
        "weights": states,
        "faults": list(dict.fromkeys(faults)),
    }
