"""The classical pipeline with its knobs tuned: what somebody without a network would reach on the same training images.

Steps: unmix, smooth, threshold, distance transform, watershed, region properties, a cut of mean DAB density. Unlike the
frozen ``classical.py``, which is the yardstick of speed, this one is free to be as good as its knobs allow. A random
search over whole pipelines, then one in steps from the best of them, finds the best mean F1 of positive and negative
cells, each source weighing the same. An optimum on the edge of the search is told: beyond it may lie a better one.
"""

# mypy: allow-untyped-calls
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import numpy as np
from agreement import ImageResult
from labelled_images import LabelledImage
from numpy.typing import NDArray
from scipy import ndimage
from scored_pictures import FoundCells
from skimage.feature import peak_local_max
from skimage.filters import threshold_otsu
from skimage.measure import find_contours
from skimage.segmentation import expand_labels, watershed

from ihc_quant.domain.geometry import Grid, GridBox, Mpp
from ihc_quant.evaluation.matching import ClassDetection, Detection, detect
from ihc_quant.slide.opening import open_slide
from ihc_quant.slide.resample import read_grid
from ihc_quant.stain.estimate import reference_stains
from ihc_quant.stain.unmixing import unmix
from ihc_quant.training.sources import centroids

PIXEL_UM = 0.5
MOST_IMAGES = 16
"""Training images that are searched on, evenly over the sources and within each."""
CANDIDATES = 120
"""Pipelines that are drawn and tried."""
STEPS = 60
"""Most pipelines that are tried beyond, each one step of one knob from the best so far."""
FINALISTS = 10
"""Of these, those that find cells best whatever their call; only they are tried with every cut of DAB."""
DAB_CUTS = np.round(np.arange(0.06, 0.63, 0.04), 2)
SEED = 0

Threshold = Literal["otsu", "fixed", "local"]
LEVEL_STEPS = 12
"""Steps of the level between the ends of its range."""
LEVELS: dict[Threshold, tuple[float, float]] = {"otsu": (0.6, 1.2), "fixed": (0.06, 0.3), "local": (0.0, 0.12)}
"""Range from which the level of each kind of threshold is drawn."""
GRID: dict[str, tuple[float, ...]] = {
    "dab_weight": (0.0, 0.25, 0.5, 0.75, 1.0, 1.25),
    "smooth_um": (0.25, 0.5, 0.75, 1.0, 1.5, 2.0),
    "background_um": (1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 10.0, 15.0, 25.0),
    "peak_distance_um": (1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0),
    "least_area_um2": (3.0, 5.0, 8.0, 10.0, 12.0, 18.0, 25.0),
}
"""Values of the other knobs that are tried, in order."""


@dataclass(frozen=True, slots=True)
class ClassicalKnobs:
    """One pipeline.

    Attributes
    ----------
    dab_weight : float
        Share of DAB density that is added to hematoxylin before thresholding.
    smooth_um : float
        Standard deviation of the blur.
    threshold : {"otsu", "fixed", "local"}
    level : float
        Factor of Otsu's threshold; the threshold in OD (log10); or the OD by which a pixel exceeds its surroundings.
    background_um : float
        Standard deviation of the window of those surroundings.
    peak_distance_um : float
        Least distance of two nuclei.
    least_area_um2 : float
    ring_um : float
        Width by which nuclei grow before DAB is measured; 0 measures the nucleus.
    dab_cut : float
        Mean DAB density (log10) from which a cell is positive.
    """

    dab_weight: float = 0.5
    smooth_um: float = 0.75
    threshold: Threshold = "otsu"
    level: float = 1.0
    background_um: float = 15.0
    peak_distance_um: float = 3.0
    least_area_um2: float = 10.0
    ring_um: float = 0.0
    dab_cut: float = 0.2


def find_nuclei(
    rgb: NDArray[np.uint8], knobs: ClassicalKnobs
) -> tuple[NDArray[np.int32], FoundCells, NDArray[np.float64]]:
    """Run a pipeline on an image, uint8 (H, W, 3) at 0.5 µm/px.

    Returns
    -------
    labels : ndarray, shape (H, W), int32
        Nuclei, numbered from 1.
    found : FoundCells
        Without outlines.
    dab_od : ndarray, shape (n,), float64
        Mean DAB density of each, from which it was called.
    """
    hematoxylin, dab = np.moveaxis(unmix(rgb, reference_stains()), -1, 0)
    stained = ndimage.gaussian_filter(hematoxylin + knobs.dab_weight * dab, knobs.smooth_um / PIXEL_UM)
    mask = ndimage.binary_opening(ndimage.binary_fill_holes(stained > _limit(stained, knobs)))
    distance = ndimage.gaussian_filter(ndimage.distance_transform_edt(mask), 1.0)
    peaks = peak_local_max(
        distance, min_distance=round(knobs.peak_distance_um / PIXEL_UM), exclude_border=False, labels=mask.astype(int)
    )
    markers = np.zeros(mask.shape, np.int32)
    markers[tuple(peaks.T)] = np.arange(1, len(peaks) + 1)
    labels = watershed(-distance, markers, mask=mask).astype(np.int32)
    areas = np.bincount(labels.ravel(), minlength=1)
    kept = areas * PIXEL_UM**2 >= knobs.least_area_um2
    kept[0] = False
    labels = np.where(kept, np.cumsum(kept), 0).astype(np.int32)[labels]
    compartment = expand_labels(labels, knobs.ring_um / PIXEL_UM) if knobs.ring_um else labels
    places = centroids(labels) * PIXEL_UM
    dab_od = np.asarray(ndimage.mean(dab, compartment, np.arange(1, labels.max() + 1)), float).reshape(-1)
    return labels, FoundCells(places, dab_od >= knobs.dab_cut), dab_od


