"""Pictures to learn folds from: real tissue of many makes with folds painted on, and with what is mistaken for folds.

A sample is what quality control keeps of a picture, squares of 8 µm, and the truth on them. All randomness comes from
the generator that is passed in. The judged pictures of ``quality.py`` are not used, nor the H&E beside one of them.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
import tifffile
from material import PROJECT
from numpy.typing import NDArray
from painted_artefacts import PALE_WHITE, PIXEL_UM, paint_blur, paint_fold, paint_shifted_fold, scanned, stroke, waves
from PIL import Image

from ihc_quant.domain.geometry import Grid, Mpp
from ihc_quant.stain.density import White, averaged, from_optical_density, optical_density
from ihc_quant.stain.estimate import estimate_white_point
from ihc_quant.tissue.mask import find_tissue
from ihc_quant.tissue.tile_measures import STEP_PX, measure_tile

SIDE_PX = 1024
"""Side of a sample, 512 µm."""

HEMATOXYLIN, CHROMOGEN = (0.65, 0.70, 0.29), (0.27, 0.57, 0.78)
"""Densities (R, G, B) along which stains are made stronger and weaker."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where pictures come from.

    Attributes
    ----------
    group : str
        Sources of one group show one tissue, or are of one make; they are held out together.
    pattern : str
        Files, below the project's folder.
    mpp_um : float
        µm per pixel.
    share : float
        How often it is drawn, against the others.
    framed : bool
        Whether the tissue is framed in a white that is no glass.
    """

    group: str
    pattern: str
    mpp_um: float
    share: float
    framed: bool = False


SOURCES = (
    Source("ihc_a", "../shared/data/unlabelled/lymphnode_cd3/ihc_a.png", 0.5, 4, True),
    Source("pair1", "../shared/data/unlabelled/lymphnode_cd3/pair1_cd3.png", 0.5, 4, True),
    Source("pair1", "../shared/data/unlabelled/lymphnode_cd3/pair1_he.png", 0.5, 2, True),
    Source("cmu1", "../shared/data/slides/CMU-1-Small-Region.svs", 0.499, 2),
    Source("os2", "../shared/data/slides/OS-2-ndpi.ome.tif", 0.2271, 2),
    Source("os2", "../shared/data/slides/OS-2-vsi.ome.tif", 0.346, 1),
    Source("os1", "../shared/data/slides/OS-1-detail.ome.tif", 0.2271, 1),
    Source("cd138", "../shared/data/labelled/cd138/images/*.png", 0.25, 3),
    Source("bcdata", "../shared/data/labelled/bcdata/images/*.png", 0.25, 3),
    Source("painted", "slides_sample/sample-lymph_node-*.tiff", 0.25, 3),
    Source("painted", "slides_sample/sample-skin-*.tiff", 0.25, 2),
    Source("epidermis", "../shared/data/artefacts/epidermis_dab/*_rep.jpg", 0.25, 1),
)
"""CD138 and BCData are small: such pictures are laid side by side."""


LICENCES = (
    "lymph nodes ihc_a and pair1 (none stated)",
    "CMU-1 (CC0)",
    "OS-1 and OS-2 (CC BY 4.0)",
    "CD138 (none stated)",
    "BCData (none stated)",
    "four strips of epidermis (none stated)",
    "this project's painted samples",
)
"""What stands with what was learned."""


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """Squares of 8 µm of a picture.

    Attributes
    ----------
    values : ndarray, shape (H, W, 6), float32
        Measures, see ``measure_tile``.
    tissue, truth, pale : ndarray, shape (H, W), bool
        Tissue; where a fold lies; where one of its layers is fat or empty.
    group : str
    """

    values: NDArray[np.float32]
    tissue: NDArray[np.bool_]
    truth: NDArray[np.bool_]
    pale: NDArray[np.bool_]
    group: str


def drawn(sources: tuple[Source, ...], rng: np.random.Generator) -> Sample:
    """Return a sample of a random source; one in four has no fold."""
    shares = np.array([source.share for source in sources])
    source = sources[int(rng.choice(len(sources), p=shares / shares.sum()))]
    while True:
        density, glass = _crop(source, rng)
        if (density.mean(axis=-1) > 0.06).mean() > 0.15:
            break
    rgb = _varied(density, glass, rng)
    coarse = find_tissue(averaged(rgb, 4), Grid(4 * PIXEL_UM, Mpp.square(PIXEL_UM))).mask
    tissue = np.repeat(np.repeat(coarse, 4, axis=0), 4, axis=1)
    truth, pale = np.zeros(tissue.shape, np.bool_), np.zeros(tissue.shape, np.bool_)
    if tissue.mean() > 0.02:
        if rng.random() < 0.15:
            rgb = paint_blur(rgb, tissue, rng).rgb
        for _ in range(int(rng.choice([0, 1, 2], p=[0.25, 0.5, 0.25]))):
            painted = (
                paint_fold(rgb, tissue, rng, glass) if rng.random() < 0.75 else paint_shifted_fold(rgb, tissue, rng)
            )
            if not (painted.truth & truth).any():
                rgb, truth = painted.rgb, truth | painted.truth
                if painted.pale is not None:
                    pale = pale | (painted.pale & painted.truth)
    rgb = scanned(rgb, rng)
    overview_um = float(rng.choice([2.0, 4.0, 8.0]))
    overview = averaged(rgb, round(overview_um / PIXEL_UM))
    seen = find_tissue(overview, Grid(overview_um, Mpp.square(PIXEL_UM))).mask
    white = estimate_white_point(overview, overview_um).rgb
    side = SIDE_PX // STEP_PX
    at = ((np.arange(side) + 0.5) * STEP_PX * PIXEL_UM / overview_um).astype(int)
    return Sample(measure_tile(rgb, white), seen[np.ix_(at, at)], _squares(truth), _squares(pale & truth), source.group)


def _squares(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    side = SIDE_PX // STEP_PX
    return np.asarray(cv2.resize(mask.astype(np.float32), (side, side), interpolation=cv2.INTER_AREA) >= 0.5, np.bool_)


@lru_cache(maxsize=200)
def _picture(path: str, mpp_um: float) -> NDArray[np.uint8]:
    """Return a picture at 0.5 µm per pixel."""
    if path.endswith((".tif", ".tiff", ".svs")):
        rgb = tifffile.imread(path)[..., :3]
    else:
        with Image.open(path) as image:
            rgb = np.array(image.convert("RGB"))
    scale = mpp_um / PIXEL_UM
    size = (round(rgb.shape[1] * scale), round(rgb.shape[0] * scale))
    return np.asarray(cv2.resize(np.ascontiguousarray(rgb), size, interpolation=cv2.INTER_AREA), np.uint8)


def _crop(source: Source, rng: np.random.Generator) -> tuple[NDArray[np.float32], White]:
    """Return densities of a random part, turned and a little larger or smaller, and the glass they are above."""
    paths = sorted((PROJECT / source.pattern).parent.glob((PROJECT / source.pattern).name))
    first = _picture(str(paths[int(rng.integers(len(paths)))]), source.mpp_um)
    side = round(SIDE_PX / rng.uniform(0.8, 1.25))
    if min(first.shape[:2]) >= 500:
        plane = first
    else:
        count = -(-side // min(first.shape[:2]))
        rows = []
        for _ in range(count):
            row = [
                _turned(_picture(str(paths[int(rng.integers(len(paths)))]), source.mpp_um), rng) for _ in range(count)
            ]
            rows.append(np.concatenate(row, axis=1))
        plane = np.concatenate(rows, axis=0)
    glass = PALE_WHITE if source.framed else estimate_white_point(averaged(plane, 8), 4.0).rgb
    # Continued by its mirror image, a picture has room for a sample anywhere.
    rows_at, columns_at = (
        _reflected(int(rng.integers(-side // 3, max(1, size - 2 * side // 3))), side, size) for size in plane.shape[:2]
    )
    part = _turned(plane[np.ix_(rows_at, columns_at)], rng)
    part = np.asarray(cv2.resize(part, (SIDE_PX, SIDE_PX), interpolation=cv2.INTER_LINEAR), np.uint8)
    return optical_density(part, glass), glass


def _reflected(start: int, count: int, size: int) -> NDArray[np.intp]:
    at = np.abs(np.arange(start, start + count)) % (2 * size)
    return np.where(at < size, at, 2 * size - 1 - at).astype(np.intp)


def _turned(rgb: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    rgb = np.rot90(rgb, int(rng.integers(4)))
    return np.ascontiguousarray(rgb[:, ::-1] if rng.random() < 0.5 else rgb)


def _varied(density: NDArray[np.float32], glass: White, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Return the picture with its stains stronger or weaker, with gaps, and with what is dense but lies single."""
    axes = np.array([HEMATOXYLIN, CHROMOGEN, np.cross(HEMATOXYLIN, CHROMOGEN)], np.float32)
    into = np.linalg.inv(axes)
    factors = np.exp(rng.uniform((-0.5, -0.8, 0), (0.5, 0.8, 0)) * (rng.random() < 0.7)) * np.exp(
        rng.uniform(-0.3, 0.3)
    )
    density = np.asarray(cv2.transform(density, (into @ np.diag(factors) @ axes).T), np.float32)
    for _ in range(int(rng.choice([0, 1, 2], p=[0.45, 0.35, 0.2]))):
        density = DISTRACTORS[int(rng.integers(len(DISTRACTORS)))](density, rng)
    if rng.random() < 0.35:
        density = density * (1 - np.float32(0.95) * _gaps(density.shape, rng))[..., np.newaxis]
    return from_optical_density(density, glass)


