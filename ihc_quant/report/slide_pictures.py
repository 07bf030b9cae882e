"""What a page shows of a slide besides its figures."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ihc_quant.domain.od_histogram import OdHistogram
from ihc_quant.report.density_map import DensityMap


@dataclass(frozen=True, slots=True)
class Thumbnail:
    """The whole slide, small.

    Attributes
    ----------
    rgb : ndarray, shape (H, W, 3), uint8
        sRGB.
    pixel_um : float
        Width of a pixel in µm.
    """

    rgb: NDArray[np.uint8]
    pixel_um: float

    def __post_init__(self) -> None:
        if self.rgb.dtype != np.uint8 or self.rgb.ndim != 3 or self.rgb.shape[2] != 3 or 0 in self.rgb.shape:
            raise ValueError(f"a thumbnail is uint8 (H, W, 3), got {self.rgb.dtype} {self.rgb.shape}")
        if not self.pixel_um > 0:
            raise ValueError(f"pixels have a size, got {self.pixel_um}")


@dataclass(frozen=True, slots=True)
class SlidePictures:
    """Pictures of one slide, and what the page draws by itself.

    Attributes
    ----------
    overview_png : bytes
        From ``draw_overview``, encoded; empty where there is none.
    gallery_png : bytes
        From ``draw_gallery``, encoded; empty where there is none.
    thumbnail : Thumbnail or None
        For the panel.
    density : DensityMap or None
        Of the positive cells, in the thumbnail's pixels; for the panel's heat map.
    od_histogram : OdHistogram or None
    """

    overview_png: bytes = b""
    gallery_png: bytes = b""
    thumbnail: Thumbnail | None = None
    density: DensityMap | None = None
    od_histogram: OdHistogram | None = None

    def __post_init__(self) -> None:
        if (
            self.thumbnail is not None
            and self.density is not None
            and self.density.per_mm2.shape != self.thumbnail.rgb.shape[:2]
        ):
            raise ValueError("a heat map has the pixels of its thumbnail")
