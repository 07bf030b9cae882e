"""What must be said beside figures that two sections of a biopsy give together."""

from ihc_quant.scoring.panel_section import PanelSection

LYMPHOCYTE_NUCLEUS_UM = 7.0
"""Diameter that stands in where nuclei were not measured; lymphocytes are 7 to 10 µm wide."""

NOTABLE_SIZE_DIFFERENCE = 0.1
"""Share by which median diameters of positive nuclei may differ before it is said; our judgement."""


def pair_cautions(one: PanelSection, other: PanelSection, *, densities: bool = True) -> tuple[str, ...]:
    """Return the sentences that must stand beside a figure of two sections.

    Parameters
    ----------
    one, other : PanelSection
        In the order of the ratio.
    densities : bool
        Whether the figure is a ratio of densities; thickness and size of nuclei touch only that.

    Returns
    -------
    tuple of str
        Unreviewed regions, few cells, thickness, size of nuclei, and the distance between the sections.
    """
    sizes = (*_thickness(one, other), *_nuclei(one, other)) if densities else ()
    few = (f"{side.slide_id} ({side.marker}): {caution}." for side in (one, other) for caution in side.score.cautions)
    return (*_unreviewed(one), *few, *sizes, *_distance(one, other))


def _unreviewed(one: PanelSection) -> tuple[str, ...]:
    if one.region.origin != "proposed":
        return ()
    return (f"The {one.region.kind} was proposed by the software on both sections and not reviewed.",)


def _thickness(one: PanelSection, other: PanelSection) -> tuple[str, ...]:
    unknown = [side.slide_id for side in (one, other) if side.thickness_um is None]
    if one.thickness_um is None or other.thickness_um is None:
        return (f"Section thickness is not recorded for {' and '.join(unknown)}: the ratio wants equal thickness.",)
    if one.thickness_um == other.thickness_um:
        return ()
    nucleus = LYMPHOCYTE_NUCLEUS_UM
    factor = (one.thickness_um + nucleus) / (other.thickness_um + nucleus)
    return (
        f"Section thickness differs: {one.thickness_um:g} µm ({one.slide_id}) and {other.thickness_um:g} µm "
        f"({other.slide_id}). With nuclei of {nucleus:g} µm this alone makes the ratio {factor:.2f} times as large; it "
        "is not corrected.",
    )


def _nuclei(one: PanelSection, other: PanelSection) -> tuple[str, ...]:
    if one.nucleus_um is None or other.nucleus_um is None:
        return ("The size of the positive nuclei is not known: the ratio wants similar size in both sections.",)
    if abs(one.nucleus_um - other.nucleus_um) <= NOTABLE_SIZE_DIFFERENCE * min(one.nucleus_um, other.nucleus_um):
        return ()
    return (
        f"Positive nuclei differ in size: {one.nucleus_um:.1f} µm ({one.marker}) and {other.nucleus_um:.1f} µm "
        f"({other.marker}); larger ones are cut more often, which moves the ratio.",
    )


def _distance(one: PanelSection, other: PanelSection) -> tuple[str, ...]:
    if one.section_index is None or other.section_index is None:
        return ()
    apart = abs(one.section_index - other.section_index)
    if apart == 1:
        return ()
    if apart == 0:
        return (
            f"{one.slide_id} and {other.slide_id} both have section index {one.section_index}: check the manifest.",
        )
    return (
        f"{one.slide_id} and {other.slide_id} are not adjacent (section indices {one.section_index} and "
        f"{other.section_index}): the tissue may differ.",
    )