def _limit(stained: NDArray[np.float32], knobs: ClassicalKnobs) -> float | NDArray[np.float32]:
    """Return the density from which a pixel is a nucleus, for all pixels or for each."""
    if knobs.threshold == "otsu":
        return knobs.level * float(threshold_otsu(stained))
    if knobs.threshold == "fixed":
        return knobs.level
    return np.asarray(ndimage.gaussian_filter(stained, knobs.background_um / PIXEL_UM) + knobs.level, np.float32)


def classical_cells(image: LabelledImage, knobs: ClassicalKnobs) -> FoundCells:
    """Run a pipeline on a labelled image; outlines are traced where people drew some too."""
    labels, found, _ = find_nuclei(network_pixels(image), knobs)
    return replace(found, outlines_um=_outlines(labels)) if image.labels is not None else found


def network_pixels(image: LabelledImage) -> NDArray[np.uint8]:
    """Return a labelled image at 0.5 µm/px, uint8 (H, W, 3), as ``score`` would read it."""
    with open_slide(image.path, mpp=Mpp.square(image.mpp_um)) as reader:
        grid = Grid(PIXEL_UM, reader.info.require_mpp())
        extent = grid.extent(reader.info.size)
        return read_grid(reader, grid, GridBox(0, 0, extent.width, extent.height))


def _outlines(labels: NDArray[np.int32]) -> tuple[NDArray[np.float64], ...]:
    """Return the longest contour of each nucleus, (m, 2) x, y in µm."""
    outlines = []
    for number, box in enumerate(ndimage.find_objects(labels), start=1):
        piece = np.pad((labels[box] == number).astype(float), 1)
        contour = max(find_contours(piece, 0.5), key=len)
        # Without the pad of one pixel; contours run in pixel centres.
        rows, columns = contour.T - 0.5
        outlines.append(np.column_stack([columns + box[1].start, rows + box[0].start]) * PIXEL_UM)
    return tuple(outlines)


def tune(images: Mapping[str, Sequence[LabelledImage]]) -> tuple[ClassicalKnobs, float]:
    """Search the knobs that give the best mean F1 of positive and negative cells on training images.

    Parameters
    ----------
    images : mapping of source to images
        Of sources with positive and negative cells.

    Returns
    -------
    knobs : ClassicalKnobs
    score : float
        What they reach on the images that were searched on.

    Raises
    ------
    ValueError
        Without images.
    """
    per_source = MOST_IMAGES // max(1, len(images))
    chosen = [image for those in images.values() for image in evenly(those, per_source)]
    if not chosen:
        raise ValueError("there are no training images to tune on")
    pixels = [network_pixels(image) for image in chosen]
    tried = _searched(lambda knobs: _either_score(chosen, pixels, knobs))
    best, best_score = tried[0][1], -1.0
    for _, knobs in tried[:FINALISTS]:
        for ring_um in (0.0, 2.0):
            cut, score = _best_cut(chosen, pixels, replace(knobs, ring_um=ring_um))
            if score > best_score:
                best, best_score = replace(knobs, ring_um=ring_um, dab_cut=cut), score
    return best, best_score


def _searched(score_of: Callable[[ClassicalKnobs], float]) -> list[tuple[float, ClassicalKnobs]]:
    """Return the pipelines that were tried with their scores, best first: drawn ones, then neighbours of the best."""
    scores = {knobs: score_of(knobs) for knobs in candidates()}
    for _ in range(STEPS):
        best = max(scores, key=scores.__getitem__)
        untried = [knobs for knobs in neighbours(best) if knobs not in scores]
        if not untried:
            break
        scores[untried[0]] = score_of(untried[0])
    return sorted(((score, knobs) for knobs, score in scores.items()), key=lambda pair: -pair[0])


