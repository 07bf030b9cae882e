"""Facts about a slide, parsed once when it is opened."""

from dataclasses import dataclass

from ihc_quant.domain.geometry import Box, Mpp, Size
from ihc_quant.errors import CalibrationMissing


@dataclass(frozen=True, slots=True)
class Level:
    """One level of the pyramid.

    Attributes
    ----------
    index : int
        0 is the finest.
    size : Size
        In pixels of this level.
    downsample_x, downsample_y : float
        Level-0 pixels in one pixel of this level.
    """

    index: int
    size: Size
    downsample_x: float
    downsample_y: float


@dataclass(frozen=True, slots=True)
class SlideInfo:
    """What a slide says of itself.

    Attributes
    ----------
    slide_id : str
        The name under which results are kept. Never the file's own name unless the user chose it.
    reader : str
        ``"openslide"``, ``"tifffile"`` or ``"picture"``.
    vendor : str
        Format as the reader names it, for example ``"aperio"``.
    size : Size
        Level-0 pixels.
    levels : tuple of Level
        Finest first.
    mpp : Mpp or None
        None where the file states none, or an implausible one.
    mpp_source : str
        ``"file"``, ``"override"`` or ``"missing"``.
    mpp_problem : str
        Why ``mpp`` is None; empty otherwise.
    bounds_l0 : Box
        The scanned part of the level-0 plane; the whole plane where the file states none.
    objective : float or None
        Nominal magnification; shown, never computed with.
    scanner : str or None
        Vendor and model, where stated.
    background : tuple of int
        Colour (R, G, B) that the file gives to places that were not scanned.
    quick_hash : str
        Identity of the pixel data: OpenSlide's quick hash, or a SHA-256 of the file's size, head and tail.
    series : int
        Image of a file that holds several; 0 otherwise.
    series_count : int
        Images in the file that could be chosen.
    """

    slide_id: str
    reader: str
    vendor: str
    size: Size
    levels: tuple[Level, ...]
    mpp: Mpp | None
    mpp_source: str
    mpp_problem: str
    bounds_l0: Box
    objective: float | None
    scanner: str | None
    background: tuple[int, int, int]
    quick_hash: str
    series: int = 0
    series_count: int = 1

    def require_mpp(self) -> Mpp:
        """Return the µm per pixel.

        Raises
        ------
        CalibrationMissing
            Where they are unknown; the text names the slide and ``--mpp``.
        """
        if self.mpp is None:
            problem = self.mpp_problem or "the file states no µm per pixel"
            raise CalibrationMissing(self.slide_id, f"{problem}; state it with --mpp, for example --mpp 0.25")
        return self.mpp
