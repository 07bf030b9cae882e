"""The network: a compact U-Net on pixels folded into channels.

Encoder, decoder, head and nothing else. Two by two pixels are folded into channels first, so the costly full
resolution is never convolved; the head unfolds its answer to full resolution again. Skips are added, not
concatenated, which halves the work of the decoder. Nothing depends on the size of the input: batch normalisation uses
stored statistics, and the input is 0 on white glass, so that zero padding at a border looks like empty glass.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from ihc_quant.network.card import Architecture

MAP_NAMES: tuple[str, str, str] = ("centre", "extent", "positivity")
"""The maps, in the order of the head's channels."""


class ConvBlock(nn.Sequential):
    """3 × 3 convolution, batch normalisation, rectifier."""

    def __init__(self, channels_in: int, channels_out: int, stride: int = 1) -> None:
        super().__init__(
            nn.Conv2d(channels_in, channels_out, 3, stride, 1, bias=False),
            nn.BatchNorm2d(channels_out),
            nn.ReLU(inplace=True),
        )


class CellNetwork(nn.Module):
    """Maps an image to the logits of three maps.

    Parameters
    ----------
    architecture : Architecture
        Widths and depths.
    """

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        self.architecture = architecture
        widths, fold = architecture.widths, architecture.fold
        self.encoder = nn.ModuleList()
        channels = 3 * fold * fold
        for level, (width, blocks) in enumerate(zip(widths, architecture.encoder_blocks, strict=True)):
            first = ConvBlock(channels, width, stride=1 if level == 0 else 2)
            self.encoder.append(nn.Sequential(first, *(ConvBlock(width, width) for _ in range(blocks))))
            channels = width
        self.lateral = nn.ModuleList()
        self.decoder = nn.ModuleList()
        for level in reversed(range(len(widths) - 1)):
            self.lateral.append(nn.Conv2d(widths[level + 1], widths[level], 1))
            blocks = architecture.decoder_blocks[level]
            self.decoder.append(nn.Sequential(*(ConvBlock(widths[level], widths[level]) for _ in range(blocks))))
        self.head = nn.Conv2d(widths[0], len(MAP_NAMES) * fold * fold, 1)

    def forward(self, image: Tensor) -> Tensor:
        """Return logits.

        Parameters
        ----------
        image : Tensor, shape (N, 3, H, W), float32
            ``normalise``d; H and W multiples of ``architecture.stride_px``.

        Returns
        -------
        Tensor, shape (N, 3, H, W), float32
            Logits in the order of ``MAP_NAMES``.
        """
        fold = self.architecture.fold
        return functional.pixel_shuffle(self.folded(functional.pixel_unshuffle(image, fold)), fold)

    def folded(self, features: Tensor) -> Tensor:
        """Return logits, folded into channels like the pixels given; shapes (N, 3 · fold², h, w)."""
        skips = []
        for stage in self.encoder:
            features = stage(features)
            skips.append(features)
        features = skips.pop()
        for lateral, stage in zip(self.lateral, self.decoder, strict=True):
            up = functional.interpolate(lateral(features), scale_factor=2.0, mode="nearest")
            features = stage(up + skips.pop())
        logits: Tensor = self.head(features)
        return logits


def normalise(rgb: Tensor) -> Tensor:
    """Return the network's input: 0 on white glass, 1 on black.

    Parameters
    ----------
    rgb : Tensor, shape (N, H, W, 3), uint8
        sRGB.

    Returns
    -------
    Tensor, shape (N, 3, H, W), float32
    """
    return 1.0 - rgb.permute(0, 3, 1, 2).to(torch.float32) / 255.0
