"""Artefacts painted onto real pixels, with the truth of where they lie: pen, fold, blur, a fragment of control tissue.

All randomness comes from the generator that is passed in, so a seed names a picture. Painted in optical density, as
light goes through ink and through two layers of tissue one after the other.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from ihc_quant.stain.density import from_optical_density, optical_density

PIXEL_UM = 0.5
"""µm per pixel of the pictures that are painted on."""

PEN_DENSITIES: dict[str, Sequence[tuple[float, float, float]]] = {
    "blue": ((1.0, 0.55, 0.12), (0.9, 0.62, 0.2), (1.0, 0.4, 0.1)),
    "green": ((0.9, 0.22, 0.42), (0.8, 0.3, 0.6), (1.0, 0.35, 0.5)),
    "red": ((0.08, 0.95, 0.8), (0.05, 0.9, 0.95), (0.1, 1.0, 0.7)),
    "black": ((0.95, 0.97, 0.95), (0.9, 0.9, 0.85), (1.0, 0.95, 0.9)),
}
"""Optical density (R, G, B) of strokes of each colour at full strength; the first of green, red and blue are read
off real pen marks, the others lie around them."""

PALE_WHITE = (235.0, 230.0, 225.0)
"""The glass of the pictures, whose frames are whiter."""


@dataclass(frozen=True, slots=True, eq=False)
class Painted:
    """A picture and where its artefact lies.

    Attributes
    ----------
    rgb : ndarray, shape (H, W, 3), uint8
    truth : ndarray, shape (H, W), bool
    what : str
    pale : ndarray, shape (H, W), bool, or None
        Where one layer is fat or empty: nothing is counted there, and no fold or blur can be seen.
    """

    rgb: NDArray[np.uint8]
    truth: NDArray[np.bool_]
    what: str
    pale: NDArray[np.bool_] | None = None


def scanned(rgb: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Return the picture as a scanner writes it: sensor noise, then JPEG; blurred places are noisy as well."""
    grain = rng.normal(0, rng.uniform(0.5, 1.5), (512, 512, 3))
    height, width = rgb.shape[:2]
    noise = np.tile(np.rint(grain).astype(np.int16), (-(-height // 512), -(-width // 512), 1))[:height, :width]
    noisy = cv2.add(rgb, noise, dtype=cv2.CV_8U)
    quality = int(rng.integers(75, 92))
    _, data = cv2.imencode(".jpg", np.ascontiguousarray(noisy[..., ::-1]), [cv2.IMWRITE_JPEG_QUALITY, quality])
    return np.ascontiguousarray(np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)[..., ::-1])


def paint_pen(
    rgb: NDArray[np.uint8], colour: str, rng: np.random.Generator, at: NDArray[np.bool_], pixel_um: float = PIXEL_UM
) -> Painted:
    """Draw a stroke of a pen, 120 to 450 µm wide, through a place where ``at`` holds, on pixels of ``pixel_um``.

    Ink lies on the cover glass, out of focus: its edges are soft. It covers unevenly and lets some light through.
    """
    shape = rgb.shape[:2]
    cover = stroke(shape, _place(at, rng), rng.uniform(120, 450), rng.uniform(400, 1600), rng, pixel_um)
    soft = _blurred(cover, rng.uniform(5, 15), pixel_um)
    uneven = 1 + 0.25 * waves(shape, 60, rng, pixel_um)
    kinds = PEN_DENSITIES[colour]
    ink = np.array(kinds[int(rng.integers(len(kinds)))], np.float32) * np.float32(rng.uniform(0.45, 1.2))
    density = optical_density(rgb) + (soft * np.clip(uneven, 0.5, 1.5))[..., np.newaxis] * ink
    return Painted(from_optical_density(density), soft >= 0.5, f"{colour} pen")


def paint_fold(rgb: NDArray[np.uint8], tissue: NDArray[np.bool_], rng: np.random.Generator) -> Painted:
    """Lay the tissue beside a band of 40 to 150 µm over it, mirrored at one of the band's two edges.

    The densities of the two layers add, over those of the glass, which lies there but once. The upper layer
    is out of focus, and it continues beyond the picture as its mirror image. A tuck has a third layer and is darker.
    """
    through, width_um = _place(tissue, rng), rng.uniform(40, 150)
    line = _line(through, rng.uniform(400, 1600), rng)
    band = _drawn(rgb.shape, line, width_um)
    place = _touched(band)
    rows, columns = _mirrored(line, width_um, place)
    both = tissue[place] & (_taken(tissue.astype(np.uint8), rows, columns) > 0)
    soft = np.where(both, _blurred(band, rng.uniform(1, 4))[place], 0).astype(np.float32)
    high = cv2.GaussianBlur(_taken(rgb, rows, columns), (0, 0), sigmaX=rng.uniform(0.5, 2) / PIXEL_UM)
    second = np.maximum(optical_density(np.asarray(high, np.uint8), PALE_WHITE), 0)
    painted, truth, pale = rgb.copy(), np.zeros(tissue.shape, np.bool_), _pale(rgb)
    painted[place] = from_optical_density(optical_density(rgb[place]) + soft[..., np.newaxis] * second)
    truth[place] = soft >= 0.5
    above = _taken(pale.astype(np.uint8), rows, columns) > 0
    pale[place] |= above
    return Painted(painted, truth, "fold", pale)


def _mirrored(
    line: NDArray[np.float64], width_um: float, place: tuple[slice, slice]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return from which row and column each pixel of a place is taken, mirrored at one edge of a band."""
    along = np.gradient(line, axis=0)
    along /= np.linalg.norm(along, axis=1, keepdims=True)
    edge = line + along[:, ::-1] * (width_um / PIXEL_UM / 2 * np.array([-1.0, 1.0]))
    # Straight on past both ends of the band, which are round.
    reach = width_um / PIXEL_UM
    edge = np.concatenate([edge[:1] - reach * along[:1], edge, edge[-1:] + reach * along[-1:]])
    steps = np.linspace(0, len(edge) - 1, 2000)
    fine = np.stack([np.interp(steps, np.arange(len(edge)), edge[:, axis]) for axis in (0, 1)], axis=1)
    shape = (place[0].stop - place[0].start, place[1].stop - place[1].start)
    # Every eighth pixel is enough for so smooth a map.
    y = np.arange(place[0].start, place[0].stop + 8, 8, dtype=np.float64)
    x = np.arange(place[1].start, place[1].stop + 8, 8, dtype=np.float64)
    across, down = np.meshgrid(x, y)
    _, nearest = cKDTree(fine).query(np.stack([across, down], axis=-1))
    source = (2 * fine[nearest] - np.stack([across, down], axis=-1)).astype(np.float32)
    at_y, at_x = np.mgrid[: shape[0], : shape[1]].astype(np.float32) / np.float32(8)
    full = cv2.remap(source, at_x, at_y, cv2.INTER_LINEAR)
    return full[..., 1], full[..., 0]


def _taken(values: NDArray[np.uint8], rows: NDArray[np.float32], columns: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Return the values that lie nearest; beyond the picture its mirror image."""
    return np.asarray(cv2.remap(values, columns, rows, cv2.INTER_NEAREST, borderMode=cv2.BORDER_REFLECT_101), np.uint8)


def paint_shifted_fold(rgb: NDArray[np.uint8], tissue: NDArray[np.bool_], rng: np.random.Generator) -> Painted:
    """Lay a shifted copy of the picture over itself along a band of 40 to 150 µm: the painter of before.

    It is kept so that figures can be compared. The copy comes in again at the other side of the picture, where bands
    therefore end along the picture's border, and the glass lies there twice, which veils the gaps between cells.
    """
    shape = rgb.shape[:2]
    angle, length = rng.uniform(0, 2 * np.pi), rng.uniform(60, 160) / PIXEL_UM
    dx, dy = round(length * np.cos(angle)), round(length * np.sin(angle))
    both = tissue & np.roll(tissue, (dy, dx), (0, 1))
    band = stroke(shape, _place(both, rng), rng.uniform(40, 150), rng.uniform(400, 1600), rng)
    soft = _blurred(band, rng.uniform(1, 4))
    soft = np.where(both, soft, 0).astype(np.float32)
    rows, columns = _touched(soft)
    second = np.maximum(optical_density(np.roll(rgb, (dy, dx), (0, 1))[rows, columns]), 0)
    painted = rgb.copy()
    density = optical_density(rgb[rows, columns]) + soft[rows, columns, np.newaxis] * second
    painted[rows, columns] = from_optical_density(density)
    pale = _pale(rgb) | np.roll(_pale(rgb), (dy, dx), (0, 1))
    return Painted(painted, soft >= 0.5, "fold", pale)


def paint_blur(rgb: NDArray[np.uint8], tissue: NDArray[np.bool_], rng: np.random.Generator) -> Painted:
    """Put a region out of focus, by a Gaussian of 2 to 4 µm of standard deviation."""
    shape = rgb.shape[:2]
    x, y = _place(tissue, rng)
    rows, columns = np.indices(shape, np.float32)
    far = np.hypot((columns - x) * np.float32(rng.uniform(0.7, 1.4)), rows - y) * PIXEL_UM
    region = far + 40 * waves(shape, 120, rng) <= rng.uniform(100, 400)
    soft = _blurred(region.astype(np.float32), 8)
    sigma_um = rng.uniform(2, 4)
    place = _touched(soft)
    near, share = rgb[place], soft[place][..., np.newaxis]
    blurred = cv2.GaussianBlur(near, (0, 0), sigmaX=sigma_um / PIXEL_UM).astype(np.float32)
    painted = rgb.copy()
    painted[place] = np.clip(np.rint(share * blurred + (1 - share) * near), 0, 255).astype(np.uint8)
    return Painted(painted, region & tissue, f"blur of {sigma_um:.1f} µm", _pale(rgb))


PALE_OD = 0.05
"""Mean density over some 25 µm below which a place is called fat or empty."""


def _pale(rgb: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Return where there is next to nothing."""
    small = cv2.resize(rgb, (rgb.shape[1] // 8, rgb.shape[0] // 8), interpolation=cv2.INTER_AREA)
    near = cv2.GaussianBlur(optical_density(np.asarray(small, np.uint8), PALE_WHITE).mean(axis=-1), (0, 0), sigmaX=3)
    return np.asarray(cv2.resize(near, rgb.shape[1::-1], interpolation=cv2.INTER_LINEAR) < PALE_OD, np.bool_)


def _touched(cover: NDArray[np.float32]) -> tuple[slice, slice]:
    """Return the rows and columns that hold all of a cover, with room for a blur."""
    height, width = cover.shape
    left, top, across, down = cv2.boundingRect((cover > 1e-3).astype(np.uint8))
    return slice(max(0, top - 40), min(height, top + down + 40)), slice(
        max(0, left - 40), min(width, left + across + 40)
    )


def _place(at: NDArray[np.bool_], rng: np.random.Generator) -> tuple[float, float]:
    """Return a random place, x and y in pixels, where the mask holds."""
    rows, columns = np.nonzero(at)
    index = int(rng.integers(len(rows)))
    return float(columns[index]), float(rows[index])


def stroke(
    shape: tuple[int, ...],
    through: tuple[float, float],
    width_um: float,
    length_um: float,
    rng: np.random.Generator,
    pixel_um: float = PIXEL_UM,
) -> NDArray[np.float32]:
    """Return a bent stroke of rounded ends, 1 inside."""
    return _drawn(shape, _line(through, length_um, rng, pixel_um), width_um, pixel_um)


def _line(
    through: tuple[float, float], length_um: float, rng: np.random.Generator, pixel_um: float = PIXEL_UM
) -> NDArray[np.float64]:
    """Return the points (x, y) of a bent line."""
    angle, bend = rng.uniform(0, 2 * np.pi), rng.uniform(-0.6, 0.6)
    steps = np.linspace(-0.5, 0.5, 41)
    turned = angle + bend * steps
    dx, dy = np.cumsum(np.cos(turned)), np.cumsum(np.sin(turned))
    scale = length_um / pixel_um / len(steps)
    return np.stack([through[0] + (dx - dx[20]) * scale, through[1] + (dy - dy[20]) * scale], axis=1)


def _drawn(
    shape: tuple[int, ...], line: NDArray[np.float64], width_um: float, pixel_um: float = PIXEL_UM
) -> NDArray[np.float32]:
    canvas = np.zeros(shape[:2], np.float32)
    cv2.polylines(canvas, [np.rint(line).astype(np.int32)], False, (1.0,), max(1, round(width_um / pixel_um)))
    return canvas


def _blurred(cover: NDArray[np.float32], sigma_um: float, pixel_um: float = PIXEL_UM) -> NDArray[np.float32]:
    return np.asarray(cv2.GaussianBlur(cover, (0, 0), sigmaX=sigma_um / pixel_um), np.float32)


def waves(
    shape: tuple[int, ...], size_um: float, rng: np.random.Generator, pixel_um: float = PIXEL_UM
) -> NDArray[np.float32]:
    """Return smooth noise of mean 0 and standard deviation 1."""
    factor = max(1, round(size_um / pixel_um / 4))
    coarse = rng.normal(0, 1, (shape[0] // factor + 2, shape[1] // factor + 2)).astype(np.float32)
    coarse = np.asarray(cv2.GaussianBlur(coarse, (0, 0), sigmaX=4), np.float32)
    wide = np.asarray(cv2.resize(coarse / coarse.std(), (shape[1], shape[0]), interpolation=cv2.INTER_CUBIC))
    return wide.astype(np.float32)
