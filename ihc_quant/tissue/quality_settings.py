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
    fold_weak, fold_strong : float
        Density over that of the denser side, the least of floor and channels: two layers add to 2.0 where both are
        alike. All of a fold reaches the first, half of it the second.
    fold_spread : float
        Largest rise of a channel over the smallest: ink and a T zone raise one more than another.
    fold_fall, fold_clear : float
        Floor just inside a fold over that just outside: of the medians, and of lower to upper quartile. Painted folds
        have 2.1 and 1.46, follicles in fat 1.85 and 1.41.
    fold_edge : float
        The same at a place where the edge of a fold is sharp.
    fold_sharp : float
        Least share of a fold's edge that is sharp. Painted folds have 0.8 to 1.0, follicles in fat 0.3 to 0.6.
    fold_all_sharp : float
        Share from which a fold need not be denser than its surroundings by ``fold_fall`` and ``fold_clear`` as well.
    fold_od : float
        Least floor of a fold; paler ones hide no cells.
    fold_pale_od : float
        Least mean density of tissue that a fold is compared with, and of the fold: fat and glass tell nothing.
    fold_least_um2 : float
        Smallest fold.
    fold_widest_um : float
        Widest fold; a wider dark place is a follicle or a stained region.
    fold_longer : float
        Least length of a fold over its width.
    fold_chance : float
        Least chance that the fold network gives to a place of a fold. The settings above are of the rules, which tell
        folds where the weights name no such network.
    fold_sure : float
        Least chance somewhere in each fold.
    fold_chance_um2 : float
        Smallest fold that the network tells.
    blur_ratio : float
        Peak of density at 1 to 2 µm over that at 2 to 3 µm (differences of Gaussians). A sharp edge has 1, with blur of
        2 µm 0.45. All of a blurred place lies below: half way between sharp lymph node (1.19 in the median) and blur of
        2 to 3 µm (0.60 and 0.48), so that its border lies at the seam.
    blur_strong : float
        Half of a blurred place lies below. In the median of four sets blur of 1 µm, a soft scan, has 0.70 (Ki-67 on
        clear ground) to 0.91 (lymph node), blur of 2 µm 0.52 to 0.60.
    blur_least : float
        Peak at 2 to 3 µm at which a square counts half: smooth fat and glass say little about focus.
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
    fold_weak: float = 1.3
    fold_strong: float = 1.55
    fold_spread: float = 1.8
    fold_fall: float = 1.95
    fold_clear: float = 1.4
    fold_edge: float = 1.55
    fold_sharp: float = 0.65
    fold_all_sharp: float = 0.95
    fold_od: float = 0.06
    fold_pale_od: float = 0.05
    fold_least_um2: float = 3_500.0
    fold_widest_um: float = 200.0
    fold_longer: float = 1.8
    fold_chance: float = 0.55
    fold_sure: float = 0.75
    fold_chance_um2: float = 1_500.0
    blur_ratio: float = 0.78
    blur_strong: float = 0.65
    blur_least: float = 0.011
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
        if self.fold_strong < self.fold_weak:
            raise ValueError("fold_strong is not below fold_weak")
        if not self.fold_sharp < self.fold_all_sharp <= 1:
            raise ValueError("fold_sharp lies below fold_all_sharp, a share of at most 1")
        if not self.fold_chance <= self.fold_sure <= 1:
            raise ValueError("fold_chance is not above fold_sure, a chance of at most 1")
        if self.blur_ratio < self.blur_strong:
            raise ValueError("blur_ratio is not below blur_strong")
        if Cause.CLEAN in self.excluded:
            raise ValueError("clean tissue is not a cause to leave out")
        if self.flagged_share > 1:
            raise ValueError(f"flagged_share lies within 0 to 1, got {self.flagged_share}")


DEFAULT_QUALITY = QualitySettings()
