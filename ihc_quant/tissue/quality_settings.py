"""Thresholds of quality control and where each comes from."""

from dataclasses import dataclass

from ihc_quant.domain.quality import Cause


@dataclass(frozen=True, slots=True)
class QualitySettings:
    """Thresholds of quality control. Densities are log10, lengths µm, areas µm².

    Chosen on artefacts painted onto two of the four lymph-node pictures of ``benchmarks/quality.py``; what was seen
    there stands with each. None is validated on slides that people marked.

    Attributes
    ----------
    excluded : tuple of Cause
        Causes whose cells and area are left out; the others are told only. Folds and saturated stain can be an
        epidermis that is stained from end to end, and the edge band holds the epidermis of a skin punch.
    pen_window_um : float
        Ink is what remains after a grey opening of this width: between cells of 7 to 10 µm there is always a paler
        place, under ink there is none.
    pen_od : float
        Least opened density of the strongest channel of coloured ink; half of the palest painted stroke.
    pen_grey_od : float
        Least opened mean density of black or grey ink; crowded lymphocytes reach 0.2.
    pen_grey_chroma : float
        Largest spread of the channels of black ink, of its mean; hematoxylin has 0.75, DAB 0.9, an even mix 0.32.
    pen_dark_od : float
        Opened density of the strongest channel above which a place that touches ink is ink as well.
    pen_um2 : float
        Smallest pen mark, a dot of a fine pen.
    fold_probable, fold_sure : float
        Probability of ``fold_network``: all of a fold reaches the first, some square of it the second. With 0.7 for
        the second 4 % of a clean node was told as fold, with 0.98 none, and no sample without a fold of a fresh lot.
    fold_rise : float
        Least density of a fold over that of the denser side, the least of floor and channels, in the median of its
        squares: two layers add to 2.0 where both are alike. Of painted folds 0.995 of the area has 1.4.
    fold_spread : float
        Largest rise of a channel over the smallest, in the median: ink and a T zone raise one more than another.
        Painted folds have 1.1, and 0.996 of their area below 1.4.
    fold_least_um2 : float
        Smallest fold.
    blur_ratio : float
        Root of the energy of density at 1 to 2 µm over that at 2 to 3 µm (differences of Gaussians). Squares of sharp
        tissue have a median of 1.0 to 1.2, those with blur of 2 µm 0.52, of 3 µm 0.41.
    blur_least : float
        Root energy at 2 to 3 µm at which a square counts half: smooth fat and glass say little about focus.
    blur_most : float
        Root energy at 2 to 3 µm above which nothing is out of focus: blur of 2 µm leaves at most 0.03 of strong CD3.
    blur_um2 : float
        Smallest blurred place.
    blank_od : float
        Mean density below which a place within the tissue mask is empty, as in a bubble.
    saturated_od : float
        Floor of density above which cells can no longer be told apart; a T zone of strong CD3 has 0.25, epidermis
        that is stained from end to end 0.24, two crops that drown in brown 0.3 to 0.4 in the median.
    edge_um : float
        Width of the band along edges of tissue; about two cells.
    control_gap_um : float
        Least distance of control tissue from the biopsy; levels of one block mostly lie closer.
    control_od : float
        Difference of mean chromogen density that calls a fragment of another make; a third of it for hematoxylin, more
        for the densest tenth. Overlapping parts of one node differ by up to 0.055.
    control_times, control_least : float
        Where fragments repeat one another, this many times their usual difference is enough, down to this share of
        ``control_od``.
    control_um2 : float
        Least tissue of a control; crumbs are none.
    flagged_share : float
        A slide with more of its tissue excluded is flagged.
    flagged_degrees : float
        A slide whose own stain vectors lie farther from the reference is flagged. On 138 images with DAB of four sets
        (CD138, Ki-67, CD3 and CD8, three scanners and more) it was 4° to 12° and never above 12.4°, and from 20° on no
        estimate is believed. AEC lies 8.5° from DAB: no limit finds a wrong chromogen, which is why it must be stated.
    flagged_white : float
        A slide is flagged where a channel of its glass differs by a larger share from ``EXPECTED_WHITE``: within it the
        effect of light on the figures was measured (``benchmarks/accuracy.py``, 8 % either way), beyond it was not.
    pale_od : float
        A slide is flagged as pale where nine tenths of its tissue have less density.
    """

    excluded: tuple[Cause, ...] = (Cause.PEN, Cause.BLANK, Cause.BLUR)
    pen_window_um: float = 40.0
    pen_od: float = 0.2
    pen_grey_od: float = 0.3
    pen_grey_chroma: float = 0.3
    pen_dark_od: float = 0.9
    pen_um2: float = 8_000.0
    fold_probable: float = 0.3
    fold_sure: float = 0.98
    fold_rise: float = 1.35
    fold_spread: float = 1.5
    fold_least_um2: float = 3_500.0
    blur_ratio: float = 0.66
    blur_least: float = 0.005
    blur_most: float = 0.05
    blur_um2: float = 8_000.0
    blank_od: float = 0.008
    saturated_od: float = 0.4
    edge_um: float = 20.0
    control_gap_um: float = 1_000.0
    control_od: float = 0.06
    control_times: float = 3.0
    control_least: float = 0.6
    control_um2: float = 50_000.0
    flagged_share: float = 0.2
    flagged_degrees: float = 15.0
    flagged_white: float = 0.08
    pale_od: float = 0.08

    def __post_init__(self) -> None:
        for name in self.__dataclass_fields__:
            value = getattr(self, name)
            if name != "excluded" and not value > 0:
                raise ValueError(f"{name} is above 0, got {value}")
        if not self.fold_probable <= self.fold_sure < 1:
            raise ValueError("fold_sure is a probability below 1 and not below fold_probable")
        if self.blur_most <= self.blur_least:
            raise ValueError("blur_least lies below blur_most")
        if Cause.CLEAN in self.excluded:
            raise ValueError("clean tissue is not a cause to leave out")
        if self.flagged_share > 1:
            raise ValueError(f"flagged_share lies within 0 to 1, got {self.flagged_share}")


DEFAULT_QUALITY = QualitySettings()
