"""What a run tells while it trains: a log with its curves, TensorBoard where it is installed, and the time left."""

import csv
import importlib
import sys
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from ihc_quant.training.charts import draw_curves


def add_to_log(path: Path, row: Mapping[str, float]) -> None:
    """Add a line to a log, which begins with the names of its columns, and draw ``curves.png`` beside it anew."""
    new = not path.exists() or not path.stat().st_size
    with path.open("a", newline="") as stream:
        writer = csv.DictWriter(stream, row, lineterminator="\n")
        if new:
            writer.writeheader()
        writer.writerow(row)
    draw_curves(read_log(path), path.with_name("curves.png"))


def read_log(path: Path) -> dict[str, list[float]]:
    """Return the columns of a log."""
    with path.open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    return {name: [float(row[name]) for row in rows] for name in rows[0]} if rows else {}


def forget_after(path: Path, step: int) -> None:
    """Drop lines of the log that were written after the checkpoint; they will come again."""
    if path.exists():
        head, *lines = path.read_text().splitlines(keepends=True) or [""]
        path.write_text(head + "".join(line for line in lines if int(line.split(",")[0]) <= step))


class Watch:
    """Shows the progress of a run on stderr, and writes its figures for TensorBoard. To be used in a ``with``.

    On a terminal a bar shows the time left at every step; elsewhere a line says so at every validation.

    Parameters
    ----------
    folder : Path
        Of the run; TensorBoard's files go into ``tensorboard/``.
    step, steps : int
        Where the run stands and how many steps there are.
    """

    def __init__(self, folder: Path, step: int, steps: int) -> None:
        self._board = open_board(folder / "tensorboard", step)
        console = Console(stderr=True)
        self._shown = console.is_terminal
        columns = (
            TextColumn("training"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(elapsed_when_finished=True),
        )
        self._bar = Progress(
            *columns, console=console, disable=not self._shown, redirect_stdout=sys.stdout.isatty(), transient=True
        )
        self._task = self._bar.add_task("", total=steps, completed=step)

    def __enter__(self) -> "Watch":
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()
        if self._board is not None:
            self._board.close()

    def step_taken(self) -> None:
        """Move on by a step."""
        self._bar.advance(self._task)

    def validated(self, row: Mapping[str, float], left_s: float) -> None:
        """Show the figures of a validation and the time left, in seconds."""
        if not self._shown:
            sys.stderr.write(f"step {row['step']:.0f}, {left_s / 60:.0f} min left\n")
            sys.stderr.flush()
        if self._board is not None:
            for name, value in row.items():
                if name != "step":
                    self._board.add_scalar(name, value, int(row["step"]))


def open_board(folder: Path, step: int) -> Any | None:
    """Return TensorBoard's writer, None where TensorBoard is not installed; what came after ``step`` is dropped."""
    try:
        board = importlib.import_module("torch.utils.tensorboard")
    except ImportError:
        return None
    return board.SummaryWriter(log_dir=str(folder), purge_step=step + 1)
