"""Lessons on folds: real tissue of many makes with folds painted on, and with blur and what is mistaken for folds.

A lesson is what the fold network sees of a picture of 512 µm, pixels of 1 µm, and the truth on squares of 4 µm. All
randomness comes from the generator that is passed in. The judged pictures of ``quality.py`` are not used, nor the H&E
beside them.
"""

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
import tifffile
from fold_distractors import varied
from material import PROJECT
from numpy.typing import NDArray
from painted_artefacts import PALE_WHITE, PIXEL_UM, paint_blur, paint_fold, paint_shifted_fold, scanned
from PIL import Image

from ihc_quant.domain.geometry import Grid, Mpp
from ihc_quant.stain.density import White, averaged, from_optical_density, optical_density
from ihc_quant.stain.estimate import estimate_white_point
from ihc_quant.tissue.fold_planes import FOLD_STEP_PX, fold_planes
from ihc_quant.tissue.mask import find_tissue

SIDE_PX = 1024
"""Side of a lesson's picture, 512 µm."""

SQUARES, STEP_UM = SIDE_PX // FOLD_STEP_PX, FOLD_STEP_PX * PIXEL_UM
"""Along its side, and the side of one."""


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
        In a white that is no glass.
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
    Source("epidermis", "../shared/data/artefacts/epidermis_dab/*_rep.jpg", 0.25, 2),
    Source("jp2k", "../shared/data/slides/no-mpp-jpeg2000.svs", 0.5, 3),
    Source("lysto", "../shared/data/labelled/lysto/images/*.png", 0.25, 3),
    Source("kidney", "../shared/data/slides/kidney-ihc-no-mpp.tif", 0.5, 1),
)
"""CD138, BCData and LYSTO are small: such pictures are laid side by side. The last three do not state their µm."""

TRIES = 20
"""Parts of a source that are looked at for one with tissue before another source is chosen."""

LICENCES = {
    "ihc_a": "none stated (lymph node, CD3)",
    "pair1": "none stated (lymph node, CD3 and H&E)",
    "cmu1": "CC0 (OpenSlide test data, CMU-1)",
    "os2": "CC BY 4.0 (OpenSlide test data, OS-2)",
    "os1": "CC BY 4.0 (OpenSlide test data, OS-1)",
    "cd138": "none stated (STTARR plasma-cell-detection)",
    "bcdata": "none stated (BCData sample)",
    "painted": "this project's own painter",
    "epidermis": "none stated (four strips of epidermis)",
    "jp2k": "none stated (OpenSlide test data, one H&E slide)",
    "lysto": "none stated (LYSTO copy)",
    "kidney": "none stated (kidney, IHC)",
}
"""Of each group of sources."""

OPEN_GROUPS = ("cmu1", "os1", "os2", "painted")
"""Groups whose licence is open: what is learned from these alone may be used freely."""


@dataclass(frozen=True, slots=True, eq=False)
class Lesson:
    """A picture of 512 µm.

    Attributes
    ----------
    planes : ndarray, shape (512, 512, 3), uint8
        Densities of pixels of 1 µm, see ``fold_planes``.
    truth : ndarray, shape (128, 128), float16
        Share of each square of 4 µm that is fold.
    known : ndarray, shape (128, 128), bool
        Tissue, and no layer of a fold there is fat or empty: elsewhere nothing is taught.
    group : str
    """

    planes: NDArray[np.uint8]
    truth: NDArray[np.float16]
    known: NDArray[np.bool_]
    group: str


def drawn(sources: tuple[Source, ...], rng: np.random.Generator) -> Lesson:
    """Return a lesson from a random source, with up to three folds; at least one in five has none."""
    source, density, glass = _tissue_of(sources, rng)
    # Tissue is painted on in the painters' glass and shown in its own afterwards, as light through a clear filter.
    rgb = from_optical_density(varied(density, rng), PALE_WHITE)
    coarse = find_tissue(averaged(rgb, 4), Grid(4 * PIXEL_UM, Mpp.square(PIXEL_UM))).mask
    tissue = np.repeat(np.repeat(coarse, 4, axis=0), 4, axis=1)
    rgb, truth, pale = _folded(rgb, tissue, rng)
    rgb = scanned(_shown_in(glass, rgb), rng)
    overview = averaged(rgb, FOLD_STEP_PX)
    seen = find_tissue(overview, Grid(STEP_UM, Mpp.square(PIXEL_UM))).mask
    planes = fold_planes(rgb, estimate_white_point(overview, STEP_UM).rgb)
    return Lesson(planes, _shares(truth).astype(np.float16), seen & (_shares(pale & truth) <= 0.5), source.group)


def _tissue_of(sources: tuple[Source, ...], rng: np.random.Generator) -> tuple[Source, NDArray[np.float32], White]:
    """Return a source, densities of a part of it that holds tissue, and the glass they are above."""
    shares = np.array([source.share for source in sources])
    while True:
        source = sources[int(rng.choice(len(sources), p=shares / shares.sum()))]
        for _ in range(TRIES):
            density, glass = _crop(source, rng)
            if (density.mean(axis=-1) > 0.06).mean() > 0.15:
                return source, density, glass


def _folded(
    rgb: NDArray[np.uint8], tissue: NDArray[np.bool_], rng: np.random.Generator
) -> tuple[NDArray[np.uint8], NDArray[np.bool_], NDArray[np.bool_]]:
    """Return the picture with folds and blur, where folds lie, and where one of their layers is fat or empty."""
    truth, pale = np.zeros(tissue.shape, np.bool_), np.zeros(tissue.shape, np.bool_)
    if tissue.mean() <= 0.02:
        return rgb, truth, pale
    if rng.random() < 0.15:
        rgb = paint_blur(rgb, tissue, rng).rgb
    for _ in range(int(rng.choice([0, 1, 2, 3], p=[0.2, 0.4, 0.25, 0.15]))):
        paint = paint_fold if rng.random() < 0.8 else paint_shifted_fold
        try:
            painted = paint(rgb, tissue, rng)
        except ValueError:  # no place where tissue would lie double
            continue
        if not (painted.truth & truth).any():
            rgb, truth = painted.rgb, truth | painted.truth
            if painted.pale is not None:
                pale = pale | (painted.pale & painted.truth)
    return rgb, truth, pale


def _shown_in(glass: White, rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return a picture above the painters' glass as it looks above another."""
    table = np.arange(256)[:, np.newaxis] * np.asarray(glass) / np.asarray(PALE_WHITE)
    return np.asarray(cv2.LUT(rgb, np.clip(np.rint(table), 0, 255).astype(np.uint8)[np.newaxis]), np.uint8)


def _shares(mask: NDArray[np.bool_]) -> NDArray[np.float32]:
    return np.asarray(cv2.resize(mask.astype(np.float32), (SQUARES, SQUARES), interpolation=cv2.INTER_AREA), np.float32)


@lru_cache(maxsize=400)
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
    if not paths:
        raise FileNotFoundError(f"{source.pattern}: no such pictures")

    def any_picture() -> NDArray[np.uint8]:
        return _picture(str(paths[int(rng.integers(len(paths)))]), source.mpp_um)

    plane, side = any_picture(), round(SIDE_PX / rng.uniform(0.8, 1.25))
    if min(plane.shape[:2]) < 500:
        count = -(-side // min(plane.shape[:2]))
        rows = [np.concatenate([_turned(any_picture(), rng) for _ in range(count)], axis=1) for _ in range(count)]
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
