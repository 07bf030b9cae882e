"""What makes lessons on folds hard: other stains, gaps, and what is dense or ends sharply and yet lies single."""

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray
from painted_artefacts import PEN_DENSITIES, PIXEL_UM, stroke, waves

HEMATOXYLIN, CHROMOGEN = (0.65, 0.70, 0.29), (0.27, 0.57, 0.78)
"""Densities (R, G, B) along which stains are made stronger and weaker."""

AXES = np.array([HEMATOXYLIN, CHROMOGEN, np.cross(HEMATOXYLIN, CHROMOGEN)], np.float32)
INTO_STAINS = np.linalg.inv(AXES)


def varied(density: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """Return tissue with its stains changed, with gaps, and with what is dense but lies single."""
    if rng.random() < 0.35:
        density = _restained(density, rng)
    if rng.random() < 0.35:
        density = _stained_through(density, rng)
    apart = rng.uniform((-0.5, -0.8, 0), (0.5, 0.8, 0)) * (rng.random() < 0.7)
    density = _scaled(density, np.exp(apart + rng.uniform(-0.3, 0.3)))
    for _ in range(int(rng.choice([0, 1, 2], p=[0.45, 0.35, 0.2]))):
        density = DISTRACTORS[int(rng.integers(len(DISTRACTORS)))](density, rng)
    if rng.random() < 0.35:
        density = density * (1 - np.float32(0.95) * _gaps(density.shape, rng))[..., np.newaxis]
    return density


def _scaled(density: NDArray[np.float32], factors: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return tissue with hematoxylin, chromogen and the rest so much stronger."""
    return np.asarray(cv2.transform(density, (INTO_STAINS @ np.diag(factors) @ AXES).T), np.float32)


def _restained(density: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """Return tissue whose structures take up the two stains in other parts, as with another antibody."""
    amounts = cv2.transform(density, INTO_STAINS.T)
    parts = np.exp(rng.normal(0, 0.6, (2, 2)))
    parts *= 1.6 / parts.sum()
    mixing = np.zeros((3, 3))
    mixing[:2, :2], mixing[2, 2] = parts, rng.uniform(0, 1)
    amounts[..., :2] = np.maximum(amounts[..., :2], 0)
    return np.asarray(cv2.transform(amounts, (mixing.T @ AXES).T), np.float32)


def _stained_through(density: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """Return tissue with diffuse chromogen in all of it, also between its cells."""
    near = cv2.GaussianBlur(density.mean(axis=-1), (0, 0), sigmaX=rng.uniform(1, 6) / PIXEL_UM)
    uneven = np.clip(1 + 0.3 * waves(density.shape, rng.uniform(80, 300), rng), 0.2, 2)
    strength = rng.uniform(0.05, 0.5) * np.minimum(near / 0.15, 1) * uneven
    return np.asarray(density + strength[..., np.newaxis] * np.array(CHROMOGEN, np.float32), np.float32)


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
    factors = np.ones(3)
    factors[int(rng.integers(2))] = rng.uniform(1.5, 3)
    cover = _cover(density.shape, rng, 2)
    return cover * _scaled(density, factors) + (1 - cover) * density


def _fading(density: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """Return tissue that is denser in all at a place whose border fades."""
    return density * (1 + np.float32(rng.uniform(0.3, 1.5)) * _cover(density.shape, rng, 25))


def _haze(density: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """Return tissue with something even over it or in its place: plasma, hyaline, a vessel full of blood."""
    colour = np.abs(np.array(CHROMOGEN) * rng.uniform(0.6, 1.4, 3)) * rng.uniform(0.1, 0.5)
    cover = _cover(density.shape, rng, 2)
    return ((1 - cover * np.float32(rng.uniform(0, 1))) * density + cover * colour.astype(np.float32)).astype(
        np.float32
    )


def _elsewhere(density: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """Return tissue with other tissue of the picture in its place, as at the border of two tissues."""
    shift = tuple(int(value) for value in rng.integers(100, min(density.shape[:2]) - 100, 2))
    cover = _cover(density.shape, rng, 1)
    return cover * np.roll(density, shift, (0, 1)) + (1 - cover) * density


def _strip(density: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """Return a strip of dense tissue alone on glass, as an epidermis or a core is: its rims are no folds."""
    height, width = density.shape[:2]
    through = (float(rng.uniform(0.3, 0.7) * width), float(rng.uniform(0.3, 0.7) * height))
    cover = stroke(density.shape, through, rng.uniform(60, 300), rng.uniform(600, 2400), rng)
    soft = np.asarray(cv2.GaussianBlur(cover, (0, 0), sigmaX=rng.uniform(0.5, 2) / PIXEL_UM), np.float32)
    return density * soft[..., np.newaxis] * np.float32(rng.uniform(1, 2))


def _ink(density: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """Return tissue under ink, paler at its rims."""
    kinds = PEN_DENSITIES[str(rng.choice(sorted(PEN_DENSITIES)))]
    ink = np.array(kinds[int(rng.integers(len(kinds)))], np.float32) * np.float32(rng.uniform(0.2, 1.2))
    return density + _cover(density.shape, rng, 4) * ink


DISTRACTORS: tuple[Callable[[NDArray[np.float32], np.random.Generator], NDArray[np.float32]], ...] = (
    _more_of_one_stain,
    _fading,
    _haze,
    _elsewhere,
    _strip,
    _ink,
)
