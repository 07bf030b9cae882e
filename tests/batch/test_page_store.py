"""What a page draws is read back as it was kept."""

from pathlib import Path

import numpy as np
import pytest

from ihc_quant.batch.page_store import load_density, load_od_histogram, save_density, save_od_histogram
from ihc_quant.domain.od_histogram import OdHistogram
from ihc_quant.errors import OutputError
from ihc_quant.report.density_map import DensityMap


def test_a_density_map_is_kept(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    analysed = rng.random((20, 30)) > 0.3
    density = DensityMap((rng.random((20, 30)) * 5000 * analysed).astype(np.float32), analysed, 8.0)
    save_density(tmp_path, density)
    kept = load_density(tmp_path)
    assert kept is not None
    assert kept.pixel_um == 8.0
    assert np.array_equal(kept.analysed, analysed)
    assert np.allclose(kept.per_mm2, density.per_mm2, rtol=1e-3)


def test_the_same_map_gives_the_same_bytes(tmp_path: Path) -> None:
    density = DensityMap(np.ones((3, 3), np.float32), np.ones((3, 3), np.bool_), 8.0)
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        save_density(tmp_path / name, density)
    assert (tmp_path / "a" / "density.npz").read_bytes() == (tmp_path / "b" / "density.npz").read_bytes()


def test_a_histogram_is_kept(tmp_path: Path) -> None:
    histogram = OdHistogram(0.5, (3, 0), (0, 4), (0.2, 0.4, 0.6), "mean of the cell", by_network=True)
    save_od_histogram(tmp_path, histogram)
    assert load_od_histogram(tmp_path) == histogram


def test_what_was_not_kept_is_absent(tmp_path: Path) -> None:
    assert load_density(tmp_path) is None
    assert load_od_histogram(tmp_path) is None


@pytest.mark.parametrize("text", [b"", b"PK\x03\x04 half", b'{"step_od": 0}', b"[]"])
def test_what_is_damaged_is_named(tmp_path: Path, text: bytes) -> None:
    (tmp_path / "density.npz").write_bytes(text)
    (tmp_path / "histogram.json").write_bytes(text)
    with pytest.raises(OutputError, match=r"density\.npz"):
        load_density(tmp_path)
    with pytest.raises(OutputError, match=r"histogram\.json"):
        load_od_histogram(tmp_path)
