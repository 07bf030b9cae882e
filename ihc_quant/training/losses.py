"""The loss of the three maps."""

import torch
from torch import Tensor
from torch.nn import functional

CENTRE_PEAK_WEIGHT = 10.0
"""Extra weight on the peaks of the centre map, which cover few pixels."""
LEAST_CALLED_PX = 1000.0
"""An image with fewer pixels of known positivity counts less than another, in proportion."""


def map_losses(logits: Tensor, values: Tensor, weights: Tensor) -> Tensor:
    """Return the cross-entropy of each map over the pixels that are known.

    Centre and extent are means over all pixels. Positivity is a mean over images of each image's mean: else one H&E
    picture, which is known at every pixel, would outweigh a dozen images that are known at their nuclei only.

    Parameters
    ----------
    logits, values, weights : Tensor, shape (N, 3, H, W), float32
        Network output and ``Targets`` of a batch.

    Returns
    -------
    Tensor, shape (3,)
        Centre, extent, positivity; 0 for a map that no pixel of the batch supervises.
    """
    weights = weights.clone()
    weights[:, 0] *= 1 + CENTRE_PEAK_WEIGHT * values[:, 0]
    loss = functional.binary_cross_entropy_with_logits(logits, values, reduction="none") * weights
    loss, known = loss.sum(dim=(2, 3)), weights.sum(dim=(2, 3))
    pixelwise = loss[:, :2].sum(dim=0) / known[:, :2].sum(dim=0).clamp(min=1.0)
    share = (known[:, 2] / LEAST_CALLED_PX).clamp(max=1.0)
    imagewise = (loss[:, 2] / known[:, 2].clamp(min=LEAST_CALLED_PX)).sum() / share.sum().clamp(min=1.0)
    return torch.cat([pixelwise, imagewise[None]])
