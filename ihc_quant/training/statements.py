"""What a card says in words. It follows from the sets that were learned from, and from the figures."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ihc_quant.domain.measurement_error import MeasurementError
from ihc_quant.network.card import DataSource, WeightsCard, file_sha256

LICENCES = {
    "cd138": "none stated (STTARR plasma-cell-detection)",
    "bcdata": "none stated (BCData sample)",
    "dsb2018": "CC0 (Data Science Bowl 2018)",
    "painted": "this project's own painter",
    "he": "none stated (lymph node, H&E); OpenSlide test data (one H&E slide)",
    "laboratory": "the laboratory's own",
    "lysto": "none stated (LYSTO copy)",
    "imagenet": "pictures for non-commercial research; weights Apache-2.0 (Google's EfficientNet-Lite0)",
}
"""Licence of each set."""
ENCODERS = {
    "50bc60d45f04064d1625ced864b53c19fda279342cef43c9b86e12a333a5f1bc": DataSource(
        name="imagenet", licence=LICENCES["imagenet"], role="training", images=1_281_167
    ),
}
"""What encoders without a card learned from, by the SHA-256 of their files; see ``weights/README.md``."""
FREE = ("painted", "dsb2018")
"""Sets whose licence leaves what is learned from them free."""
TISSUES = {
    "cd138": ("CD138", "marrow"),
    "bcdata": ("Ki-67", "breast"),
    "laboratory": ("the laboratory's marker", "the laboratory's tissue"),
}
"""Marker and tissue of the sets with a real chromogen and marked cells."""
STAINED = ("cd138", "bcdata", "painted", "laboratory")
"""Sets with a chromogen, real or painted, on which an operating point may be chosen; each weighs the same."""
INHERITED = "training of the weights these started from"
"""Role of a set that was learned from before this training began."""
LARGE_BIAS_POINTS = 3.0
"""A mean error of the percentage from which the card names it among the known failures."""


def learned_from(sources: Sequence[DataSource]) -> list[str]:
    """Return the names of the sets that were learned from, now or by the weights that training started from."""
    return [source.name for source in sources if "training" in source.role]


def inherited_sources(start: Path, card: WeightsCard | None) -> list[DataSource]:
    """Return the sets that weights learned from, in the role they have for those trained on from these.

    Parameters
    ----------
    start : Path
        The weights, where there are any.
    card : WeightsCard or None
        Their card, where they have one.
    """
    known = ENCODERS.get(file_sha256(start)) if start.exists() else None
    sources = card.sources if card else [known] if known else []
    return [source.model_copy(update={"role": INHERITED}) for source in sources if "training" in source.role]


def licence_of(sources: Sequence[DataSource], *, origin_known: bool) -> str:
    """Return on what terms the weights may be used; ``origin_known`` is False for a start from weights without card."""
    learned = dict.fromkeys(learned_from(sources))
    bound = [source for source in learned if source not in (*FREE, "laboratory")]
    own = " and a laboratory's own images, whose owner decides on their use" if "laboratory" in learned else ""
    if bound or not origin_known:
        sets = f"image sets for research alone or without a licence ({', '.join(bound)}; see sources)"
        why = f"learned in part from {sets}{own}"
        why = why if bound else f"they started from weights without a card, whose sources nobody states{own}"
        return f"Research use only: {why}. The code's licence does not extend to these weights."
    free = " and ".join(
        {"painted": "this project's own painted images", "dsb2018": "CC0 images (Data Science Bowl 2018)"}[source]
        for source in FREE
        if source in learned
    )
    return f"Learned only from {free or 'nothing else'}{own}: no licence of an image set restricts these weights."


def validated_for(sources: Sequence[DataSource], measurement: Sequence[MeasurementError]) -> str:
    """Return on what the weights were measured, and for what they are not validated.

    A set that they never learned from is a test of the transfer to it, and validates nothing.
    """
    learned = learned_from(sources)
    images = {
        error.source: f"{error.marker} ({error.tissue}), {error.images} held-out images"
        + (f" of {error.patients} patient{'s' * (error.patients > 1)}" if error.patients < error.images else "")
        for error in measurement
    }
    own = " and ".join(text for source, text in images.items() if source in learned)
    foreign = " and ".join(text for source, text in images.items() if source not in learned)
    text = own or "no real DAB tissue"
    if foreign:
        text += f" (never learned from, tested only: {foreign})"
    beyond = "any other marker or tissue" if "laboratory" in learned else "CCR4, CD4 or CD8"
    return f"{text}; not validated for {beyond}"


def known_failures(sources: Sequence[DataSource], metrics: Mapping[str, Any]) -> tuple[str, ...]:
    """Return what is known to fail, from what was learned and from the figures."""
    learned = learned_from(sources)
    failures = [
        "nuclei hidden under strong chromogen are missed or merged",
        "brown pigment (melanin, hemosiderin) may be called positive",
        "elongated stromal nuclei and out-of-focus nuclei are found less often than lymphocytes",
    ]
    if not set(learned) & set(TISSUES):
        failures.append("no real chromogen was learned from: percentages on real tissue may be far off")
    if "he" not in learned:
        failures.append("no section without chromogen was learned from: eosin may be called positive")
    return (*failures, *biases(metrics))


def biases(metrics: Mapping[str, Any]) -> tuple[str, ...]:
    """Return a sentence for each source whose percentage is off by ``LARGE_BIAS_POINTS`` or more."""
    return tuple(
        f"on {source} the percentage of positive cells is off by {bias:+.1f} points on average"
        for source, figures in metrics.items()
        if (bias := figures.get("percent_positive_bias_points")) is not None and abs(bias) >= LARGE_BIAS_POINTS
    )
