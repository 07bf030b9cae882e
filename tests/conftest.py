"""Fixtures shared by all tests."""

from pathlib import Path

import pytest

SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of real labelled images and slides; tests that use it skip where it is missing."""
    if not SHARED_DATA.is_dir():
        pytest.skip("the real images of ../shared/data are not here")
    return SHARED_DATA
