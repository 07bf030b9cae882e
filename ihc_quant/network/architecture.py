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
from ihc_quant.network.inverted_residuals import LARGEST, STEM_CHANNELS, Residual, levels_of

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


class BoundedBlock(nn.Sequential):
    """Convolution, batch normalisation and, where ``bounded``, a rectifier that ends at ``LARGEST``."""

    def __init__(self, convolution: nn.Conv2d, *, bounded: bool = True) -> None:
        super().__init__(convolution, nn.BatchNorm2d(convolution.out_channels))
        if bounded:
            self.append(nn.Hardtanh(0.0, LARGEST, inplace=True))


class InvertedResidual(nn.Module):
    """Widens, convolves each channel by itself, narrows; see ``inverted_residuals``."""

    def __init__(self, shape: Residual) -> None:
        super().__init__()
        between, kernel_px = shape.between, shape.kernel_px
        self.widen = BoundedBlock(nn.Conv2d(shape.given, between, 1, bias=False)) if shape.times > 1 else nn.Identity()
        self.each = BoundedBlock(
            nn.Conv2d(between, between, kernel_px, shape.stride, kernel_px // 2, groups=between, bias=False)
        )
        self.narrow = BoundedBlock(nn.Conv2d(between, shape.made, 1, bias=False), bounded=False)
        self.adds = shape.adds

    def forward(self, features: Tensor) -> Tensor:
        """Return features, with those given added where the shape is the same."""
        made: Tensor = self.narrow(self._each(self.widen(features)))
        return features + made if self.adds else made

    def _each(self, wide: Tensor) -> Tensor:
        """Return each channel convolved; in float32 while a processor learns, as bfloat16 is slower there backwards."""
        if wide.device.type == "cpu" and torch.is_autocast_enabled("cpu"):
            with torch.autocast("cpu", enabled=False):
                wide = self.each(wide.float())
        else:
            wide = self.each(wide)
        return wide


def plain_encoder(architecture: Architecture) -> nn.ModuleList:
    """Return levels of convolutions."""
    levels = nn.ModuleList()
    channels = 3 * architecture.fold**2
    for level, (width, blocks) in enumerate(zip(architecture.widths, architecture.encoder_blocks, strict=True)):
        first = ConvBlock(channels, width, stride=1 if level == 0 else 2)
        levels.append(nn.Sequential(first, *(ConvBlock(width, width) for _ in range(blocks))))
        channels = width
    return levels


def residual_encoder(architecture: Architecture) -> nn.ModuleList:
    """Return levels of inverted residuals; the first begins with a convolution of folded pixels."""
    stem = BoundedBlock(nn.Conv2d(3 * architecture.fold**2, STEM_CHANNELS, 3, padding=1, bias=False))
    levels = [[InvertedResidual(shape) for shape in level] for level in levels_of(architecture.encoder_blocks)]
    finest, *coarser = (nn.Sequential(*level) for level in levels)
    return nn.ModuleList([nn.Sequential(stem, *finest), *coarser])


ENCODERS = {"plain": plain_encoder, "efficientnet_lite0": residual_encoder}


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
        self.encoder = ENCODERS[architecture.encoder](architecture)
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
