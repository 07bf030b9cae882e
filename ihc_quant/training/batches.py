"""Batches, each drawn from the seed and its own step alone, so that a resumed run draws the same ones."""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from ihc_quant.training.augmentation import FAINTER, VARIED, AugmentationRanges, augmented_crop
from ihc_quant.training.field import TrainingField
from ihc_quant.training.targets import EXACT, MARKED, Emphasis, targets_of


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """One step's images and targets.

    Attributes
    ----------
    rgb : ndarray, shape (N, H, W, 3), uint8
    values, weights : ndarray, shape (N, 3, H, W), float32
        See ``Targets``.
    counts : list of int or None, length N
        Number of positive cells in the whole image, where that is all that is known.
    """

    rgb: NDArray[np.uint8]
    values: NDArray[np.float32]
    weights: NDArray[np.float32]
    counts: list[int | None]


@dataclass(frozen=True, slots=True)
class Handling:
    """How images of a source are drawn and varied, and how much their marks weigh.

    Attributes
    ----------
    ranges : AugmentationRanges
    emphasis : Emphasis
    by_cells : bool
        Whether every second image is drawn the more often, the more cells it holds: crowds are rare among images.
    """

    ranges: AugmentationRanges = VARIED
    emphasis: Emphasis = MARKED
    by_cells: bool = False


EXACTLY = Handling(FAINTER, EXACT, by_cells=True)
"""Of painted images that are to teach what people's marks show least of."""


@dataclass(frozen=True, slots=True)
class BatchDrawer:
    """Draws batches.

    Attributes
    ----------
    pools : mapping of str to sequence of TrainingField
        Fields by source.
    shares : mapping of str to int
        Images of each source in a batch; a source that has some needs a pool that is not empty.
    size_px : int
        Side of an image.
    pixel_um : float
        The network's pixel size.
    on_positive : float
        Probability of placing a crop around a positive cell.
    seed : int
    handling : mapping of str to Handling
        Of sources that are not handled like marks of people.
    """

    pools: Mapping[str, Sequence[TrainingField]]
    shares: Mapping[str, int]
    size_px: int
    pixel_um: float
    on_positive: float
    seed: int
    handling: Mapping[str, Handling] = field(default_factory=dict)

    def __post_init__(self) -> None:
        empty = [source for source, count in self.shares.items() if count and not self.pools[source]]
        if empty or not any(self.shares.values()):
            raise ValueError(f"a batch needs images to draw from, got none of {', '.join(empty) or 'any source'}")

    def draw(self, step: int) -> Batch:
        """Return the batch of a step."""
        rng = np.random.default_rng([self.seed, step])
        crops, targets = [], []
        for source, count in self.shares.items():
            handling = self.handling.get(source, Handling())
            for _ in range(count):
                whole = drawn_from(self.pools[source], rng, by_cells=handling.by_cells)
                crop = augmented_crop(whole, self.size_px, handling.ranges, rng, on_positive=self.on_positive)
                crops.append(crop)
                targets.append(targets_of(crop, self.pixel_um, handling.emphasis))
        return Batch(
            np.stack([crop.rgb for crop in crops]),
            np.stack([target.values for target in targets]),
            np.stack([target.weights for target in targets]),
            [crop.count for crop in crops],
        )

    def draw_ahead(self, first: int, last: int, ahead: int = 3) -> Iterator[tuple[int, Batch]]:
        """Yield (step, batch) for ``first`` to ``last`` - 1, drawing a few steps ahead in another thread."""
        cv2.setNumThreads(1)
        with ThreadPoolExecutor(1) as pool:
            waiting: dict[int, Future[Batch]] = {
                step: pool.submit(self.draw, step) for step in range(first, min(first + ahead, last))
            }
            for step in range(first, last):
                batch = waiting.pop(step).result()
                if step + ahead < last:
                    waiting[step + ahead] = pool.submit(self.draw, step + ahead)
                yield step, batch


def drawn_from(pool: Sequence[TrainingField], rng: np.random.Generator, *, by_cells: bool) -> TrainingField:
    """Return a field of a pool, each as likely as the others; ``by_cells`` every second time each cell's as likely."""
    if not by_cells or rng.random() < 0.5:
        return pool[int(rng.integers(len(pool)))]
    cells = np.cumsum([len(field.calls) for field in pool])
    return pool[int(np.searchsorted(cells, rng.integers(max(1, cells[-1])), side="right")) % len(pool)]