def _gaps(shape: tuple[int, ...], rng: np.random.Generator) -> NDArray[np.float32]:
    """Return where tissue is torn or empty, 1 inside."""
    holes = (waves(shape, rng.uniform(15, 80), rng) > rng.uniform(0.4, 1.6)).astype(np.float32)
    return np.asarray(cv2.GaussianBlur(holes, (0, 0), sigmaX=rng.uniform(0.5, 2) / PIXEL_UM), np.float32)


def _cover(shape: tuple[int, ...], rng: np.random.Generator, least_soft_um: float) -> NDArray[np.float32]:
    """Return a band or a patch, 1 inside, with a soft border."""
    if rng.random() < 0.5:
        through = (float(rng.uniform(0, shape[1])), float(rng.uniform(0, shape[0])))
        cover = stroke(shape, through, rng.uniform(40, 250), rng.uniform(100, 1600), rng)
    else:
        cover = (waves(shape, rng.uniform(60, 250), rng) > rng.uniform(0.6, 1.4)).astype(np.float32)
    soft_um = least_soft_um * np.exp(rng.uniform(0, 1.2))
    return np.asarray(cv2.GaussianBlur(cover, (0, 0), sigmaX=soft_um / PIXEL_UM), np.float32)[..., np.newaxis]


def _more_of_one_stain(density: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """Return tissue with a T zone or a follicle: more of one stain, with any border."""
    axes = np.array([HEMATOXYLIN, CHROMOGEN, np.cross(HEMATOXYLIN, CHROMOGEN)], np.float32)
    factors = np.ones(3)
    factors[int(rng.integers(2))] = rng.uniform(1.5, 3)
    stronger = cv2.transform(density, (np.linalg.inv(axes) @ np.diag(factors) @ axes).T)
    cover = _cover(density.shape, rng, 2)
    return cover * stronger + (1 - cover) * density


def _fading(density: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """Return tissue that is denser in all at a place whose border fades."""
    return density * (1 + np.float32(rng.uniform(0.3, 1.5)) * _cover(density.shape, rng, 25))


def _haze(density: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """Return tissue with something even over it or in its place: plasma, hyaline, a vessel full of blood."""
    colour = np.abs(np.array(CHROMOGEN) * rng.uniform(0.6, 1.4, 3)) * rng.uniform(0.1, 0.5)
    cover = _cover(density.shape, rng, 2)
    left = rng.uniform(0, 1)
    return ((1 - cover * np.float32(1 - left)) * density + cover * colour.astype(np.float32)).astype(np.float32)


def _elsewhere(density: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """Return tissue with other tissue of the picture in its place, as at the border of two tissues."""
    shift = tuple(int(value) for value in rng.integers(100, SIDE_PX - 100, 2))
    cover = _cover(density.shape, rng, 1)
    return cover * np.roll(density, shift, (0, 1)) + (1 - cover) * density


DISTRACTORS: tuple[Callable[[NDArray[np.float32], np.random.Generator], NDArray[np.float32]], ...] = (
    _more_of_one_stain,
    _fading,
    _haze,
    _elsewhere,
)
