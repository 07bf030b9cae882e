"""What a reader of a biopsy's report must be told, read off the manifest: nothing is inferred from pixels here."""

import re
from collections.abc import Sequence

from ihc_quant.batch.manifest import ManifestRow

BROWN_CHROMOGENS = ("DAB",)
"""Chromogens of melanin's colour."""
CONTROL_MARKER = "negative_control"
NOT_DONE = re.compile(r"no|none|n|not done|without|false|0", re.IGNORECASE)
"""How people write that a step was left out."""
N_TERMINAL = re.compile(r"\b(n|nh2|amino)\W*term", re.IGNORECASE)
"""However people write it: N-terminal, N terminus, Nterm, amino-terminal."""


def biopsy_flags(sections: Sequence[ManifestRow]) -> tuple[str, ...]:
    """Return sentences about what may fool the figures of a biopsy, for the sections that the manifest lists.

    Parameters
    ----------
    sections : sequence of ManifestRow
        All sections of one biopsy.
    """
    details = {row.slide_id: dict(row.details) for row in sections}
    flags = []
    if sections[0].site == "skin" and any(row.stain.chromogen in BROWN_CHROMOGENS for row in sections):
        flags.append(
            "Skin and a brown chromogen, and no region excludes the epidermis: melanin unmixes to the chromogen and "
            "may be counted as stain."
        )
    blocks = {slide_id: recorded.get("peroxidase_block", "") for slide_id, recorded in details.items()}
    if unrecorded := [slide_id for slide_id, block in blocks.items() if not block]:
        flags.append(
            f"No peroxidase block is recorded for {', '.join(unrecorded)}: eosinophils may be brown without antibody."
        )
    if unblocked := [slide_id for slide_id, block in blocks.items() if NOT_DONE.fullmatch(block)]:
        flags.append(
            f"Peroxidase was not blocked on {', '.join(unblocked)}: eosinophils may be brown without antibody."
        )
    if not any(row.stain.marker == CONTROL_MARKER for row in sections):
        flags.append("There is no control section without primary antibody: unspecific stain cannot be judged.")
    flags += [flag for row in sections if (flag := _masked_epitope(row, details[row.slide_id]))]
    return tuple(flags)


def _masked_epitope(row: ManifestRow, details: dict[str, str]) -> str:
    """Return the flag of a CCR4 section on or after anti-CCR4 treatment whose antibody may find its epitope masked."""
    day, epitope = details.get("biopsy_day", ""), details.get("epitope", "")
    try:
        treated = float(day) >= 0
    except ValueError:
        treated = False
    if row.stain.marker != "CCR4" or not treated or (epitope and not N_TERMINAL.search(epitope)):
        return ""
    state = f"{epitope} epitope" if epitope else "epitope not recorded"
    return (
        f"{row.slide_id} was taken on or after the start of treatment (day {day}, {state}): the drug may mask what the "
        "antibody binds, and CCR4+ cells may be missed."
    )
