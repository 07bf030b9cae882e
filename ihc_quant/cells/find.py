"""Maps to cells: the post-processing of one tile."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ihc_quant.cells.absorption import find_holes
from ihc_quant.cells.instances import grow_nuclei
from ihc_quant.cells.measurement import measure_nuclei, measure_stain
from ihc_quant.cells.outlines import trace_outlines
from ihc_quant.cells.ownership import in_core
from ihc_quant.cells.peaks import find_peaks, mean_around
from ihc_quant.cells.rings import add_rings
from ihc_quant.domain.cell_table import CellTable
from ihc_quant.domain.geometry import Grid
from ihc_quant.domain.maps import CellMaps
from ihc_quant.domain.stain import StainMatrix
from ihc_quant.domain.tile import TileImage
from ihc_quant.stain.unmixing import chromogen_density

FragmentAt = Callable[[NDArray[np.float64], NDArray[np.float64]], NDArray[np.int16]]
"""Number of the tissue fragment at places of the level-0 plane (x_l0, y_l0); 0 outside tissue."""


@dataclass(frozen=True, slots=True)
class CellSettings:
    """How maps become cells. All of it is measurement: a change needs the maps again.

    Attributes
    ----------
    centre_threshold : float
        Least height of a peak of the centre map, after smoothing. The weights' card states the value that gave the
        best F1 in validation; 0.3 stands until it does.
    centre_smoothing_um : float
        Standard deviation of the Gaussian the centre map is smoothed with before its peaks are found. People's marks
        scatter by a µm or two and so does the map. More finds the large cells of marrow a little better still (F1 by
        0.01 at 1.5 µm), but merges small lymphocytes where they are crowded.
    peak_distance_um : float
        Least distance of two cells: a little over half the diameter of the smallest lymphocyte (7 µm), as cells overlap
        in the thickness of the section. The training's peaks (2 µm standard deviation) merge below it anyway.
    presence_threshold, presence_radius_um : float
        Least mean of the extent map this near to a peak. The height of a peak falls where the network is sure of a cell
        and unsure of its place, as among nuclei hidden under chromogen; whether a nucleus is there it still knows.
        From the weights' card; 0 asks for nothing.
    extent_threshold : float
        Least extent of a pixel of a nucleus: more likely inside than outside.
    nucleus_radius_um : float
        No nucleus reaches farther from its peak; a disc of this radius has 452 µm², just above the 400 µm² at which
        QuPath's detection stops by default.
    valley_um : float
        How many µm of distance a drop of the extent from 1 to 0 is worth where nuclei meet. At about a nucleus'
        radius a valley of half depth moves the border by one or two µm, and noise moves it by less than a pixel.
    least_area_um2 : float
        A smaller nucleus is taken as not outlined (QuPath's least area by default is 10 µm²) and gets a disc of
        ``default_diameter_um``, less what its neighbours own, so that every cell found has an area.
    hole_od, hole_share : float
        A nucleus whose mean optical density (log10, over the three channels) is below ``hole_od`` and below this share
        of its ring's is a hole in stained tissue and dropped. Pale hematoxylin alone drops nothing, as it is still
        darker than its ring: of 10,312 found nuclei that people marked or the painter knows, none was lost.
    default_diameter_um : float
        Diameter of that disc: a small lymphocyte's nucleus, cut.
    ring_um : float
        Width of the ring around the nucleus. 1.5 to 3 µm suit lymphocytes; QuPath's 5 µm would take the neighbours'
        stain.
    membrane_inside_um : float
        How far the band in which the membrane is looked for reaches into the nucleus; outside it is the ring.
    membrane_cut_od : float
        Mean density from which a sector of that band counts as stained, OD (log10); QuPath's 1+ cut, and measured
        with it whatever the cuts of a later grading are.
    positivity_radius_um : float
        ``p_positive`` is the mean positivity over the pixels of the nucleus this near to the peak: near enough to leave
        out the border, where the map turns from one cell to the next, and wide enough to average noise.
    """

    centre_threshold: float = 0.3
    centre_smoothing_um: float = 1.0
    peak_distance_um: float = 4.0
    presence_threshold: float = 0.0
    presence_radius_um: float = 1.5
    extent_threshold: float = 0.5
    nucleus_radius_um: float = 12.0
    valley_um: float = 4.0
    least_area_um2: float = 10.0
    hole_od: float = 0.09
    hole_share: float = 0.8
    default_diameter_um: float = 6.0
    ring_um: float = 2.0
    membrane_inside_um: float = 1.0
    membrane_cut_od: float = 0.2
    positivity_radius_um: float = 3.0

    def __post_init__(self) -> None:
        for name in ("centre_threshold", "extent_threshold"):
            if not 0 < getattr(self, name) < 1:
                raise ValueError(f"{name} lies between 0 and 1, got {getattr(self, name)}")
        for name in ("peak_distance_um", "nucleus_radius_um", "default_diameter_um", "ring_um"):
            if not 0 < getattr(self, name) <= 50:
                raise ValueError(f"{name} lies above 0 and up to 50 µm, got {getattr(self, name)}")
        if not 0 <= self.presence_threshold < 1:
            raise ValueError(f"presence_threshold lies from 0 to below 1, got {self.presence_threshold}")
        for name in (
            "centre_smoothing_um",
            "presence_radius_um",
            "valley_um",
            "least_area_um2",
            "hole_od",
            "hole_share",
            "membrane_inside_um",
            "positivity_radius_um",
        ):
            if not 0 <= getattr(self, name) <= 1000:
                raise ValueError(f"{name} lies between 0 and 1000, got {getattr(self, name)}")

    @property
    def margin_um(self) -> float:
        """Margin of a tile within which all that touches an owned cell's measurements lies."""
        return self.nucleus_radius_um + max(self.ring_um, self.membrane_inside_um) + 1.0


def find_cells(
    maps: CellMaps,
    image: TileImage,
    stains: StainMatrix,
    grid: Grid,
    fragment_at: FragmentAt,
    settings: CellSettings,
) -> CellTable:
    """Find and measure the cells of one tile.

    A cell belongs to the tile whose core holds the pixel of its peak; its place is the centroid of its nucleus. Cells
    whose centroid lies outside tissue (fragment 0) and holes that were taken for cells (``hole_od``) are
    dropped. Rows are ordered by the peak, row by row. The same
    maps give the same rows however they were cut into tiles, as long as the margin is wide enough.

    Parameters
    ----------
    maps : CellMaps
        Maps over the tile's read box.
    image : TileImage
        Its pixels.
    stains : StainMatrix
        Of the slide; the chromogen of slot 0 is measured.
    grid : Grid
        The network's grid.
    fragment_at : callable
        Tissue fragments, see ``FragmentAt``.
    settings : CellSettings
        Thresholds and sizes.

    Returns
    -------
    CellTable

    Raises
    ------
    ValueError
        Where maps and image differ in shape.
    """
    if maps.centre.shape != image.rgb.shape[:2]:
        raise ValueError(f"maps of {maps.centre.shape} do not fit a tile of {image.rgb.shape[:2]} pixels")
    read, px = image.tile.read, grid.pixel_um
    peaks = find_peaks(
        maps.centre, settings.centre_threshold, settings.peak_distance_um / px, settings.centre_smoothing_um / px
    )
    if settings.presence_threshold:
        presence = mean_around(maps.extent, peaks.row, peaks.col, settings.presence_radius_um / px)
        peaks = peaks.chosen(presence >= np.float32(settings.presence_threshold))
    chosen = np.flatnonzero(in_core(image.tile, peaks.row, peaks.col))
    if len(chosen) == 0:
        return CellTable.empty()
    labels = grow_nuclei(
        maps.extent,
        peaks.row,
        peaks.col,
        peaks.sub_y,
        peaks.sub_x,
        threshold=settings.extent_threshold,
        radius_px=settings.nucleus_radius_um / px,
        valley_px=settings.valley_um / px,
        least_px=settings.least_area_um2 / px**2,
        small_radius_px=settings.default_diameter_um / 2 / px,
    )
    nuclei = measure_nuclei(labels, len(peaks), read.y0, read.x0)
    x_px, y_px = nuclei.centroid_x[chosen], nuclei.centroid_y[chosen]
    fragment = np.asarray(fragment_at(x_px * grid.scale_x, y_px * grid.scale_y), np.int16)
    territory = add_rings(labels, settings.ring_um / px)
    holes = find_holes(territory, image.rgb, stains, len(peaks), settings.hole_od, settings.hole_share)
    kept = ~holes[chosen] & (fragment > 0)
    if not kept.any():
        return CellTable.empty()
    chosen, fragment, x_px, y_px = chosen[kept], fragment[kept], x_px[kept], y_px[kept]
    owned = (chosen + 1).astype(np.int32)
    stain = measure_stain(
        territory,
        chromogen_density(image.rgb, stains),
        maps.positivity,
        nuclei,
        owned,
        peaks.row[chosen] + 0.5 + peaks.sub_y[chosen],
        peaks.col[chosen] + 0.5 + peaks.sub_x[chosen],
        ring_px=settings.ring_um / px,
        inside_px=settings.membrane_inside_um / px,
        membrane_cut_od=settings.membrane_cut_od,
        positivity_radius_px=settings.positivity_radius_um / px,
    )
    outline_xy, outline_start = trace_outlines(
        labels, owned, nuclei.top[chosen], nuclei.start_col[chosen], y_px, x_px, read.y0, read.x0
    )
    return CellTable(
        x_um=x_px * px,
        y_um=y_px * px,
        x_l0=x_px * grid.scale_x,
        y_l0=y_px * grid.scale_y,
        area_um2=(nuclei.area_px[chosen] * px**2).astype(np.float32),
        p_positive=stain.p_positive,
        od_nucleus=stain.od_nucleus,
        od_ring=stain.od_ring,
        od_cell=stain.od_cell,
        od_nucleus_p90=stain.od_nucleus_p90,
        od_ring_p90=stain.od_ring_p90,
        od_cell_p90=stain.od_cell_p90,
        membrane_completeness=stain.membrane_completeness,
        outline_xy=outline_xy,
        outline_start=outline_start,
        tile=np.full(len(chosen), image.tile.index, np.int32),
        fragment=fragment,
    )
