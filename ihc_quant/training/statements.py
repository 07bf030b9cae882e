"""What a card says in words. It follows from the sets that were learned from, and from the figures."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ihc_quant.domain.measurement_error import MeasurementError
from ihc_quant.network.card import DataSource, WeightsCard, file_sha256
from ihc_quant.training.field import TrainingField

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
TISSUES = {"cd138": ("CD138", "marrow"), "bcdata": ("Ki-67", "breast")}
"""Marker and tissue of the public sets with a real chromogen and marked cells; a laboratory's fields state theirs."""
STAINED = ("cd138", "bcdata", "painted", "laboratory")
"""Sets with a chromogen, real or painted, on which an operating point may be chosen; each weighs the same."""
REAL = ("cd138", "bcdata", "laboratory")
"""Those of them that are no paintings."""
INHERITED = "training of the weights these started from"
"""Role of a set that was learned from before this training began."""
LARGE_BIAS_POINTS = 3.0
"""A mean error of the percentage from which the card names it among the known failures."""


def shown_in(field: TrainingField) -> tuple[str, str] | None:
    """Return marker and tissue of a field; None where it shows no real chromogen."""
    return (field.marker, field.tissue) if field.marker else TISSUES.get(field.source)


def sources_of(parts: Mapping[str, Sequence[TrainingField]], counted: int = 0) -> list[DataSource]:
    """Return what the card says of each set.

    Parameters
    ----------
    parts : mapping of role to fields
        What they were used for. Fields of one source that differ in licence, marker or tissue have an entry each.
    counted : int
        Crops of the LYSTO set that are tested by their counts.
    """
    images: dict[tuple[str, str, str, str], dict[str, int]] = {}
    for role, part in parts.items():
        for field in part:
            entry = (field.source, field.licence or LICENCES[field.source], field.marker, field.tissue)
            of_entry = images.setdefault(entry, {})
            of_entry[role] = of_entry.get(role, 0) + 1
    if counted:
        images.setdefault(("lysto", LICENCES["lysto"], "", ""), {})["test"] = counted
    return [
        DataSource(
            name=name, licence=licence, role=", ".join(roles), images=sum(roles.values()), marker=marker, tissue=tissue
        )
        for (name, licence, marker, tissue), roles in images.items()
    ]


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
    terms = dict.fromkeys(each.licence for each in sources if each.name == "laboratory" and "training" in each.role)
    images = f"a laboratory's own images (licence: {'; '.join(terms)}), whose owner decides on their use"
    own = [images] if terms else []
    if bound or not origin_known:
        sets = f"image sets for research alone or without a licence ({', '.join(bound)}; see sources)"
        unstated = "they started from weights without a card, whose sources nobody states"
        why = f"learned in part from {sets}" if bound else unstated
        return f"Research use only: {' and '.join([why, *own])}. The code's licence does not extend to these weights."
    names = {"painted": "this project's own painted images", "dsb2018": "CC0 images (Data Science Bowl 2018)"}
    free = [names[source] for source in FREE if source in learned]
    other = "other licence" if own else "licence of an image set"
    return f"Learned only from {' and '.join([*free, *own]) or 'nothing'}: no {other} restricts these weights."


def validated_for(sources: Sequence[DataSource], measurement: Sequence[MeasurementError]) -> str:
    """Return on what the weights were measured, and for what they are not validated.

    A set that they never learned from is a test of the transfer to it, and validates nothing.
    """
    learned = {(each.name, each.marker, each.tissue) for each in sources if "training" in each.role}
    own = [
        error
        for error in measurement
        # The names of public sets tell what they show, and cards of old said no more of a laboratory's.
        if {(error.source, error.marker, error.tissue), (error.source, "", "")} & learned
    ]
    foreign = " and ".join(_measured_on(error) for error in measurement if error not in own)
    text = " and ".join(map(_measured_on, own)) or "no real DAB tissue"
    if foreign:
        text += f" (never learned from, tested only: {foreign})"
    laboratory = any(error.source == "laboratory" for error in own)
    return f"{text}; not validated for {'any other marker or tissue' if laboratory else 'CCR4, CD4 or CD8'}"


def _measured_on(error: MeasurementError) -> str:
    """Return marker and tissue of a set, and of how many images and patients the error is."""
    patients = f" of {error.patients} patient{'s' * (error.patients > 1)}" if error.patients < error.images else ""
    return f"{error.marker} ({error.tissue}), {error.images} held-out image{'s' * (error.images > 1)}{patients}"


def known_failures(sources: Sequence[DataSource], metrics: Mapping[str, Any]) -> tuple[str, ...]:
    """Return what is known to fail, from what was learned and from the figures."""
    learned = learned_from(sources)
    failures = [
        "nuclei hidden under strong chromogen are missed or merged",
        "brown pigment (melanin, hemosiderin) may be called positive",
        "elongated stromal nuclei and out-of-focus nuclei are found less often than lymphocytes",
    ]
    if not set(learned) & set(REAL):
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
