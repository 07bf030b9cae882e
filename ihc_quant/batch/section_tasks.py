"""From sections of a manifest to slides to score."""

from collections.abc import Sequence

from ihc_quant.batch.manifest import ManifestRow
from ihc_quant.batch.slide_task import SlideTask
from ihc_quant.domain.stain import NO_CHROMOGEN, SCORED_CHROMOGENS
from ihc_quant.errors import ManifestError

SKIN = "skin"
"""The site where a proposed infiltrate says something."""


def slide_tasks(rows: Sequence[ManifestRow], *, propose_infiltrate: bool = True) -> tuple[SlideTask, ...]:
    """Return the slides to score or to show, in the order of the sections.

    Parameters
    ----------
    rows : sequence of ManifestRow
    propose_infiltrate : bool
        Whether the software proposes an infiltrate where none was drawn; in skin alone, because a lymph node would be
        proposed nearly whole.

    Raises
    ------
    ManifestError
        Where sections state what the slide job cannot apply; all are named.
    """
    refused = [
        f"{row.slide_id}: {row.stain.chromogen} cannot be scored; leave the section out of the manifest."
        for row in rows
        if row.stain.chromogen not in (*SCORED_CHROMOGENS, NO_CHROMOGEN)
    ]
    if refused:
        raise ManifestError("\n".join(refused))
    return tuple(
        SlideTask(
            row.slide,
            row.stain,
            row.slide_id,
            row.mpp,
            row.series,
            row.fragments,
            row.annotations,
            propose_infiltrate and row.site == SKIN,
        )
        for row in rows
    )
