"""Which images a set of weights may be judged on: those that its card says it never saw."""

from collections.abc import Iterable, Sequence
from pathlib import PurePath

from labelled_images import LabelledImage

from ihc_quant.errors import SettingsError
from ihc_quant.network.card import WeightsCard
from ihc_quant.training.starts import LEARNED_BEFORE, inherited_groups, was_learned

SEEN_PARTS = ("training", "validation", LEARNED_BEFORE)
"""Parts of a card's split that shaped the weights: what they learned from, what chose their thresholds, and what the
weights they started from had learned from."""


def held_out(images: Sequence[LabelledImage], card: WeightsCard) -> list[LabelledImage]:
    """Return the images of one source that weights may be judged on.

    These are the groups that the card lists as test. Where it lists none, they are all images of a source that the
    weights never saw, and none of one that they learned from to the last image. Of a source that the weights they
    started from learned from to the last image, there are none either; so where their card does not say from which.

    Raises
    ------
    SettingsError
        Where the card lists a test group of the source that is not among the images, or as test what it also lists as
        seen.
    """
    if left_out_because(images, card):
        return []
    tested = _of(images, _groups(card, "test"))
    if not tested:
        return list(images)
    if unknown := tested - {image.key for image in images}:
        raise SettingsError(f"{card.name}: its card tests on {min(unknown)}, which is not among the images here.")
    chosen = [image for image in images if image.key in tested]
    require_unseen((image.key for image in chosen), card)
    return chosen


def left_out_because(images: Sequence[LabelledImage], card: WeightsCard) -> str:
    """Return why weights may be judged on no image of a source, as a clause; empty where they may on some."""
    if not images:
        return "no images are there"
    before = inherited_groups(card)
    if all(was_learned(before, image.source, image.group) for image in images):
        return f"{card.name} started from weights that learned from {images[0].source}: not judged; use others"
    seen = any(_of(images, _groups(card, part)) for part in SEEN_PARTS)
    if seen and not _of(images, _groups(card, "test")):
        return f"{card.name} learned from it to the last image: not judged; use --folds with the cards of its folds"
    return ""


def trained_on(images: Sequence[LabelledImage], card: WeightsCard) -> list[LabelledImage]:
    """Return the images that the weights learned from."""
    groups = _groups(card, "training")
    return [image for image in images if image.key in groups]


def require_unseen(keys: Iterable[str], card: WeightsCard) -> None:
    """Refuse to judge weights on what shaped them.

    Parameters
    ----------
    keys : iterable of str
        ``source/group``.
    card : WeightsCard

    Raises
    ------
    SettingsError
        Where the card lists one of the groups among what the weights learned from or what chose their thresholds, or
        its source among what the weights they started from learned from.
    """
    judging = set(keys)
    for part in SEEN_PARTS:
        groups = inherited_groups(card) if part == LEARNED_BEFORE else _groups(card, part)
        if shared := {key for key in judging if was_learned(groups, *key.split("/", 1))}:
            raise SettingsError(
                f"{card.name}: {min(shared)} is {part} data of these weights and cannot judge them; correct the split."
            )


def saw_file(name: str, card: WeightsCard) -> bool:
    """Return whether a picture or slide, by its name without folder, shaped the weights in any source."""
    stem = _plain(PurePath(name).name)
    return any(group.split("/", 1)[-1] == stem for part in SEEN_PARTS for group in _groups(card, part))


def _of(images: Sequence[LabelledImage], groups: set[str]) -> set[str]:
    """Return the groups that are of the images' sources."""
    sources = {image.source for image in images}
    return {group for group in groups if group.split("/")[0] in sources}


def _groups(card: WeightsCard, part: str) -> set[str]:
    """Return the groups of a part, an image named with its suffix counting as without."""
    return {_plain(group) for group in card.split.get(part, [])}


def _plain(name: str) -> str:
    for suffix in (".png", ".jpg", ".svs", ".tif", ".tiff"):
        name = name.removesuffix(suffix)
    return name
