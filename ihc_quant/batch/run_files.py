"""The files in which a run can be followed: ``summary.md`` and ``run.json``, written anew, and ``run.log``, added."""

import json
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from ihc_quant.batch.outputs import write_whole, writing
from ihc_quant.batch.run_summary import RunRecord, run_json, summary_text

SUMMARY_FILE = "summary.md"
RUN_FILE = "run.json"
LOG_FILE = "run.log"

LEAST_PAUSE_S = 2.0
"""Least time between two writings of the summary while slides end."""

PAUSE_FACTOR = 20.0
"""The pause in times of what writing costs, so that a long list of slides takes at most a twentieth of the time."""


def utc_now(unit: Literal["seconds", "milliseconds"] = "seconds") -> str:
    """Return the time, as ISO 8601 in UTC."""
    return datetime.now(UTC).isoformat(timespec=unit)


class RunFiles:
    """Writes the files of a run.

    Parameters
    ----------
    out : Path
        Output folder.
    record : RunRecord
        What is written; changed by the run.
    clock : callable
        Seconds, monotonic.
    """

    def __init__(self, out: Path, record: RunRecord, clock: Callable[[], float] = time.monotonic) -> None:
        self._out = out
        self._record = record
        self._clock = clock
        self._not_before = 0.0

    def follow(self, *, now: bool = False) -> None:
        """Write the summary again, unless that was done a moment ago.

        Parameters
        ----------
        now : bool
            Whether it is written all the same.

        Raises
        ------
        OutputError
            Where it cannot be written.
        """
        began = self._clock()
        if not now and began < self._not_before:
            return
        at = utc_now()
        text = json.dumps(run_json(self._record, at), indent=1, ensure_ascii=False, allow_nan=False)
        write_whole(self._out / RUN_FILE, (text + "\n").encode())
        write_whole(self._out / SUMMARY_FILE, summary_text(self._record, at).encode())
        ended = self._clock()
        self._not_before = ended + max(LEAST_PAUSE_S, PAUSE_FACTOR * (ended - began))

    def log(self, text: str) -> None:
        """Add an entry to the log; it may name paths.

        Raises
        ------
        OutputError
            Where it cannot be written.
        """
        path = self._out / LOG_FILE
        entry = f"{utc_now('milliseconds')} {text.rstrip()}\n".encode("utf-8", "replace")
        with writing(path), path.open("ab") as stream:
            stream.write(entry)
