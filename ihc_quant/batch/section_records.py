"""What is recorded of a section besides its scores, as a report repeats it: from the manifest and from the scan."""

from collections.abc import Mapping, Sequence

from ihc_quant.batch.manifest import ManifestRow
from ihc_quant.batch.measurement import Measurement
from ihc_quant.batch.replicates import name_replicates
from ihc_quant.domain.biopsy import SectionRecord

MPP_SOURCES: Mapping[str, str] = {"file": "from the file", "override": "stated by the user"}


def section_records(rows: Sequence[ManifestRow]) -> dict[str, SectionRecord]:
    """Return what a manifest records of its sections, by ``slide_id``.

    Parameters
    ----------
    rows : sequence of ManifestRow
        All of them, because replicates are numbered among all sections of a biopsy.
    """
    replicates = name_replicates(rows)
    return {
        row.slide_id: SectionRecord(
            row.slide_id,
            replicates[row.slide_id].name if row.slide_id in replicates else "",
            # In the order in which they are read back.
            dict(sorted(row.details)),
        )
        for row in rows
    }


def scan_record(measured: Measurement) -> dict[str, str]:
    """Return what is known of the scan, as a page prints it; what is not there is not recorded."""
    facts, stains = measured.facts, measured.stains
    mpp = f"{facts.mpp_x:.4g}" if facts.mpp_x == facts.mpp_y else f"{facts.mpp_x:.4g} × {facts.mpp_y:.4g}"
    vectors = "; ".join(
        f"{name} {', '.join(f'{share:.3f}' for share in vector)}" for name, vector in stains.vectors.items()
    )
    if stains.deviation_degrees is None:
        own = stains.deviation_note or "the slide's own vectors could not be estimated"
    else:
        own = f"the slide's own lie {stains.deviation_degrees:.1f}° away"
    white = ", ".join(f"{channel:.0f}" for channel in stains.white)
    known = {
        "Scanner": facts.scanner or "",
        "Objective": "" if facts.objective is None else f"{facts.objective:g}×",
        "µm per pixel": f"{mpp}, {MPP_SOURCES.get(facts.mpp_source, facts.mpp_source)}",
        "Stain vectors": f"{vectors} ({stains.vectors_source}; {own})",
        "White point": f"{white} ({stains.white_source})",
    }
    return {name: text for name, text in sorted(known.items()) if text}