def neighbours(knobs: ClassicalKnobs) -> list[ClassicalKnobs]:
    """Return the pipelines that differ in one step of one knob and do not compute the same."""
    low, high = LEVELS[knobs.threshold]
    step = (high - low) / LEVEL_STEPS
    levels = [float(np.round(level, 3)) for level in (knobs.level - step, knobs.level + step)]
    found = [replace(knobs, level=level) for level in levels if low <= level <= high]
    for name in _used(knobs):
        values = GRID[name]
        place = min(range(len(values)), key=lambda i: abs(values[i] - getattr(knobs, name)))
        steps: list[dict[str, Any]] = [{name: values[i]} for i in (place - 1, place + 1) if 0 <= i < len(values)]
        found += [replace(knobs, **step) for step in steps]
    return found


def on_edge(knobs: ClassicalKnobs) -> tuple[str, ...]:
    """Return the knobs whose value is the least or the greatest that is searched.

    Examples
    --------
    >>> on_edge(ClassicalKnobs(threshold="local", level=0.02, background_um=1.0, peak_distance_um=1.0))
    ('background_um', 'peak_distance_um')
    """
    low, high = LEVELS[knobs.threshold]
    step = (high - low) / LEVEL_STEPS
    # Beyond 0 there is nothing: 0 is the end of the knob, not of the search.
    edges = [name for name in _used(knobs) if getattr(knobs, name) in {GRID[name][0], GRID[name][-1]} - {0.0}]
    edges += ["level"] if not low + step / 2 <= knobs.level <= high - step / 2 else []
    return (*edges, *(["dab_cut"] if knobs.dab_cut in (DAB_CUTS[0], DAB_CUTS[-1]) else []))


def _used(knobs: ClassicalKnobs) -> list[str]:
    """Return the knobs of the grid that make a difference: only a local threshold has surroundings."""
    return [name for name in GRID if name != "background_um" or knobs.threshold == "local"]


def candidates() -> list[ClassicalKnobs]:
    """Return the pipelines that are drawn, the default one first; the same each time."""
    rng = np.random.default_rng(SEED)
    drawn, kinds = [ClassicalKnobs()], tuple(LEVELS)
    for _ in range(CANDIDATES - 1):
        kind = kinds[int(rng.integers(len(kinds)))]
        drawn.append(
            ClassicalKnobs(
                threshold=kind,
                level=float(np.round(rng.uniform(*LEVELS[kind]), 3)),
                **{name: float(rng.choice(values)) for name, values in GRID.items()},
            )
        )
    return drawn


def search() -> str:
    """Return what is searched and how far: what was found by another search is another pipeline."""
    return repr((CANDIDATES, STEPS, FINALISTS, LEVELS, LEVEL_STEPS, GRID, DAB_CUTS.tolist(), MOST_IMAGES))


def evenly(items: Sequence[LabelledImage], most: int) -> list[LabelledImage]:
    """Return at most so many of the items, evenly spread over their order."""
    picked = np.unique(np.linspace(0, len(items) - 1, min(most, len(items))).round().astype(int))
    return [items[index] for index in picked]


def as_json(knobs: ClassicalKnobs) -> dict[str, object]:
    """Return the knobs as JSON values."""
    return asdict(knobs)


def _either_score(images: Sequence[LabelledImage], pixels: Sequence[NDArray[np.uint8]], knobs: ClassicalKnobs) -> float:
    """Return the F1 of cells whatever their call, each source weighing the same."""
    totals: dict[str, Detection] = {}
    for image, rgb in zip(images, pixels, strict=True):
        places = find_nuclei(rgb, knobs)[1].places_um
        found, true = image.marked_at(places), image.marked_at(image.places_um)
        matched = detect(places, image.places_um, found_counts=found, true_counts=true)
        totals[image.source] = totals.get(image.source, Detection()) + matched
    return float(np.mean([total.f1 or 0.0 for total in totals.values()]))


def _best_cut(
    images: Sequence[LabelledImage], pixels: Sequence[NDArray[np.uint8]], knobs: ClassicalKnobs
) -> tuple[float, float]:
    """Return the cut of DAB density with the best score, and that score."""
    runs = [find_nuclei(rgb, knobs)[1:] for rgb in pixels]
    scores = []
    for cut in DAB_CUTS:
        results = [
            ImageResult(image, replace(found, positive=od >= cut))
            for image, (found, od) in zip(images, runs, strict=True)
        ]
        totals = _by_source(results).values()
        scores.append(np.mean([((t.positive.f1 or 0.0) + (t.negative.f1 or 0.0)) / 2 for t in totals]))
    return float(DAB_CUTS[int(np.argmax(scores))]), float(max(scores))


def _by_source(results: Sequence[ImageResult]) -> dict[str, ClassDetection]:
    totals: dict[str, ClassDetection] = {}
    for result in results:
        source = result.image.source
        totals[source] = totals.get(source, ClassDetection()) + result.detection()
    return totals
