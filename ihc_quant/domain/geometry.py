"""Places and sizes, each in a named frame.

Two frames are in use, and two types keep them apart:

* the **level-0 plane** of the slide (suffix ``_l0``): pixels of the finest level, as OpenSlide counts them, the
  origin at the corner of pixel (0, 0), so that the centre of that pixel is (0.5, 0.5). The slide's bounds do not
  move it.
* a **grid** (suffix ``_px``): square pixels of a stated size in µm that share the origin of the level-0 plane. The
  network works on one grid of 0.5 µm, the tissue mask on a coarser one.
"""

import math
from dataclasses import dataclass
from typing import Self

MPP_RANGE_UM: tuple[float, float] = (0.05, 5.0)
"""Plausible µm per pixel of a scanner; a 72-dpi resolution tag reads as 352.8 and falls outside."""


@dataclass(frozen=True, slots=True)
class Point:
    """A place in the level-0 plane, in level-0 pixels."""

    x: float
    y: float


@dataclass(frozen=True, slots=True)
class Size:
    """Width and height in whole pixels, both positive."""

    width: int
    height: int

    def __post_init__(self) -> None:
        if self.width <= 0 or self.height <= 0:
            raise ValueError(f"a size is positive, got {self.width} × {self.height}")


@dataclass(frozen=True, slots=True)
class Box:
    """A half-open box in the level-0 plane, [x0, x1) × [y0, y1), in level-0 pixels."""

    x0: float
    y0: float
    x1: float
    y1: float

    def __post_init__(self) -> None:
        if not (self.x1 >= self.x0 and self.y1 >= self.y0):
            raise ValueError(f"a box runs from its upper left to its lower right corner, got {self}")

    @property
    def width(self) -> float:
        """Width in level-0 pixels."""
        return self.x1 - self.x0

    @property
    def height(self) -> float:
        """Height in level-0 pixels."""
        return self.y1 - self.y0

    def contains(self, point: Point) -> bool:
        """Whether the point lies inside; the right and lower edges belong to the next box."""
        return self.x0 <= point.x < self.x1 and self.y0 <= point.y < self.y1


@dataclass(frozen=True, slots=True)
class GridBox:
    """A half-open box of whole grid pixels, [x0, x1) × [y0, y1)."""

    x0: int
    y0: int
    x1: int
    y1: int

    def __post_init__(self) -> None:
        if self.x1 < self.x0 or self.y1 < self.y0:
            raise ValueError(f"a box runs from its upper left to its lower right corner, got {self}")

    @property
    def width(self) -> int:
        """Width in grid pixels."""
        return self.x1 - self.x0

    @property
    def height(self) -> int:
        """Height in grid pixels."""
        return self.y1 - self.y0

    def grown(self, margin: int) -> "GridBox":
        """Return the box with a margin of grid pixels on every side."""
        return GridBox(self.x0 - margin, self.y0 - margin, self.x1 + margin, self.y1 + margin)


@dataclass(frozen=True, slots=True)
class Mpp:
    """Micrometres per level-0 pixel, along x and along y; both within ``MPP_RANGE_UM``."""

    x: float
    y: float

    def __post_init__(self) -> None:
        low, high = MPP_RANGE_UM
        if not (low <= self.x <= high and low <= self.y <= high):
            raise ValueError(f"µm per pixel must lie between {low} and {high}, got {self.x} × {self.y}")

    @classmethod
    def square(cls, mpp: float) -> Self:
        """Return square pixels of ``mpp`` µm."""
        return cls(mpp, mpp)

    @property
    def coarser(self) -> float:
        """The larger of the two, in µm per pixel."""
        return max(self.x, self.y)


@dataclass(frozen=True, slots=True)
class Grid:
    """Square pixels of ``pixel_um`` µm laid over a slide, sharing the origin of its level-0 plane.

    Grid pixel (i, j) covers [i, i + 1) × [j, j + 1) in grid coordinates. Conversions are exact products of floats:
    nothing is rounded, so nothing drifts over a slide.

    Examples
    --------
    >>> grid = Grid(pixel_um=0.5, mpp=Mpp.square(0.25))
    >>> grid.to_l0(GridBox(0, 0, 10, 20))
    Box(x0=0.0, y0=0.0, x1=20.0, y1=40.0)
    """

    pixel_um: float
    mpp: Mpp

    def __post_init__(self) -> None:
        if not self.pixel_um > 0:
            raise ValueError(f"a grid pixel has a positive size, got {self.pixel_um} µm")

    @property
    def scale_x(self) -> float:
        """Level-0 pixels in one grid pixel along x."""
        return self.pixel_um / self.mpp.x

    @property
    def scale_y(self) -> float:
        """Level-0 pixels in one grid pixel along y."""
        return self.pixel_um / self.mpp.y

    def to_l0(self, box: GridBox) -> Box:
        """Return the box of the level-0 plane that a box of grid pixels covers."""
        return Box(box.x0 * self.scale_x, box.y0 * self.scale_y, box.x1 * self.scale_x, box.y1 * self.scale_y)

    def extent(self, size_l0: Size) -> Size:
        """Return how many grid pixels cover a slide of that size, a partly covered one counted whole."""
        return Size(
            max(1, math.ceil(size_l0.width / self.scale_x - 1e-6)),
            max(1, math.ceil(size_l0.height / self.scale_y - 1e-6)),
        )
