"""The loss of the three maps."""

import torch
from torch import Tensor
from torch.nn import functional

CENTRE_PEAK_WEIGHT = 10.0
"""Extra weight on the peaks of the centre map, which cover few pixels."""


def map_losses(logits: Tensor, values: Tensor, weights: Tensor) -> Tensor:
    """Return the mean cross-entropy of each map over the pixels that are known.

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
    return loss.sum(dim=(0, 2, 3)) / torch.clamp(weights.sum(dim=(0, 2, 3)), min=1.0)
