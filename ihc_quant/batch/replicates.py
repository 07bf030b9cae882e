"""Levels of one block: sections of a biopsy that show one marker in one way, named as replicates."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ihc_quant.batch.manifest import ManifestRow

NEVER_REPLICATES: tuple[str, ...] = ("other",)
"""A marker that is not named may be two different ones."""


@dataclass(frozen=True, slots=True)
class Replicate:
    """One of several sections of a biopsy that show the same.

    Attributes
    ----------
    slide_id : str
    number : int
        From 1, in the order of cutting where every section of the group states its index, else in the manifest's.
    count : int
        How many there are; at least 2.
    """

    slide_id: str
    number: int
    count: int

    @property
    def name(self) -> str:
        """Name for a page, as ``level 2 of 3``."""
        return f"level {self.number} of {self.count}"


def name_replicates(rows: Sequence[ManifestRow]) -> Mapping[str, Replicate]:
    """Return the replicates of a manifest by ``slide_id``; a section that has none is left out.

    Two sections are replicates where biopsy, marker, chromogen, clone and epitope agree: antibodies to two epitopes of
    one marker are two stains. One glass with several levels has one line for each, told apart by ``fragments`` or
    ``series``.
    """
    groups: dict[tuple[str | None, ...], list[ManifestRow]] = {}
    for row in rows:
        if row.stain.marker not in NEVER_REPLICATES:
            details = dict(row.details)
            stain = (row.stain.marker, row.stain.chromogen, details.get("clone"), details.get("epitope"))
            groups.setdefault((row.biopsy_id, *stain), []).append(row)
    named: dict[str, Replicate] = {}
    for group in groups.values():
        indices = [row.section_index for row in group]
        if len(group) > 1 and None not in indices:
            group = sorted(group, key=lambda row: row.section_index or 0)
        if len(group) > 1:
            named |= {row.slide_id: Replicate(row.slide_id, n, len(group)) for n, row in enumerate(group, start=1)}
    return named
