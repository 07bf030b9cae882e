"""A small kill test: a batch that is killed twice and resumed equals one that was not."""

from pathlib import Path

import kill
import pytest

from ihc_quant.network.card import WEIGHTS_FOLDER


@pytest.mark.skipif(not (WEIGHTS_FOLDER / "default.json").is_file(), reason="the default weights are not here")
def test_killed_batch_goes_on_and_equals_a_whole_one(tmp_path: Path) -> None:
    result = kill.kill_and_resume(tmp_path, slides=3, kills=2, seed=1, side_px=256, workers=1, command="batch")
    assert result.kills == 2
    assert (result.different, result.again, result.left) == ([], [], [])


def test_results_done_again_are_noticed() -> None:
    before = {"s1": (1, 10), "s2": (2, 10)}
    assert kill.written_again(before, {"s1": (1, 10), "s2": (3, 11), "s3": (4, 11)}) == {"s2"}
    assert kill.written_again(before, {"s1": (1, 10)}) == {"s2"}
    assert kill.begun_again(before, ["2026-01-01T00:00:00+00:00 s1: measured in 2.0 s"]) == {"s1"}
    assert kill.begun_again(before, ["2026-01-01T00:00:00+00:00 s3: measured in 2.0 s"]) == set()
