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
    pen_um2 : float
        Smallest pen mark, a dot of a fine pen.
    fold_weak, fold_strong : float
        Floor of density (the palest place within 10 µm) over that of the tissue around: two layers add to 2.0 where
        both are alike.
    fold_trim : float
        Least floor of a part of a fold, of the upper quartile of the whole piece.
    fold_fall, fold_clear : float
        Floor just inside a fold over that just outside: of the medians, and of lower to upper quartile. A dark T zone
        has 1.7 and 1.3, painted folds 2.1 and 1.5.
    fold_od : float
        Least floor of a fold; paler ones hide no cells.
    fold_around_um : float
        Width of the neighbourhood that a fold is compared with.
    fold_um2 : float
        Smallest fold.
    fold_widest_um : float
        Widest fold; a wider dark place is a follicle or a stained region.
    fold_longer : float
        Least length of a fold over its width.
    blur_ratio : float
        Root of the energy of density at 1 to 2 µm over that at 2 to 3 µm (differences of Gaussians). Sharp tissue, pale
        stroma included, has 0.72 and more; blur of 3 µm leaves 0.40.
    blur_least : float
        Root energy at 2 to 3 µm below which nothing can be said about focus: smooth fat, glass.
    blur_um2 : float
        Smallest blurred place.
    blur_grown : int
        Squares of 8 µm by which blurred places are grown.
    blank_od : float
        Mean density below which a place within the tissue mask is empty, as in a bubble.
    saturated_od : float
        Floor of density above which cells can no longer be told apart; a T zone of strong CD3 has 0.25.
    edge_um : float
        Width of the band along edges of tissue; about two cells.
    control_gap_um : float
        Least distance of control tissue from the biopsy; levels of one block mostly lie closer.
    control_od : float
        Least difference of mean chromogen or hematoxylin density that calls a fragment of another make.
    flagged_share : float
        A slide with more of its tissue excluded is flagged.
    flagged_degrees : float
        A slide whose stain vectors lie farther from the reference is flagged; half of the angle of hematoxylin to DAB.
    pale_od : float
        A slide is flagged as pale where nine tenths of its tissue have less density.
    """

    excluded: tuple[Cause, ...] = (Cause.PEN, Cause.BLANK, Cause.BLUR)
    pen_window_um: float = 40.0
    pen_od: float = 0.2
    pen_grey_od: float = 0.3
    pen_grey_chroma: float = 0.3
    pen_um2: float = 8_000.0
    fold_weak: float = 1.4
    fold_strong: float = 1.6
    fold_trim: float = 0.65
    fold_fall: float = 1.8
    fold_clear: float = 1.45
    fold_od: float = 0.06
    fold_around_um: float = 480.0
    fold_um2: float = 8_000.0
    fold_widest_um: float = 220.0
    fold_longer: float = 1.8
    blur_ratio: float = 0.66
    blur_least: float = 0.003
    blur_um2: float = 8_000.0
    blur_grown: int = 2
    blank_od: float = 0.008
    saturated_od: float = 0.7
    edge_um: float = 20.0
    control_gap_um: float = 1_000.0
    control_od: float = 0.06
    flagged_share: float = 0.2
    flagged_degrees: float = 18.0
    pale_od: float = 0.08

    def __post_init__(self) -> None:
        for name in self.__dataclass_fields__:
            value = getattr(self, name)
            if name != "excluded" and not value > 0:
                raise ValueError(f"{name} is above 0, got {value}")
        if self.fold_strong < self.fold_weak:
            raise ValueError("fold_strong is not below fold_weak")
        if Cause.CLEAN in self.excluded:
            raise ValueError("clean tissue is not a cause to leave out")
        if self.flagged_share > 1:
            raise ValueError(f"flagged_share lies within 0 to 1, got {self.flagged_share}")


DEFAULT_QUALITY = QualitySettings()
