"""Augmentation: geometry, then stain and light in optical-density space, then optics and the file.

Stain strength multiplies optical density, a scanner's white point multiplies intensity, blur and JPEG act on pixels;
each is drawn in the space in which it happens in a laboratory.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from ihc_quant.domain.stain import REFERENCE_DAB, REFERENCE_HEMATOXYLIN
from ihc_quant.training.field import UNKNOWN, TrainingField

VECTORS = np.array(
    [
        [REFERENCE_HEMATOXYLIN.red, REFERENCE_HEMATOXYLIN.green, REFERENCE_HEMATOXYLIN.blue],
        [REFERENCE_DAB.red, REFERENCE_DAB.green, REFERENCE_DAB.blue],
    ]
)
"""Rows: hematoxylin, DAB."""
EOSIN_VECTORS = np.array([[0.2159, 0.8012, 0.5581], [0.0707, 0.9903, 0.1197]])
"""Eosin as in QuPath 0.5's default for H&E, and nearly as in Ruifrok and Johnston 2001 (.07, .99, .11)."""
NEAR_PX = 8
"""Cells this near to a crop stay: their peaks and calls reach into it."""


@dataclass(frozen=True, slots=True)
class AugmentationRanges:
    """How far each property is varied.

    Attributes
    ----------
    scale : float
        Share by which the size varies, up and down.
    hematoxylin_low, hematoxylin_high, chromogen_low, chromogen_high : float
        Range of the factor on a stain's optical density, drawn log-uniformly. Chromogen reaches farther up than down:
        the darkest laboratory may be the one that is not in the training set.
    residual_low, residual_high : float
        Range of the factor on optical density that neither stain explains.
    vector : float
        Standard deviation added to each component of the stain vectors.
    white_low, white_high : float
        Range of the factor on intensity; each channel deviates from it by up to ``white_channel``.
    blur_px : float
        Largest standard deviation of the blur.
    noise : float
        Largest standard deviation of the noise, in grey values.
    jpeg_low : int
        Lowest JPEG quality.
    haze : float
        Largest optical density of a cloudy tint by either stain: background that is no cell, however blue or brown.
    haze_share : float
        Share of images with such a tint.
    eosin_share : float
        Share of images whose chromogen is shown as eosin: pink is no marker, however strong.
    """

    scale: float = 0.15
    hematoxylin_low: float = 0.7
    hematoxylin_high: float = 1.4
    chromogen_low: float = 0.7
    chromogen_high: float = 2.0
    residual_low: float = 0.8
    residual_high: float = 1.15
    vector: float = 0.02
    white_low: float = 0.9
    white_high: float = 1.04
    white_channel: float = 0.03
    blur_px: float = 2.0
    noise: float = 3.0
    jpeg_low: int = 40
    haze: float = 0.15
    haze_share: float = 0.3
    eosin_share: float = 0.04


VARIED = AugmentationRanges()
FAINTER = AugmentationRanges(chromogen_low=0.5, chromogen_high=1.7)
"""Of painted images, whose faint cells are known to be positive: people's marks show least of a weak stain."""


def augmented_crop(
    field: TrainingField, size_px: int, ranges: AugmentationRanges, rng: np.random.Generator, *, on_positive: float
) -> TrainingField:
    """Return a randomly placed, turned, scaled and re-stained square of a field.

    Parameters
    ----------
    field : TrainingField
        Where to cut.
    size_px : int
        Side of the square.
    ranges : AugmentationRanges
    rng : Generator
        All chance comes from here.
    on_positive : float
        Probability of placing the square around a positive cell, where the field has one.
    """
    matrix = crop_matrix(field, size_px, ranges, rng, on_positive)
    warp, size = between_pixel_centres(matrix), (size_px, size_px)
    # Mostly mirrored tissue beyond the picture's border, sometimes white: that is what a tile beyond the slide shows.
    mirrored = rng.random() < 0.8 and field.count is None  # mirrored cells would be counted twice
    border = cv2.BORDER_REFLECT_101 if mirrored else cv2.BORDER_CONSTANT
    rgb = cv2.warpAffine(field.rgb, warp, size, flags=cv2.INTER_LINEAR, borderMode=border, borderValue=(255, 255, 255))
    valid = cv2.warpAffine(field.valid.astype(np.uint8), warp, size, flags=cv2.INTER_NEAREST).astype(np.bool_)
    labels = None
    if field.labels is not None:
        warped = cv2.warpAffine(field.labels.astype(np.float32), warp, size, flags=cv2.INTER_NEAREST)
        labels = warped.astype(np.int32)
    points, calls = field.points_px, field.calls
    if points is not None:
        points = points @ matrix[:, :2].T + matrix[:, 2]
        inside = ((points > -NEAR_PX) & (points < size_px + NEAR_PX)).all(axis=1)
        points, calls = points[inside], calls[inside]
    chromogen, count = VECTORS[1], field.count
    if rng.random() < ranges.eosin_share:
        chromogen = EOSIN_VECTORS[rng.integers(len(EOSIN_VECTORS))]
        count = None if count is None else 0
        calls = np.where(calls == UNKNOWN, calls, 0).astype(np.int8)
    rgb = restained(np.asarray(rgb, np.uint8), ranges, rng, chromogen)
    rgb = rephotographed(rgb, ranges, rng)
    return TrainingField(
        field.source, field.name, field.group, rgb, points, calls, labels, valid, field.no_marker, count
    )


