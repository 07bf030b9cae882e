"""A run as it goes on: one line a slide, and on a terminal a bar over all with the time left and what is running."""

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from rich.console import Group
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.text import Text

from ihc_quant.batch.run import RunProgress, RunWatch
from ihc_quant.batch.run_summary import SlideLine, ended_line, time_in_words
from ihc_quant.cli.console import errors, note, printable


class LoggedRun(RunWatch):
    """Prints one line a slide that has ended, for terminals and log files alike."""

    def planned(self, words: str, notes: Sequence[str], total: int) -> None:  # noqa: ARG002 - for a bar
        """See ``RunWatch``."""
        for line in (words, *notes):
            note(line)

    def ended(self, line: SlideLine, progress: RunProgress, trace: str) -> None:
        """See ``RunWatch``."""
        left = "" if progress.seconds_left is None else f", {time_in_words(progress.seconds_left)} left"
        after = left if progress.ended < progress.total else ""
        note(f"[{progress.ended}/{progress.total}{after}] {ended_line(line)}")
        if line.state is not None and line.state.fault:
            sys.stderr.write(printable(trace.rstrip()) + "\n")
            note("This is a fault of ihc-quant, not of your data. Please report it with the lines above.")


class ShownRun(LoggedRun):
    """Shows what is running below the lines, on a terminal."""

    def __init__(self) -> None:
        left = TextColumn("{task.fields[left]}", markup=False)
        columns = (BarColumn(), MofNCompleteColumn(), TextColumn("slides"), TimeElapsedColumn(), left)
        self._whole = Progress(*columns, console=errors)
        self._task = self._whole.add_task("all", total=None, left="")
        self._running: dict[str, float] = {}

    def planned(self, words: str, notes: Sequence[str], total: int) -> None:
        """See ``RunWatch``."""
        self._whole.update(self._task, total=total)
        super().planned(words, notes, total)

    def __rich__(self) -> Group:
        """Return the bar over all and a line for each slide that runs."""
        now = time.monotonic()
        lines = [
            Text(printable(f"  {name}: running, {time_in_words(now - since)}")) for name, since in self._running.items()
        ]
        return Group(self._whole, *lines)

    def started(self, line: SlideLine) -> None:
        """See ``RunWatch``."""
        self._running[line.step.slide_id] = time.monotonic()

    def ended(self, line: SlideLine, progress: RunProgress, trace: str) -> None:
        """See ``RunWatch``."""
        self._running.pop(line.step.slide_id, None)
        left = "" if progress.seconds_left is None else f"{time_in_words(progress.seconds_left)} left"
        self._whole.update(self._task, completed=progress.ended, total=progress.total, left=left)
        super().ended(line, progress, trace)


@contextmanager
def run_progress() -> Iterator[RunWatch]:
    """Follow a run on stderr."""
    if not errors.is_terminal:
        yield LoggedRun()
        return
    shown = ShownRun()
    with Live(get_renderable=lambda: shown, console=errors, transient=True, refresh_per_second=2):
        yield shown
