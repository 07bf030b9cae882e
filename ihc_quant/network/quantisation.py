"""Which values of the network become which 8-bit integers, told by its own tensors.

An activation needs a range. Batch normalisation already knows it: over the images that the network learned from, with
all their augmentation, a channel has mean β and standard deviation |γ| before the rectifier. So nothing is measured on
images, no file of ranges can be stale, and new weights can be run in int8 at once. The idea is that of Nagel et al.,
Data-Free Quantization Through Weight Equalization and Bias Correction (2019), section 4.2.
"""

import math
from collections import deque
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.special import erf

from ihc_quant.network.card import Architecture
from ihc_quant.network.inverted_residuals import LARGEST, levels_of

Tensors = Mapping[str, NDArray[np.float32]]

SPREADS = 10.0
"""Standard deviations from the mean that a range holds. Of 6, 8, 10, 12 and 16, 10 kept the most cells and calls."""

WEIGHT_STEPS = 64
"""A weight is −64 to 64 steps of its output channel, 7 bits. With 8 bits, two products of a weight and an activation
(2 × 127 × 255) overflow the 16-bit sums of processors without VNNI, silently; 2 × 64 × 255 fits."""

EXACTLY = 1e-3
"""So near to a whole number of steps lies a weight that was rounded to it; float32 is off by 1e-5."""

Range = tuple[float, float]
"""Least and greatest value that an integer can stand for."""
Moments = tuple[NDArray[np.float64], NDArray[np.float64]]
"""Mean and variance of each channel."""


def activation_ranges(tensors: Tensors, architecture: Architecture) -> dict[str, Range]:
    """Return the range of each activation that is rounded.

    Parameters
    ----------
    tensors : mapping of str to ndarray
        The state of ``CellNetwork``.
    architecture : Architecture

    Returns
    -------
    dict of str to tuple of float
        By the name of the block (``encoder.0.1``, ``decoder.2.0``), of the part of an inverted residual
        (``encoder.1.0.widen``), of what is added to a skip (``lateral.1``) or of that sum (``sum.1``) that the
        activation comes from.
    """
    ranges: dict[str, Range] = {}
    *skips, (mean, variance) = _levels(tensors, architecture, ranges)
    for step, level in enumerate(reversed(range(len(architecture.widths) - 1))):
        kernel = tensors[f"lateral.{step}.weight"][:, :, 0, 0].astype(np.float64)
        skip_mean, skip_variance = skips.pop()
        # Channels are taken for independent, as nothing tells how they go together.
        mean, variance = kernel @ mean + tensors[f"lateral.{step}.bias"], kernel**2 @ variance
        ranges[f"lateral.{step}"] = _both_sides(mean, variance)
        mean, variance = mean + skip_mean, variance + skip_variance
        ranges[f"sum.{step}"] = _both_sides(mean, variance)
        for block in range(architecture.decoder_blocks[level]):
            name = f"decoder.{step}.{block}"
            ranges[name], mean, variance = _rectified(tensors, name)
    return ranges


def encoder_ranges(tensors: Tensors, architecture: Architecture, blocks: Sequence[str] = ()) -> dict[str, Range]:
    """Return the ranges of the encoder's activations alone, and of further blocks that end in a rectifier."""
    ranges: dict[str, Range] = {}
    deque(_levels(tensors, architecture, ranges), maxlen=0)
    return ranges | {name: _rectified(tensors, name)[0] for name in blocks}


def _levels(tensors: Tensors, architecture: Architecture, ranges: dict[str, Range]) -> Iterator[Moments]:
    """Yield mean and variance of what each level of the encoder makes, and note the ranges."""
    levels = _plain_levels if architecture.encoder == "plain" else _residual_levels
    return levels(tensors, architecture, ranges)


def _plain_levels(tensors: Tensors, architecture: Architecture, ranges: dict[str, Range]) -> Iterator[Moments]:
    """Yield mean and variance of what each level of convolutions makes, and note the ranges."""
    for level, blocks in enumerate(architecture.encoder_blocks):
        for block in range(blocks + 1):
            name = f"encoder.{level}.{block}"
            ranges[name], mean, variance = _rectified(tensors, name)
        yield mean, variance


