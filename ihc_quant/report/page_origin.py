"""Chapters on where the figures come from: what is recorded of each section, weights, software and settings."""

from collections.abc import Mapping

from ihc_quant.domain.biopsy import BiopsyReport, SectionRecord
from ihc_quant.domain.outcome import Failed, Scored, Shown, SlideOutcome
from ihc_quant.domain.provenance import Provenance
from ihc_quant.report import figures
from ihc_quant.report.page_blocks import Block, Cell, Chapter, Facts, Heading, Line, Table, Text, plain
from ihc_quant.report.page_grades import name_section
from ihc_quant.report.page_head import format_day
from ihc_quant.report.page_results import replicates_of

NOT_RECORDED = "not recorded"
RECORDED: tuple[tuple[str, str], ...] = (
    ("clone", "Clone"),
    ("epitope", "Epitope"),
    ("peroxidase_block", "Peroxidase block"),
    ("section_index", "Section index"),
    ("section_thickness_um", "Thickness, µm"),
)
"""Columns of the manifest that a report repeats, and how it heads them; the day of the biopsy stands apart."""
SCANNED: tuple[str, ...] = ("Scanner", "Objective", "µm per pixel", "Stain vectors", "White point")
"""What is said of every scan, also where it is not recorded."""

_MPP_SOURCES = {"file": "the file", "override": "the user (override)"}
ERROR_ABOVE = "stands in “The network’s own error”, under the results"
"""Where a page says what the weights' error was measured on."""


def records_chapter(report: BiopsyReport) -> Chapter:
    """Return what is recorded of every section and its scan; what is missing is said to be."""
    records = {record.slide_id: record for record in report.sections}
    replicates = replicates_of(report)
    blocks: list[Block] = [Facts((("Day of the biopsy", format_day(report.biopsy_day)),))]
    if report.outcomes:
        header = ("Section", "Level", "Chromogen", *(title for _, title in RECORDED))
        rows = tuple(_recorded(outcome, records.get(outcome.slide_id), replicates) for outcome in report.outcomes)
        blocks.append(Table("As the manifest states it.", header, rows))
    for outcome in report.outcomes:
        record = records.get(outcome.slide_id, SectionRecord(outcome.slide_id))
        blocks.append(Heading(f"{figures.format_marker(outcome.stain.marker)}, scan", outcome.slide_id))
        blocks.append(Facts(_scan(record)))
        extra = tuple(
            (name.replace("_", " "), text)
            for name, text in record.details.items()
            if name not in dict(RECORDED) and name != "biopsy_day"
        )
        if extra:
            blocks.append(Facts(extra))
    return Chapter("records", "What is recorded of the sections", tuple(blocks))


def weights_chapter(report: BiopsyReport) -> Chapter:
    """Return which weights were used and what their error was measured on."""
    used: dict[str, tuple[Provenance, list[str], list[str]]] = {}
    for outcome in report.outcomes:
        if not isinstance(outcome, Failed | Shown):
            provenance = outcome.provenance
            _, slides, scored = used.setdefault(provenance.weights_sha256, (provenance, [], []))
            slides.append(outcome.slide_id)
            if isinstance(outcome, Scored):
                scored.append(outcome.slide_id)
    blocks: list[Block] = [
        Facts(
            (
                ("Weights", provenance.weights_name or NOT_RECORDED),
                ("SHA-256", provenance.weights_sha256 or NOT_RECORDED),
                ("Licence", provenance.weights_licence or NOT_RECORDED),
                ("Used on", ", ".join(slides)),
                ("Their error", ERROR_ABOVE if scored else "no section was scored with them"),
            ),
            lines=True,
        )
        for provenance, slides, scored in used.values()
    ]
    return Chapter(
        "weights", "Weights used, and what they were measured on", tuple(blocks) or (Text("None.", "quiet"),)
    )


def provenance_chapter(report: BiopsyReport) -> Chapter:
    """Return software, digests and settings of every section; each set of settings once."""
    blocks: list[Block] = []
    for outcome in report.outcomes:
        if not isinstance(outcome, Failed):
            blocks.append(Heading(figures.format_marker(outcome.stain.marker), outcome.slide_id))
            blocks.append(Facts(_provenance(outcome)))
    for slides, entries in _settings(report.outcomes):
        blocks += [Heading("Settings", f"of {slides}"), Facts(entries)]
    return Chapter("provenance", "Where the figures come from", tuple(blocks) or (Text("No section could be read."),))


def _recorded(outcome: SlideOutcome, record: SectionRecord | None, replicates: Mapping[str, str]) -> tuple[Cell, ...]:
    details = record.details if record else {}
    cells = (details.get(column, "") for column, _ in RECORDED)
    return (
        name_section(outcome, {}),
        plain(replicates.get(outcome.slide_id, "") or "–"),
        plain(figures.format_chromogen(outcome.stain)),
        *(Cell((Line(text) if text else Line(NOT_RECORDED, "quiet"),)) for text in cells),
    )


def _scan(record: SectionRecord) -> tuple[tuple[str, str], ...]:
    stated = {name.casefold(): (name, text) for name, text in record.scan.items()}
    always = tuple(stated.pop(name.casefold(), (name, "")) for name in SCANNED)
    return tuple((name, text or NOT_RECORDED) for name, text in (*always, *stated.values()))


def _provenance(outcome: SlideOutcome) -> tuple[tuple[str, str], ...]:
    if isinstance(outcome, Failed):
        return ()
    provenance = outcome.provenance
    libraries = ", ".join(f"{name} {version}" for name, version in sorted(provenance.libraries.items()))
    entries: tuple[tuple[str, str], ...] = (
        ("Software", provenance.software),
        ("Weights", provenance.weights_name),
        ("Weights SHA-256", provenance.weights_sha256),
        ("Weights licence", provenance.weights_licence),
        ("Settings SHA-256", provenance.settings_sha256),
        ("Runtime", provenance.runtime),
        ("Platform", provenance.platform),
        ("Libraries", libraries),
        ("Slide hash", provenance.slide_hash),
        ("µm per pixel from", _MPP_SOURCES.get(provenance.mpp_source, provenance.mpp_source)),
    )
    if isinstance(outcome, Scored) and outcome.annotations:
        entries = (*entries, ("Annotations SHA-256", outcome.annotations.file_sha256))
    return tuple((name, text or NOT_RECORDED) for name, text in entries)


def _settings(outcomes: tuple[SlideOutcome, ...]) -> list[tuple[str, tuple[tuple[str, str], ...]]]:
    """Return each set of settings once: the slides it was used on, and its entries."""
    groups: dict[str, tuple[list[str], tuple[tuple[str, str], ...]]] = {}
    for outcome in outcomes:
        if not isinstance(outcome, Failed):
            provenance = outcome.provenance
            slides, _ = groups.setdefault(provenance.settings_sha256, ([], tuple(_flat(provenance.settings))))
            slides.append(outcome.slide_id)
    return [(", ".join(slides), entries) for slides, entries in groups.values()]


def _flat(settings: Mapping[str, object], prefix: str = "") -> list[tuple[str, str]]:
    entries: list[tuple[str, str]] = []
    for key in sorted(settings):
        value = settings[key]
        if isinstance(value, Mapping):
            entries.extend(_flat(value, f"{prefix}{key}."))
        else:
            entries.append((f"{prefix}{key}", _setting(value)))
    return entries


def _setting(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value is None:
        return "none"
    if isinstance(value, list | tuple):
        return ", ".join(_setting(item) for item in value) or "none"
    return str(value)
