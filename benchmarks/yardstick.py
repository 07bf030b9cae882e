"""A plain U-Net whose speed is known on another machine, to carry times over by ratio."""

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

YARDSTICK_S_PER_MM2 = 2.2
"""Seconds for a mm² at 0.5 µm, PyTorch float32 on two cores, as measured where the project's bars were set. That
network is known by its size only (see ``PlainUNet``), so what is estimated by it is no more than an estimate."""


class PlainUNet(nn.Module):
    """1.1 M parameters: pixels folded two by two, 24 base channels, three halvings, concatenated skips. Untrained."""

    def __init__(self, base: int = 24, levels: int = 3, maps: int = 3) -> None:
        super().__init__()
        widths = [base * 2**level for level in range(levels + 1)]
        self.down = nn.ModuleList(_twice(before, width) for before, width in zip([12, *widths], widths, strict=False))
        pairs = list(pairwise(widths))[::-1]
        self.up = nn.ModuleList(_twice(fine + coarse, fine) for fine, coarse in pairs)
        self.head = nn.Conv2d(base, 4 * maps, 1)

    def forward(self, image: Tensor) -> Tensor:
        """Return maps of shape (N, 3, H, W) for an image of shape (N, 3, H, W), sides multiples of 16."""
        features = functional.pixel_unshuffle(image, 2)
        skips: list[Tensor] = []
        for stage in self.down:
            features = stage(functional.max_pool2d(features, 2) if skips else features)
            skips.append(features)
        skips.pop()
        for stage in self.up:
            wider = functional.interpolate(features, scale_factor=2.0, mode="nearest")
            features = stage(torch.cat([wider, skips.pop()], dim=1))
        return functional.pixel_shuffle(self.head(features), 2)


def _twice(channels_in: int, channels_out: int) -> nn.Sequential:
    """Return two convolutions with batch normalisation and rectifier."""
    return nn.Sequential(
        nn.Conv2d(channels_in, channels_out, 3, padding=1, bias=False),
        nn.BatchNorm2d(channels_out),
        nn.ReLU(inplace=True),
        nn.Conv2d(channels_out, channels_out, 3, padding=1, bias=False),
        nn.BatchNorm2d(channels_out),
        nn.ReLU(inplace=True),
    )