def crop_matrix(
    field: TrainingField, size_px: int, ranges: AugmentationRanges, rng: np.random.Generator, on_positive: float
) -> NDArray[np.float64]:
    """Return the affine map (2, 3) from places in the field to places in the square.

    Places are those of ``TrainingField.points_px``: the centre of pixel (0, 0) lies at (0.5, 0.5).
    """
    height, width = field.rgb.shape[:2]
    positive = np.flatnonzero(field.calls == 1)
    if field.points_px is not None and len(positive) and rng.random() < on_positive:
        centre = field.points_px[rng.choice(positive)] + rng.uniform(-size_px / 3, size_px / 3, 2)
    else:
        # The square stays within the field where it fits; else it is centred on it.
        middle = np.array([width, height]) / 2
        slack = np.maximum(middle - size_px / 2, 0)
        centre = rng.uniform(middle - slack, middle + slack)
    angle = rng.uniform(0, 2 * np.pi)
    factor = rng.uniform(1 - ranges.scale, 1 + ranges.scale)
    if field.count is not None:  # a count holds for the whole picture, which must stay whole
        centre, angle = np.array([width, height]) / 2, np.pi / 2 * rng.integers(4)
        factor = min(factor, size_px / max(width, height))
    flip = rng.choice([-1.0, 1.0])
    turn = factor * np.array([[np.cos(angle) * flip, -np.sin(angle)], [np.sin(angle) * flip, np.cos(angle)]])
    return np.column_stack([turn, size_px / 2 - turn @ centre])


def between_pixel_centres(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the map for OpenCV, which puts the centre of pixel (0, 0) at (0, 0)."""
    turn, shift = matrix[:, :2], matrix[:, 2]
    return np.column_stack([turn, turn @ (0.5, 0.5) + shift - 0.5])


def restained(
    rgb: NDArray[np.uint8],
    ranges: AugmentationRanges,
    rng: np.random.Generator,
    chromogen: NDArray[np.float64] = VECTORS[1],
) -> NDArray[np.uint8]:
    """Return the image as another laboratory might have stained it, uint8 (H, W, 3).

    Parameters
    ----------
    rgb : ndarray, shape (H, W, 3), uint8
    ranges : AugmentationRanges
    rng : Generator
    chromogen : ndarray, shape (3,), float64
        Stain vector that takes the place of DAB's.
    """
    density = -np.log10((rgb.astype(np.float32) + 1) / 256)
    mixing = np.vstack([VECTORS, third_vector(VECTORS)])
    amounts = density.reshape(-1, 3) @ np.linalg.inv(mixing).astype(np.float32)
    if rng.random() < ranges.haze_share:
        for stain in range(len(VECTORS)):
            amounts[:, stain] += cloud(rng, rgb.shape[:2], rng.uniform(0, ranges.haze)).ravel()
    turned = np.stack([VECTORS[0], chromogen]) + rng.normal(0, ranges.vector, VECTORS.shape)
    turned /= np.linalg.norm(turned, axis=1, keepdims=True)
    residual = rng.uniform(ranges.residual_low, ranges.residual_high)
    factors = [
        log_uniform(rng, ranges.hematoxylin_low, ranges.hematoxylin_high),
        log_uniform(rng, ranges.chromogen_low, ranges.chromogen_high),
        residual,
    ]
    remixing = np.vstack([turned, third_vector(turned)]) * np.array(factors)[:, None]
    density = (amounts @ remixing.astype(np.float32)).reshape(rgb.shape)
    white = rng.uniform(ranges.white_low, ranges.white_high)
    channels = white * rng.uniform(1 - ranges.white_channel, 1 + ranges.white_channel, 3)
    intensity = 256 * np.power(10, -density, dtype=np.float32) * channels.astype(np.float32) - 1
    return whole(intensity)


def rephotographed(rgb: NDArray[np.uint8], ranges: AugmentationRanges, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Return the image as another scanner and file format might have kept it."""
    choice = rng.random()
    if choice < 0.35:
        rgb = np.asarray(cv2.GaussianBlur(rgb, (0, 0), rng.uniform(0.3, ranges.blur_px)), np.uint8)
    elif choice < 0.6:
        soft = cv2.GaussianBlur(rgb, (0, 0), 1.0)
        amount = rng.uniform(0.2, 1.2)
        rgb = np.asarray(cv2.addWeighted(rgb, 1 + amount, soft, -amount, 0), np.uint8)
    if rng.random() < 0.5:
        grain = rng.normal(0, rng.uniform(0.5, ranges.noise), rgb.shape).astype(np.float32)
        rgb = whole(rgb + grain)
    if rng.random() < 0.4:
        quality = int(rng.integers(ranges.jpeg_low, 95))
        # OpenCV takes BGR; given RGB, JPEG would keep blue as it should keep red.
        _, data = cv2.imencode(".jpg", rgb[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
        rgb = np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)[..., ::-1]
    return np.ascontiguousarray(rgb)


def whole(intensity: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Return intensities as grey values: rounded, clipped to 0 to 255."""
    return np.clip(np.rint(intensity), 0, 255).astype(np.uint8)


def third_vector(pair: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the unit vector at right angles to both stains, shape (1, 3)."""
    cross = np.cross(pair[0], pair[1])
    return np.asarray(cross / np.linalg.norm(cross))[None]


def cloud(rng: np.random.Generator, shape: tuple[int, int], largest: float) -> NDArray[np.float32]:
    """Return a smooth random field from 0 to ``largest``, shape (H, W), float32; a dozen patches a side at most."""
    knots = rng.random((int(rng.integers(2, 13)), int(rng.integers(2, 13)))).astype(np.float32)
    field = cv2.resize(knots * knots, (shape[1], shape[0]), interpolation=cv2.INTER_CUBIC)
    return np.asarray(np.clip(field, 0, 1) * np.float32(largest), np.float32)


def log_uniform(rng: np.random.Generator, low: float, high: float) -> float:
    """Return a factor between ``low`` and ``high``, uniform in its logarithm."""
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))
