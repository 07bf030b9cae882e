"""A laboratory's own annotations as fields to learn from."""

from pathlib import Path

from ihc_quant.errors import SettingsError
from ihc_quant.training.field import TrainingField


def read_laboratory(path: Path, pixel_um: float) -> list[TrainingField]:
    """Read the items that a laboratory's YAML lists.

    Raises
    ------
    SettingsError
        Where the file, an annotation or a slide cannot be used.
    """
    raise SettingsError(f"{path}: laboratory files cannot be read yet at {pixel_um} µm per pixel.")
