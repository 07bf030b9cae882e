"""From sections of a manifest to slides to score; what cannot be applied yet is refused here and not dropped."""

from collections.abc import Iterator, Sequence

from ihc_quant.batch.manifest import ManifestRow
from ihc_quant.batch.slide_job import SlideTask
from ihc_quant.domain.stain import SCORED_CHROMOGENS
from ihc_quant.errors import ManifestError


def slide_tasks(rows: Sequence[ManifestRow]) -> tuple[SlideTask, ...]:
    """Return the slides to score, in the order of the sections.

    Raises
    ------
    ManifestError
        Where sections state what the slide job cannot apply; all are named.
    """
    refused = [f"{row.slide_id}: {text}." for row in rows for text in _unapplied(row)]
    if refused:
        raise ManifestError("\n".join(refused))
    return tuple(SlideTask(row.slide, row.stain, row.slide_id, row.mpp, row.series) for row in rows)


def _unapplied(row: ManifestRow) -> Iterator[str]:
    if row.stain.chromogen not in SCORED_CHROMOGENS:
        yield f"a section of {row.stain.marker} without chromogen cannot be shown yet; leave it out of the manifest"
    if row.fragments:
        yield "sections cannot be split by fragments yet; leave the column fragments empty"
    if row.annotations is not None:
        yield "regions cannot be applied yet; leave the column annotations empty"
