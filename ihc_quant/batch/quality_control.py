"""Quality control of a slide that is being scored: gathered tile by tile, judged once, kept with the results."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ihc_quant.annotation.regions import Regions
from ihc_quant.batch.pixel_store import load_mean_density, load_quality, save_mean_density, save_quality
from ihc_quant.batch.settings import MeasureSettings, SettingsPart
from ihc_quant.batch.tile_stream import TileResult
from ihc_quant.domain.geometry import Grid, Size
from ihc_quant.domain.quality import CAUSE_WORDS, Cause, ControlProposal, QualityFindings
from ihc_quant.domain.stain import StainMatrix
from ihc_quant.network.card import FoldsNetwork, WeightsCard
from ihc_quant.network.devices import importing
from ihc_quant.scoring.section_places import place_tissue
from ihc_quant.stain.estimate import SlideColours
from ihc_quant.tissue.control import propose_control
from ihc_quant.tissue.fold_planes import PlaneRaster
from ihc_quant.tissue.map import TissueMap
from ihc_quant.tissue.quality import find_causes, summarise
from ihc_quant.tissue.quality_settings import QualitySettings
from ihc_quant.tissue.tile_measures import MeasureRaster

if TYPE_CHECKING:
    from ihc_quant.network.fold_network import FoldNetwork

RULES = "rules"
"""What tells folds where the weights name no network."""


class QualityFound(SettingsPart):
    """What quality control found on a whole slide, whatever people drew on it; the rasters are kept beside.

    Attributes
    ----------
    excludes : bool
        Whether places are left out, and not only told.
    thresholds : QualitySettings
    controls : tuple of ControlProposal
        Of all fragments that were found.
    step_um : float
        Side of a square of the kept densities.
    folds_by : str
        Network that told folds, by name and digest; "rules" where none did.
    """

    excludes: bool
    thresholds: QualitySettings
    controls: tuple[ControlProposal, ...]
    step_um: float
    folds_by: str = RULES


class QualityUsed(SettingsPart):
    """What quality control says of a section, and which of it is left out of the scores.

    Attributes
    ----------
    found : QualityFound
    findings : QualityFindings
        Shares are of the tissue that people left in.
    """

    found: QualityFound
    findings: QualityFindings

    @property
    def excluded(self) -> tuple[Cause, ...]:
        """Causes whose cells and area are left out; empty where everything is told only."""
        return self.found.thresholds.excluded if self.found.excludes else ()


def load_fold_network(stated: FoldsNetwork, cores: int) -> "FoldNetwork":
    """Return the network that tells folds; OpenVINO is imported only where a card names one."""
    with importing("openvino"):
        from ihc_quant.network import fold_network
    return fold_network.load_fold_network(stated, cores)


@dataclass(frozen=True, slots=True, eq=False)
class QualityCheck:
    """Quality control of one slide while its tiles come in, in any order."""

    settings: QualitySettings
    excludes: bool
    raster: MeasureRaster
    pixel_um: float
    folds: "FoldNetwork | None"
    planes: PlaneRaster
    folds_by: str

    @classmethod
    def of(
        cls, measure: MeasureSettings, grid: Grid, size_l0: Size, card: WeightsCard, cores: int
    ) -> "QualityCheck | None":
        """Return the check that the settings ask for, None where they ask for none.

        Parameters
        ----------
        measure : MeasureSettings
        grid : Grid
            Of the network.
        size_l0 : Size
            Of the slide.
        card : WeightsCard
            Which may name a network that tells folds.
        cores : int
            Processor cores for it.

        Raises
        ------
        WeightsError
            Where that network cannot be used.
        SettingsError
            Where OpenVINO, which runs it, cannot be imported.
        """
        if measure.quality == "off":
            return None
        extent, stated = grid.extent(size_l0), card.folds
        return cls(
            settings=measure.quality_thresholds,
            excludes=measure.quality == "exclude",
            raster=MeasureRaster.empty(extent, grid.pixel_um),
            pixel_um=grid.pixel_um,
            folds=load_fold_network(stated, cores) if stated else None,
            planes=PlaneRaster.empty(extent),
            folds_by=f"network {stated.name}, SHA-256 {stated.sha256}" if stated else RULES,
        )

    def take(self, result: TileResult) -> None:
        """Keep what was measured on a tile; its cells are not looked at."""
        if result.measures is not None:
            self.raster.put(result.tile.core, result.tile.read, result.measures)
        if result.planes is not None:
            self.planes.put(result.tile.core, result.tile.read, result.planes)

    def judge(
        self,
        folder: Path,
        overview: NDArray[np.uint8],
        tissue: TissueMap,
        stains: StainMatrix,
    ) -> QualityFound:
        """Judge the slide once all tiles are in, and keep the map of causes and the densities in its folder.

        Parameters
        ----------
        folder : Path
        overview : ndarray, shape (H, W, 3), uint8
            On the grid of ``tissue``.
        tissue : TissueMap
            Everything that was found; edges of tissue are its edges, whatever was drawn.
        stains : StainMatrix
            As used.

        Raises
        ------
        OutputError
            Where they cannot be written.
        """
        folds = None if self.folds is None else self.folds.chances(self.planes, self.pixel_um)
        save_quality(folder, find_causes(overview, tissue, self.raster, stains.white, self.settings, folds))
        save_mean_density(folder, self.raster.mean_density())
        controls = propose_control(overview, tissue, stains, self.settings)
        return QualityFound(
            excludes=self.excludes,
            thresholds=self.settings,
            controls=controls,
            step_um=self.raster.step_um,
            folds_by=self.folds_by,
        )


def judge_places(
    folder: Path,
    tissue: TissueMap,
    regions: Regions,
    named: Sequence[int],
    found: QualityFound,
    colours: SlideColours,
) -> QualityUsed:
    """Return what must be said of the part of a slide that people left in, from what its folder keeps.

    Parameters
    ----------
    folder : Path
    tissue : TissueMap
        Everything that was found.
    regions : Regions
    named : sequence of int
        Fragments that are this section; empty for all.
    found : QualityFound
    colours : SlideColours
        Of the slide.

    Raises
    ------
    OutputError
        Where what was kept cannot be read back.
    """
    quality = load_quality(folder, tissue)
    placed, _ = place_tissue(tissue.fragments, tissue.grid, regions, named)
    counted = np.unique(tissue.fragments[placed.analysed])
    # Who names the section's fragments has said what the others are.
    controls = () if named else _still_counted(found.controls, counted)
    findings = summarise(
        quality,
        TissueMap(placed.analysed.astype(np.int16), tissue.grid),
        load_mean_density(folder, found.step_um),
        colours,
        controls,
        found.thresholds,
    )
    on_glass = quality.areas_um2(~tissue.mask).get(Cause.PEN, 0.0)
    return QualityUsed(found=found, findings=replace(findings, pen_on_glass_um2=on_glass))


def quality_notes(used: QualityUsed) -> Iterator[str]:
    """Yield the sentences that must stand beside a slide's figures.

    What is left out stands among what was not analysed. The edge band is not told: every slide has one, and its share
    says how the tissue is shaped; ``slide.json`` states it.

    Examples
    --------
    >>> found = QualityFound(
    ...     excludes=True, thresholds=QualitySettings(), controls=(), step_um=8.0
    ... )
    >>> used = QualityUsed(found=found, findings=QualityFindings(shares={"pen": 0.1, "fold": 0.02}))
    >>> list(quality_notes(used))
    ['Quality control found fold (2.0 % of the tissue); it was only reported: cells and area there were counted.']
    """
    silent = {CAUSE_WORDS[cause] for cause in (*used.excluded, Cause.EDGE)}
    told = {words: share for words, share in used.findings.shares.items() if words not in silent}
    if told:
        shares = ", ".join(f"{words} ({_percent(share)} of the tissue)" for words, share in told.items())
        it = "it was" if len(told) == 1 else "they were"
        yield f"Quality control found {shares}; {it} only reported: cells and area there were counted."
    if used.findings.pen_on_glass_um2:
        yield f"Pen lies on {used.findings.pen_on_glass_um2 / 1e6:.2g} mm² of glass beside the tissue."
    yield from used.findings.flags


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %" if share >= 0.0005 else "under 0.1 %"


def _still_counted(proposals: Sequence[ControlProposal], counted: NDArray[np.int16]) -> tuple[ControlProposal, ...]:
    """Return the proposals of which something is analysed: what was drawn as control or left out needs no flag."""
    return tuple(one for one in proposals if np.isin(one.fragments, counted).any())