def _residual_levels(tensors: Tensors, architecture: Architecture, ranges: dict[str, Range]) -> Iterator[Moments]:
    """Yield mean and variance of what each level of inverted residuals makes, and note the ranges."""
    ranges["encoder.0.0"], mean, variance = _rectified(tensors, "encoder.0.0", LARGEST)
    for level, residuals in enumerate(levels_of(architecture.encoder_blocks)):
        for number, shape in enumerate(residuals, start=level == 0):
            name = f"encoder.{level}.{number}"
            for part in ("widen", "each") if shape.times > 1 else ("each",):
                ranges[f"{name}.{part}"], *_ = _rectified(tensors, f"{name}.{part}", LARGEST)
            shift, spread = (tensors[f"{name}.narrow.1.{part}"].astype(np.float64) for part in ("bias", "weight"))
            mean, variance = (mean + shift, variance + spread**2) if shape.adds else (shift, spread**2)
            ranges[name] = _both_sides(mean, variance)
        yield mean, variance


def _both_sides(mean: NDArray[np.float64], variance: NDArray[np.float64]) -> Range:
    """Return the range of channels that no rectifier bounds."""
    reach = SPREADS * np.sqrt(variance)
    return float((mean - reach).min()), float((mean + reach).max())


def _rectified(
    tensors: Tensors, name: str, largest: float = math.inf
) -> tuple[Range, NDArray[np.float64], NDArray[np.float64]]:
    """Return the range of a block's output, and the mean and variance of each channel: those of a rectified normal.

    That some values end at ``largest`` changes the range alone; beyond it lies next to nothing.
    """
    centre = tensors[f"{name}.1.bias"].astype(np.float64)
    spread = np.maximum(np.abs(tensors[f"{name}.1.weight"].astype(np.float64)), 1e-12)
    below = 0.5 * (1 + erf(centre / spread / math.sqrt(2)))
    density = np.exp(-0.5 * (centre / spread) ** 2) / math.sqrt(2 * math.pi)
    mean = centre * below + spread * density
    square = (centre**2 + spread**2) * below + centre * spread * density
    greatest = min(max(float((centre + SPREADS * spread).max()), 1e-6), largest)
    return (0.0, greatest), mean, np.maximum(square - mean**2, 0)


def on_steps(weight: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return a convolution's weight, rounded to the steps of its output channels so that each kernel keeps its sum.

    What lies side by side in a picture is nearly the same, so a kernel's sum decides most of what it makes of it; where
    every number is rounded to the nearest step alone, the errors of a kernel add up. The greatest number of a channel
    is a whole number of steps and stays what it is, so rounding again changes nothing.

    Parameters
    ----------
    weight : ndarray, shape (out, in, h, w), float32

    Returns
    -------
    ndarray, shape (out, in, h, w), float32
    """
    step = weight_limits(weight).astype(np.float64) / 127
    exact = (weight / step).reshape(-1, weight.shape[2] * weight.shape[3])
    rounded = np.round(exact)
    lacking = np.round((exact - rounded).sum(axis=1))
    # Of each kernel the numbers that rounding lowered most are raised, as many as the sum lacks; or the reverse.
    rank = np.argsort(np.argsort(rounded - exact, axis=1), axis=1)
    rounded += rank < lacking[:, None]
    rounded -= rank >= rounded.shape[1] + lacking[:, None]
    return np.asarray(rounded.reshape(weight.shape) * step, np.float32)


def lies_on_steps(tensors: Tensors) -> bool:
    """Return whether every weight of a convolution is a whole number of steps, so that integers hold it exactly."""
    return all(
        np.abs(steps - np.round(steps)).max() < EXACTLY
        for tensor in tensors.values()
        if tensor.ndim == 4
        for steps in (tensor / (weight_limits(tensor).astype(np.float64) / 127),)
    )


def weight_limits(weight: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return what the greatest 8-bit step (127) of each output channel stands for, shape (out, 1, 1, 1)."""
    greatest = np.abs(weight).reshape(weight.shape[0], -1).max(axis=1).reshape(-1, 1, 1, 1)
    return np.asarray(np.maximum(greatest, 1e-12) * (127 / WEIGHT_STEPS), np.float32)
