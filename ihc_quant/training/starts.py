"""The weights that a run starts from: what they learned from is held out by nobody who goes on from them."""

from collections.abc import Container
from pathlib import Path

from ihc_quant.errors import SettingsError
from ihc_quant.network.card import WeightsCard, read_card, resolve_card
from ihc_quant.training.splits import Split
from ihc_quant.training.state import START, has_card
from ihc_quant.training.statements import INHERITED

LEARNED_BEFORE = "training of the start"
"""Part of a card's split: groups that the weights it started from learned from, and those that these started from."""
WHOLE_SET = "*"
"""Stands for every group of a set."""


def start_card(start: str, folder: Path) -> WeightsCard | None:
    """Return the card of the weights that a run starts from, None where they have none.

    Parameters
    ----------
    start : str
        As ``--start`` names them; empty for none.
    folder : Path
        Of the run, which keeps what it started from.

    Raises
    ------
    WeightsError
        Where there are no such weights.
    """
    if (kept := folder / f"{START}.json").exists():
        return read_card(kept)
    begun = (folder / f"{START}.safetensors").exists()
    return read_card(resolve_card(start)) if start and not begun and has_card(Path(start)) else None


def require_pixel(card: WeightsCard | None, pixel_um: float) -> None:
    """Refuse to start from weights that work at another pixel size."""
    if card and card.pixel_um != pixel_um:
        raise SettingsError(
            f"--start: the weights {card.name} work at {card.pixel_um:g} µm per pixel and this run at {pixel_um:g}; "
            f"set --pixel-um {card.pixel_um:g} or start from others."
        )


def inherited_groups(card: WeightsCard) -> frozenset[str]:
    """Return the groups, ``source/group``, that the weights learned from which these started from.

    Where a card does not say which groups of a set those were, all of the set count as learned.
    """
    if LEARNED_BEFORE in card.split:
        return frozenset(card.split[LEARNED_BEFORE])
    return frozenset(f"{source.name}/{WHOLE_SET}" for source in card.sources if source.role == INHERITED)


def learned_before(card: WeightsCard | None) -> frozenset[str]:
    """Return the groups that weights learned from, and those that the weights which they started from did."""
    return frozenset() if card is None else inherited_groups(card) | frozenset(card.split.get("training", ()))


def was_learned(before: Container[str], source: str, group: str) -> bool:
    """Return whether a group is among those that ``learned_before`` names."""
    return f"{source}/{group}" in before or f"{source}/{WHOLE_SET}" in before


def without_learned(split: Split, before: Container[str]) -> Split:
    """Return a split that neither validates nor tests on what the starting weights learned from.

    Examples
    --------
    >>> without_learned(Split((), (), ()), frozenset()).groups()
    {'training': [], 'validation': [], 'test': []}
    """
    validation, test = (
        tuple(field for field in part if not was_learned(before, field.source, field.group))
        for part in (split.validation, split.test)
    )
    return Split(split.training, validation, test)


def left_out_notice(planned: Split, before: Container[str]) -> str:
    """Return what is to be told of groups that would be held out and that the starting weights know; "" for none."""
    honest = without_learned(planned, before)
    known = {*planned.validation, *planned.test} - {*honest.validation, *honest.test}
    if not known:
        return ""
    groups = {(field.source, field.group) for field in known}
    sets = ", ".join(sorted({source for source, _ in groups}))
    by = " (by pseudonym)" if any(source == "laboratory" for source, _ in groups) else ""
    return (
        f"the starting weights learned from {len(groups)} patients or images of {sets}{by} that would be held out; "
        "they choose no threshold and no figure counts them."
    )
