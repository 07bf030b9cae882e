"""Simulated sections whose true percentage and density are known exactly: places and calls of cells, no pixels.

Two stationary Gaussian fields are drawn, W and Z, correlated where they stand. Cells are a log-Gaussian Cox process of
W: density λ exp(s W − s²/2), whose mean is λ (Møller and others 1998, 10.1111/1467-9469.00115). A cell at a place is
positive with probability Φ(a + σ Z). Over all cells that is, since weighting by the density shifts Z by ρ s,

    fraction = Φ((a + σ ρ s) / √(1 + σ²)),    density of positive cells = λ · fraction,

and ``a`` is chosen so that the fraction is the one asked for. Cells are 2+ or more by a lower ``a``, which makes them
half of the positive cells, and 3+ by one that makes them a fifth: the H-score is 100 (1 + 0.5 + 0.2) times the
fraction. All are the parameters that generate the section, not what one section happens to show. Patches above the mean
of such a field are π √2 times its smoothing wide on a line (Rice 1945, 10.1002/j.1538-7305.1945.tb00453.x).
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.fft import irfft2, next_fast_len, rfft2
from scipy.special import ndtr, ndtri

PIXEL_UM = 25.0
"""Fields are constant over pixels of this side; the finest patches are four pixels wide."""

CELLS_PER_MM2 = 2000.0
"""Nucleated cells of skin with an infiltrate; a lymph node has several times as many."""

FIELDS_CORRELATED = 0.5
"""ρ: positive cells lie rather where cells are crowded, as in an infiltrate."""

SHARES_OF_POSITIVE = (1.0, 0.5, 0.2)
"""Cells of 1+, 2+ and 3+ or more, of the positive ones."""

AT_ONCE = 50
"""Sections in memory at a time."""


@dataclass(frozen=True, slots=True)
class Clustering:
    """How cells of a kind lie together.

    Attributes
    ----------
    name : str
    patch_um : float
        Mean width of the patches of either field on a line, µm.
    shared : float
        σ² / (1 + σ²): share of the latent variance of the calls that is the place's and not the cell's own.
    log_variance : float
        s²: variance of the logarithm of the density of cells.
    """

    name: str
    patch_um: float
    shared: float
    log_variance: float

    @property
    def smoothing_um(self) -> float:
        """Standard deviation of the Gaussian that white noise is smoothed with."""
        return self.patch_um / (math.pi * math.sqrt(2))


CLUSTERINGS = (
    Clustering("weak", 100.0, 0.2, 0.25),
    Clustering("moderate", 160.0, 0.5, 0.5),
    Clustering("strong", 250.0, 0.8, 1.0),
)
"""From patches well inside a block of 250 µm to patches as wide as one, nearly all or nothing in them."""


@dataclass(frozen=True, slots=True, eq=False)
class Section:
    """Cells of one simulated section.

    Attributes
    ----------
    x_um, y_um : ndarray, shape (n,), float64
    grade : ndarray, shape (n,), int8
        0 negative, 1 to 3.
    expected : ndarray, shape (H, W), float32
        Positive cells that each pixel of ``PIXEL_UM`` was to have, on average over what chance makes of the fields.
    """

    x_um: NDArray[np.float64]
    y_um: NDArray[np.float64]
    grade: NDArray[np.int8]
    expected: NDArray[np.float32]

    @property
    def positive(self) -> NDArray[np.bool_]:
        """Whether each cell (n,) is positive."""
        return self.grade > 0


def simulate_sections(
    clustering: Clustering, fraction: float, number: int, *, side_um: float, seed: int
) -> Iterator[Section]:
    """Yield square sections.

    Parameters
    ----------
    clustering : Clustering
    fraction : float
        True positive fraction, 0 to 1.
    number : int
        Of sections.
    side_um : float
        Of a section; a multiple of ``PIXEL_UM``.
    seed : int
        The same seed gives the same sections.
    """
    random = np.random.Generator(np.random.PCG64(seed))
    grading = np.random.Generator(np.random.PCG64([seed, 1]))
    side = round(side_um / PIXEL_UM)
    mean_cells = CELLS_PER_MM2 * PIXEL_UM**2 / 1e6
    log_sd = math.sqrt(clustering.log_variance)
    shared_sd = math.sqrt(clustering.shared / (1 - clustering.shared))
    offsets = [call_offset(clustering, share * fraction) for share in SHARES_OF_POSITIVE]
    for begun in range(0, number, AT_ONCE):
        crowding, own = (
            smooth_fields(random, min(AT_ONCE, number - begun), side, clustering.smoothing_um / PIXEL_UM)
            for _ in range(2)
        )
        calls = FIELDS_CORRELATED * crowding + math.sqrt(1 - FIELDS_CORRELATED**2) * own
        cells = mean_cells * np.exp(log_sd * crowding - log_sd**2 / 2)
        chance = ndtr(offsets[0] + shared_sd * calls)
        counts = random.poisson(np.stack([cells * (1 - chance), cells * chance], axis=1))
        for of_section, expected, field in zip(counts, cells * chance, shared_sd * calls, strict=True):
            yield _placed(random, grading, of_section, expected, [offset + field for offset in offsets])


def call_offset(clustering: Clustering, fraction: float) -> float:
    """Return ``a``, with which the fraction of all cells is the one asked for."""
    variance = clustering.shared / (1 - clustering.shared)
    shift = math.sqrt(variance) * FIELDS_CORRELATED * math.sqrt(clustering.log_variance)
    return float(ndtri(fraction)) * math.sqrt(1 + variance) - shift


def smooth_fields(random: np.random.Generator, number: int, side: int, smoothing_px: float) -> NDArray[np.float32]:
    """Return white noise smoothed by a Gaussian, of mean 0 and variance 1 in each pixel; shape (number, side, side).

    The noise is drawn on a torus so much wider than the fields that opposite edges are independent.
    """
    wide = next_fast_len(side + math.ceil(6 * smoothing_px), real=True)
    frequency = np.fft.fftfreq(wide)
    response = np.exp(-2 * (np.pi * smoothing_px) ** 2 * (frequency[:, None] ** 2 + frequency[None, :] ** 2))
    response /= np.sqrt(np.mean(response**2))
    noise = random.standard_normal((number, wide, wide), dtype=np.float32)
    half = response[:, : wide // 2 + 1].astype(np.float32)
    fields: NDArray[np.float32] = irfft2(rfft2(noise) * half, s=(wide, wide))[:, :side, :side]
    return fields


def _placed(
    random: np.random.Generator,
    grading: np.random.Generator,
    counts: NDArray[np.int64],
    expected: NDArray[np.float32],
    latent: list[NDArray[np.float32]],
) -> Section:
    """Return cells at random places within their pixels; ``counts`` are (call, row, column)."""
    call, row, col = (np.repeat(place, counts[counts > 0]) for place in np.nonzero(counts))
    within = random.random((2, len(row)))
    positive = call == 1
    reach = [ndtr(each[row[positive], col[positive]].astype(np.float64)) for each in latent]
    drawn = grading.random(int(positive.sum())) * reach[0]
    grade = np.zeros(len(call), np.int8)
    grade[positive] = 1 + (drawn < reach[1]).astype(np.int8) + (drawn < reach[2]).astype(np.int8)
    return Section((col + within[0]) * PIXEL_UM, (row + within[1]) * PIXEL_UM, grade, expected.astype(np.float32))
