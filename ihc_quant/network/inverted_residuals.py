"""The inverted residuals of EfficientNet-Lite0 (Google 2020, after Tan and Le 2019), less the coarsest levels.

Each widens its channels, convolves every channel by itself and narrows them again. Torch, OpenVINO's graph and the
ranges of integers are all built from the table below.
"""

from dataclasses import dataclass

STEM_CHANNELS = 32
"""Channels of the first convolution, which takes folded pixels."""
LARGEST = 6.0
"""Where the rectifier ends; so activations have a range that integers can hold."""


@dataclass(frozen=True, slots=True)
class Residual:
    """Shape of one inverted residual.

    Attributes
    ----------
    given, made : int
        Channels.
    times : int
        How many times as many channels there are in between; 1 for no widening.
    kernel_px : int
    stride : int
    """

    given: int
    made: int
    times: int
    kernel_px: int
    stride: int

    @property
    def between(self) -> int:
        """Channels in between."""
        return self.given * self.times

    @property
    def adds(self) -> bool:
        """Whether what is made is added to what was given."""
        return self.stride == 1 and self.given == self.made


LEVELS: tuple[tuple[Residual, ...], ...] = (
    (Residual(32, 16, 1, 3, 1),),
    (Residual(16, 24, 6, 3, 2), Residual(24, 24, 6, 3, 1)),
    (Residual(24, 40, 6, 5, 2), Residual(40, 40, 6, 5, 1)),
    (
        Residual(40, 80, 6, 3, 2),
        Residual(80, 80, 6, 3, 1),
        Residual(80, 80, 6, 3, 1),
        Residual(80, 112, 6, 5, 1),
        Residual(112, 112, 6, 5, 1),
        Residual(112, 112, 6, 5, 1),
    ),
)
"""Of each level of the encoder, the finest (two pixels) first."""


def levels_of(numbers: tuple[int, ...]) -> tuple[tuple[Residual, ...], ...]:
    """Return so many levels, finest first, and of each so many inverted residuals.

    Raises
    ------
    ValueError
        Where the table holds fewer, or a level would be empty.
    """
    most = tuple(len(level) for level in LEVELS)
    if len(numbers) > len(most) or any(not 0 < number <= limit for number, limit in zip(numbers, most, strict=False)):
        raise ValueError(f"levels of such an architecture have 1 to {most} inverted residuals, not {numbers}")
    return tuple(level[:number] for number, level in zip(numbers, LEVELS, strict=False))


def widths_of(numbers: tuple[int, ...]) -> tuple[int, ...]:
    """Return the channels that each of these levels hands on."""
    return tuple(level[-1].made for level in levels_of(numbers))
