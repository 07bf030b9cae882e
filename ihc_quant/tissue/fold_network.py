"""A small network that tells folds on squares of 8 µm, and the weights that come with the package.

Seven convolutions and some ten thousand weights: NumPy computes it in milliseconds, so no library of networks is
needed. Nothing is taken from outside of the tissue, and no layer looks at the size or the place of a picture, so a
slide that is judged in parts gets the same answer as the whole. ``benchmarks/train_folds.py`` made the weights.
"""

import json
from dataclasses import dataclass
from functools import cache
from importlib import resources

import numpy as np

from ihc_quant.tissue.fold_features import PLANES, Plane

WEIGHTS_FILE = "fold_network.json"


@dataclass(frozen=True, slots=True, eq=False)
class FoldNetwork:
    """Weights of the network.

    Attributes
    ----------
    kernels : tuple of ndarray, each (out, in, 3, 3), float32
        Of the convolutions, each followed by a cut below 0. The first makes a layer of what is seen, each of the others
        adds to the layer.
    offsets : tuple of ndarray, each (out,), float32
    dilations : tuple of int
        Distance of the taps of each convolution, in squares.
    last : ndarray, shape (in,), float32
        Weights of the answer, a logit.
    last_offset : float
    """

    kernels: tuple[Plane, ...]
    offsets: tuple[Plane, ...]
    dilations: tuple[int, ...]
    last: Plane
    last_offset: float

    def __post_init__(self) -> None:
        if not 0 < len(self.kernels) == len(self.offsets) == len(self.dilations):
            raise ValueError("each convolution has its kernels, its offsets and one dilation")
        width = len(self.last)
        for number, (kernels, offsets) in enumerate(zip(self.kernels, self.offsets, strict=True)):
            shape = (width, width if number else PLANES, 3, 3)
            if kernels.shape != shape or offsets.shape != (width,):
                raise ValueError(f"kernels {number} have shape {shape}, got {kernels.shape} and {offsets.shape}")

    @property
    def reach_px(self) -> int:
        """How far, in squares, the convolutions look."""
        return sum(self.dilations)

    def probability(self, planes: Plane) -> Plane:
        """Return how probable a fold is on each square, float32 (H, W); 0 outside of the tissue.

        Parameters
        ----------
        planes : ndarray, shape (17, H, W), float32
            What is ``seen`` of them.
        """
        layer = planes
        known = layer[-1]
        for number, (kernels, offsets) in enumerate(zip(self.kernels, self.offsets, strict=True)):
            change = _convolved(layer, kernels, self.dilations[number]) + offsets[:, np.newaxis, np.newaxis]
            change = np.maximum(change, 0) * known
            layer = layer + change if number else change
        logit = np.tensordot(self.last, layer, 1) + np.float32(self.last_offset)
        return np.asarray(known / (1 + np.exp(-logit)), np.float32)


def _convolved(layer: Plane, kernels: Plane, dilation: int) -> Plane:
    """Return the convolution of planes (in, H, W) with kernels (out, in, 3, 3), with nothing beyond the border."""
    _, height, width = layer.shape
    padded = np.pad(layer, ((0, 0), (dilation, dilation), (dilation, dilation)))
    found = np.zeros((len(kernels), height * width), np.float32)
    for y in range(3):
        for x in range(3):
            shifted = padded[:, y * dilation : y * dilation + height, x * dilation : x * dilation + width]
            found += np.ascontiguousarray(kernels[:, :, y, x]) @ shifted.reshape(len(layer), -1)
    return found.reshape(-1, height, width)


@cache
def fold_network() -> FoldNetwork:
    """Return the network that comes with the package."""
    return read_network(resources.files("ihc_quant.tissue").joinpath(WEIGHTS_FILE).read_text(encoding="utf-8"))


def read_network(text: str) -> FoldNetwork:
    """Return the network that a JSON text states.

    Raises
    ------
    ValueError
        Where shapes do not fit together.
    """
    stated = json.loads(text)
    return FoldNetwork(
        tuple(np.asarray(kernels, np.float32) for kernels in stated["kernels"]),
        tuple(np.asarray(offsets, np.float32) for offsets in stated["offsets"]),
        tuple(int(dilation) for dilation in stated["dilations"]),
        np.asarray(stated["last"], np.float32),
        float(stated["last_offset"]),
    )
