"""What the class of a drawn area stands for: the names that people write, and the few kinds of region there are."""

import re
from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType


class RegionKind(StrEnum):
    """What a drawn area is for.

    ``ANALYSE`` limits the analysis to what is drawn, ``EXCLUDE`` takes places out of it, ``CONTROL_TISSUE`` is not the
    patient's and is scored apart. The others are compartments: parts of the patient's tissue with results of their own.
    """

    ANALYSE = "analyse"
    EXCLUDE = "exclude"
    CONTROL_TISSUE = "control tissue"
    EPIDERMIS = "epidermis"
    DERMIS = "dermis"
    INTERFOLLICULAR = "interfollicular"
    INFILTRATE = "infiltrate"
    TUMOUR = "tumour"


COMPARTMENTS: tuple[RegionKind, ...] = (
    RegionKind.EPIDERMIS,
    RegionKind.DERMIS,
    RegionKind.INTERFOLLICULAR,
    RegionKind.INFILTRATE,
    RegionKind.TUMOUR,
)
"""In the order in which results name them."""

SYNONYMS: Mapping[RegionKind, tuple[str, ...]] = MappingProxyType(
    {
        RegionKind.ANALYSE: ("analyse", "analyze", "analyse in", "analyze in", "analysis", "include", "region", "roi"),
        RegionKind.EXCLUDE: (
            "exclude", "excluded", "exclusion", "ignore", "artefact", "artifact", "pen", "fold", "crush", "necrosis",
            "melanin", "pigment", "hair", "hemosiderin", "haemosiderin",
        ),
        RegionKind.CONTROL_TISSUE: (
            "control tissue", "control", "on slide control", "positive control", "negative control",
        ),
        RegionKind.EPIDERMIS: ("epidermis", "epidermal"),
        RegionKind.DERMIS: ("dermis", "dermal"),
        RegionKind.INTERFOLLICULAR: (
            "interfollicular", "interfollicular area", "interfollicular zone", "paracortex", "t zone",
        ),
        RegionKind.INFILTRATE: (
            "infiltrate", "lymphoid infiltrate", "inflammatory infiltrate", "immune cells",
        ),
        RegionKind.TUMOUR: ("tumour", "tumor", "tumour cells", "tumor cells"),
    }
)  # fmt: skip
"""Names that are understood. Capital letters, the asterisk that QuPath puts behind classes to be ignored, and hyphens
or underscores in the place of spaces make no difference. ``Region*``, ``Ignore*``, ``Tumor``, ``Immune cells`` and
``Necrosis`` are classes that QuPath starts with."""

KIND_OF_NAME: Mapping[str, RegionKind] = MappingProxyType(
    {name: kind for kind, names in SYNONYMS.items() for name in names}
)


def region_kind(class_name: str) -> RegionKind | None:
    """Return what a class stands for; None where its name is not known.

    A class that is derived from another, as in ``Tumor: Positive``, is not known: it is a cell's, or says more than
    is understood.

    Examples
    --------
    >>> region_kind("Control_Tissue").value, region_kind("Ignore*").value
    ('control tissue', 'exclude')
    >>> region_kind("Tumor: Positive") is None
    True
    """
    return KIND_OF_NAME.get(re.sub(r"[\s_-]+", " ", class_name.casefold().removesuffix("*")).strip())
