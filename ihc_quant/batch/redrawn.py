"""What people drew or named after a slide was measured, and whether what was measured serves for it.

The network looked at all tissue of the fragments that were read, whatever was drawn. So regions drawn later are applied
to the kept tables and rasters, and give the same bytes as a new measurement. Only where other fragments are to be read,
because others were named or hold control tissue, is the slide needed: its tiles are others then.
"""

from dataclasses import dataclass
from pathlib import Path

from ihc_quant.batch.measurement import Measurement
from ihc_quant.batch.pixel_store import load_fragments
from ihc_quant.batch.quality_control import judge_places
from ihc_quant.batch.region_store import KeptRegions, load_regions, read_annotations, save_regions
from ihc_quant.batch.section_placing import fragments_to_read
from ihc_quant.batch.slide_task import SlideTask
from ihc_quant.domain.geometry import Point
from ihc_quant.domain.stain import NO_CHROMOGEN


@dataclass(frozen=True, slots=True, eq=False)
class Redrawn:
    """Which of a slide is the section, as people say now.

    Attributes
    ----------
    drawn : KeptRegions
    fragments : tuple of int
        Tissue fragments that are the section, ascending; empty for all.
    """

    drawn: KeptRegions
    fragments: tuple[int, ...]

    @classmethod
    def of(cls, task: SlideTask, measurement: Measurement) -> "Redrawn":
        """Read what people say now of a slide that was measured.

        Raises
        ------
        SlideError
            Where the annotation file cannot be used.
        """
        x0, y0, _, _ = measurement.facts.bounds_l0
        drawn = read_annotations(task.annotations, str(task.path), Point(x0, y0))
        # Of a section that is shown and not scored no fragments are told apart.
        return cls(drawn, () if measurement.stain.chromogen == NO_CHROMOGEN else task.fragments)

    def applied_to(self, folder: Path, measurement: Measurement) -> Measurement:
        """Keep the regions in a folder of results, and return the measurement with them.

        Parameters
        ----------
        folder : Path
            Holds the kept rasters, and no regions.
        measurement : Measurement

        Raises
        ------
        OutputError
            Where results cannot be read back or written.
        """
        save_regions(folder, self.drawn)
        quality = measurement.quality
        if quality is not None:
            tissue = load_fragments(folder, measurement.overview_grid)
            colours = measurement.stains.colours
            quality = judge_places(folder, tissue, self.drawn.regions, self.fragments, quality.found, colours)
        return measurement.model_copy(
            update={
                "annotations_sha256": self.drawn.file_sha256,
                "fragments": self.fragments,
                "quality": quality,
            }
        )


def why_slide_is_needed(folder: Path, measurement: Measurement, now: Redrawn) -> str:
    """Return why what was measured does not serve for what people say now; empty where it does.

    Parameters
    ----------
    folder : Path
        Results of the slide.
    measurement : Measurement
        Of that folder.
    now : Redrawn

    Raises
    ------
    OutputError
        Where results cannot be read back.
    """
    if measurement.stain.chromogen == NO_CHROMOGEN or not (measurement.fragments or now.fragments):
        return ""
    tissue = load_fragments(folder, measurement.overview_grid)
    read = fragments_to_read(tissue, load_regions(folder).regions, measurement.fragments)
    wanted = fragments_to_read(tissue, now.drawn.regions, now.fragments)
    # A number that is not there is refused by a new measurement.
    wanted = tuple(sorted({*wanted, *now.fragments}))
    return "" if read == wanted else f"fragments measured: {_numbers(read)}; asked for: {_numbers(wanted)}"


def _numbers(fragments: tuple[int, ...]) -> str:
    return ", ".join(map(str, fragments)) or "none"
