"""Painted fields kept on disk: painting one takes half a second, reading it again a few milliseconds."""

import hashlib
import os
import zipfile
import zlib
from functools import cache
from importlib.metadata import version
from pathlib import Path

import numpy as np

import ihc_quant
from ihc_quant.synthetic.field import PaintedField, paint_training_field

_PAINTER = ("synthetic", "stain", "domain")
"""Folders of the package that decide what a painted field looks like."""
_LIBRARIES = ("numpy", "scipy", "opencv-python-headless", "scikit-image")
_ARRAYS = ("rgb", "labels", "positive", "centres_px", "kind")


def painted_field(seed: int, size_px: int, folder: Path | None) -> PaintedField:
    """Return a painted field from the folder, or paint it and keep it there; without a folder it is only painted.

    What another version of the painter left is not taken, and neither is a damaged file.
    """
    if folder is None:
        return paint_training_field(seed, size_px)
    path = folder / f"{painter_digest()[:16]}-{size_px}-{seed}.npz"
    try:
        # Opened here, as NumPy would leave a damaged file open.
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as kept:
            return PaintedField(**{name: kept[name] for name in _ARRAYS}, pixel_um=float(kept["pixel_um"]))
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error):
        painted = paint_training_field(seed, size_px)
    folder.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(f".{os.getpid()}.partial")
    with partial.open("wb") as written:
        np.savez_compressed(
            written, pixel_um=np.float64(painted.pixel_um), **{name: getattr(painted, name) for name in _ARRAYS}
        )
    partial.replace(path)
    return painted


@cache
def painter_digest() -> str:
    """Return a digest of all that decides what a seed paints: the painter's code and the libraries it calls."""
    digest = hashlib.sha256()
    package = Path(ihc_quant.__file__).parent
    for folder in _PAINTER:
        for source in sorted((package / folder).glob("*.py")):
            digest.update(source.read_bytes())
    digest.update(" ".join(f"{name} {version(name)}" for name in _LIBRARIES).encode())
    return digest.hexdigest()
