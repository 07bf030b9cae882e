"""What every reader of slides keeps."""

from types import TracebackType
from typing import Protocol, Self

import numpy as np
from numpy.typing import NDArray

from ihc_quant.domain.geometry import GridBox
from ihc_quant.domain.slide import SlideInfo


class SlideReader(Protocol):
    """An open slide: its facts and its pixels.

    All readers keep these rules; ``tests/contract/test_slide_readers.py`` holds them to it.

    * ``read`` may be called from several threads at once.
    * A pixel does not depend on the box with which it was read.
    * Places outside the slide and transparent places are white.
    * ``SlideError`` is the only error that a damaged file can cause.
    """

    info: SlideInfo

    def read(self, level: int, box: GridBox) -> NDArray[np.uint8]:
        """Return the pixels of a box of one level.

        Parameters
        ----------
        level : int
            Index into ``info.levels``.
        box : GridBox
            In pixels of that level; may reach beyond it.

        Returns
        -------
        ndarray, shape (H, W, 3), uint8
            sRGB, 0 to 255.

        Raises
        ------
        RegionUnreadable
            Where pixels cannot be decoded.
        """

    def close(self) -> None:
        """Release the file; reading afterwards is a ``ValueError``."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None: ...


class ClosingReader:
    """The part that all readers share: opening in a ``with`` block and refusing to read once closed."""

    def __init__(self) -> None:
        self._closed = False

    def close(self) -> None:
        """Release the file; reading afterwards is a ``ValueError``."""
        if not self._closed:
            self._closed = True
            self._release()

    def _release(self) -> None:
        """Give back what the reader holds."""

    def _require_open(self) -> None:
        if self._closed:
            raise ValueError("the slide is closed")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


def white_box(box: GridBox) -> NDArray[np.uint8]:
    """Return an array (H, W, 3) of white for a box."""
    return np.full((box.height, box.width, 3), 255, np.uint8)


def clipped(box: GridBox, width: int, height: int) -> GridBox | None:
    """Return the part of a box inside [0, width) × [0, height), or None where there is none."""
    x0, y0 = max(box.x0, 0), max(box.y0, 0)
    x1, y1 = min(box.x1, width), min(box.y1, height)
    return GridBox(x0, y0, x1, y1) if x1 > x0 and y1 > y0 else None
