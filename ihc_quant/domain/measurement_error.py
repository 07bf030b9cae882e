"""The network's own error, as measured against people on images that it did not learn from."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class MeasurementError:
    """Error of the positive percentage and of single calls on the images of one source.

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

    def __post_init__(self) -> None:
        if not 1 <= self.patients <= self.images:
            raise ValueError(f"{self.images} images cannot come from {self.patients} patients")
        if not abs(self.bias_points) <= 100 or not 0 <= self.sd_points <= 100:
            raise ValueError(f"no percentage is off by {self.bias_points} ± {self.sd_points} points")
        for cells, share in ((self.positive_cells, self.sensitivity), (self.negative_cells, self.specificity)):
            if cells < 0 or (share is None) != (cells == 0):
                raise ValueError(f"{cells} cells make no share of {share}")
            if share is not None and not 0 <= share <= 1:
                raise ValueError(f"a share lies between 0 and 1, got {share}")
