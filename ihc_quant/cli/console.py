"""What all commands share: where words go, how errors are told, which exit code they give."""

import functools
import json
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NoReturn, ParamSpec, TypeVar

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from ihc_quant.errors import IhcQuantError, SlideError

P = ParamSpec("P")
R = TypeVar("R")

EXIT_DONE = 0
"""Done. A slide without tissue is done, too: its result says so."""
EXIT_BUG = 1
"""An error that should not happen; the traceback helps to report it."""
EXIT_CANNOT_START = 2
"""Usage, settings, weights, manifest or output folder are wrong; nothing was scored."""
EXIT_SLIDE_FAILED = 3
"""At least one slide could not be scored; all others were."""
EXIT_INTERRUPTED = 130
"""Stopped by the user."""

EXIT_CODES = (
    "Exit codes: 0 done (also where no tissue was found), 1 unexpected error, 2 usage, settings, weights, manifest or "
    "output are wrong, 3 a slide could not be scored, 130 interrupted."
)
"""For the help of the program."""

errors = Console(stderr=True, highlight=False, soft_wrap=True)
"""Logs, progress and errors go to stderr, so that stdout can be read by scripts."""


def say(line: str) -> None:
    """Print a line for people on stdout, as it is."""
    typer.echo(line)


def say_json(values: Mapping[str, Any]) -> None:
    """Print JSON on stdout."""
    typer.echo(json.dumps(values, indent=2, ensure_ascii=False, allow_nan=False))


def note(line: str) -> None:
    """Print a line for people on stderr, as it is."""
    errors.print(escape(line))


def fail(error: IhcQuantError) -> NoReturn:
    """Tell an error in its own sentence and end with its exit code."""
    errors.print(f"[bold red]error[/] {escape(str(error))}")
    raise typer.Exit(EXIT_SLIDE_FAILED if isinstance(error, SlideError) else EXIT_CANNOT_START)


def plainly(command: Callable[P, R]) -> Callable[P, R]:
    """Turn the errors of a command into one sentence and an exit code."""

    @functools.wraps(command)
    def told(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return command(*args, **kwargs)
        except IhcQuantError as error:
            fail(error)
        except KeyboardInterrupt:
            note("interrupted; results that were whole are kept")
            raise typer.Exit(EXIT_INTERRUPTED) from None
        except (typer.Exit, typer.Abort):
            raise
        except Exception:  # noqa: BLE001 - the last boundary: a bug is shown whole
            traceback.print_exc(file=sys.stderr)
            note("This is a fault of ihc-quant, not of your data. Please report it with the lines above.")
            raise typer.Exit(EXIT_BUG) from None

    return told


@contextmanager
def tile_progress(label: str) -> Iterator[Callable[[int, int], None]]:
    """Show a bar over the tiles of a slide on stderr; yields the function to call with (done, total)."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("tiles"),
               TimeRemainingColumn())  # fmt: skip
    with Progress(*columns, console=errors, transient=True) as progress:
        task = progress.add_task(escape(label), total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)
