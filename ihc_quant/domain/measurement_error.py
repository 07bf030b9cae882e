"""The network's own error, as measured against people on images that it did not learn from."""

from dataclasses import dataclass

MOST_LOG = 20.0
"""No number of cells is off by a factor beyond e to this."""


@dataclass(frozen=True, slots=True)
class LogCountError:
    """Error of the number of cells in an image, over the images of one source that hold enough true cells.

    Attributes
    ----------
    images, patients : int
        Images that were taken, and the patients they come from, as in ``MeasurementError``.
    least_cells : int
        Images with fewer true cells were left out: half a cell more or less would decide their error.
    cells : int
        True cells of the images that were taken.
    bias_log : float
        Mean over the images of ln((found + ½) / (true + ½)).
    sd_log : float
        Standard deviation (n − 1) of that logarithm over the images; 0 for one image.
    """

    images: int
    patients: int
    least_cells: int
    cells: int
    bias_log: float
    sd_log: float

    def __post_init__(self) -> None:
        if not 1 <= self.patients <= self.images:
            raise ValueError(f"{self.images} images cannot come from {self.patients} patients")
        if self.least_cells < 1 or self.cells < self.least_cells * self.images:
            raise ValueError(f"{self.cells} cells are too few for {self.images} images of {self.least_cells} or more")
        if not abs(self.bias_log) <= MOST_LOG or not 0 <= self.sd_log <= MOST_LOG:
            raise ValueError(f"no number of cells is off by e to the {self.bias_log} ± {self.sd_log}")


@dataclass(frozen=True, slots=True)
class PatientCalls:
    """How cells of one patient were called, of those that people marked and the network found.

    Attributes
    ----------
    positive_cells, negative_cells : int
        By people's marks.
    sensitivity, specificity : float or None
        Share of them that the network called as people did; None without such cells.
    """

    positive_cells: int
    negative_cells: int
    sensitivity: float | None
    specificity: float | None

    def __post_init__(self) -> None:
        for cells, share in ((self.positive_cells, self.sensitivity), (self.negative_cells, self.specificity)):
            require_share(cells, share)


@dataclass(frozen=True, slots=True)
class MeasurementError:
    """Error of the positive percentage, of single calls and of the number of cells on the images of one source.

    Attributes
    ----------
    source : str
        Name of the image set, as among the card's sources.
    marker, tissue : str
        What the images show, as a page prints it: ``"CD138"``, ``"marrow"``.
    how : str
        How it was measured: ``"out-of-fold, by patient"``.
    images : int
        Images with an error of their own.
    patients : int
        Patients they come from, or slides where patients are not known; images of one patient err alike.
    bias_points : float
        Mean over the images of the found less the true percentage of positive cells.
    sd_points : float
        Standard deviation (n − 1) of that difference over the images; 0 for one image.
    positive_cells, negative_cells : int
        Cells that people marked positive and negative and that the network found.
    sensitivity, specificity : float or None
        Share of them that the network called as people did; None without such cells.
    positive_count, cell_count : LogCountError or None
        Error of the number of positive cells, and of all cells; None where no image holds enough of them, and in cards
        that were written before it was measured.
    by_patient : tuple of PatientCalls
        The calls of each patient; empty where they are not known by patient.
    """

    source: str
    marker: str
    tissue: str
    how: str
    images: int
    patients: int
    bias_points: float
    sd_points: float
    positive_cells: int
    negative_cells: int
    sensitivity: float | None
    specificity: float | None
    positive_count: LogCountError | None = None
    cell_count: LogCountError | None = None
    by_patient: tuple[PatientCalls, ...] = ()

    def __post_init__(self) -> None:
        if not 1 <= self.patients <= self.images:
            raise ValueError(f"{self.images} images cannot come from {self.patients} patients")
        if not abs(self.bias_points) <= 100 or not 0 <= self.sd_points <= 100:
            raise ValueError(f"no percentage is off by {self.bias_points} ± {self.sd_points} points")
        for cells, share in ((self.positive_cells, self.sensitivity), (self.negative_cells, self.specificity)):
            require_share(cells, share)


def require_share(cells: int, share: float | None) -> None:
    """Raise ``ValueError`` where a share is none of so many cells."""
    if cells < 0 or (share is None) != (cells == 0):
        raise ValueError(f"{cells} cells make no share of {share}")
    if share is not None and not 0 <= share <= 1:
        raise ValueError(f"a share lies between 0 and 1, got {share}")
