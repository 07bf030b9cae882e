"""What all commands share: where words go, how errors are told, which exit code they give."""

import functools
import json
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, ParamSpec, TypeVar

import typer
from rich.console import Console
from rich.text import Text

from ihc_quant.errors import IhcQuantError, OutputError, SlideError

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


def printable(text: str) -> str:
    r"""Return the text without what a terminal would obey or could not write; line breaks stay.

    Examples
    --------
    >>> printable("a\x1b[31m\udce9")
    'a�[31m�'
    """
    return "".join(character if character.isprintable() or character == "\n" else "�" for character in text)


def say(line: str) -> None:
    """Print a line for people on stdout."""
    _print(printable(line))


def say_json(values: Mapping[str, Any]) -> None:
    """Print JSON on stdout."""
    # Everything beyond ASCII is escaped: the output is the same in every locale, and odd file names come back whole.
    _print(json.dumps(values, indent=2, allow_nan=False))


def say_file(content: bytes) -> None:
    """Print a file on stdout as it is, whatever the locale."""
    _print(content, end=False)


def _print(text: str | bytes, *, end: bool = True) -> None:
    try:
        typer.echo(text, nl=end)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise OutputError(f"stdout: it cannot be written ({error.strerror}); send it to another place.") from error


def note(line: str) -> None:
    """Print a line for people on stderr."""
    # A Text is no markup: brackets and colons of a file name stay what they are.
    errors.print(Text(printable(line)))


def tell(error: Exception) -> int:
    """Tell an error, one that a user can mend in its own sentence and a fault whole; return its exit code."""
    if isinstance(error, IhcQuantError):
        # Each fault of a manifest or table is a line of its own.
        for line in printable(str(error)).splitlines() or [""]:
            errors.print(Text.assemble(("error", "bold red"), " ", line))
        return EXIT_SLIDE_FAILED if isinstance(error, SlideError) else EXIT_CANNOT_START
    traceback.print_exception(error, file=sys.stderr)
    note("This is a fault of ihc-quant, not of your data. Please report it with the lines above.")
    return EXIT_BUG


def plainly(command: Callable[P, R]) -> Callable[P, R]:
    """Turn the errors of a command into one sentence and an exit code."""

    @functools.wraps(command)
    def told(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return command(*args, **kwargs)
        except KeyboardInterrupt:
            note("interrupted; results that were whole are kept")
            raise typer.Exit(EXIT_INTERRUPTED) from None
        # A closed pipe, as of `| head`, is no fault: click ends quietly.
        except (typer.Exit, typer.Abort, BrokenPipeError):
            raise
        except Exception as error:  # noqa: BLE001 - the last boundary
            raise typer.Exit(tell(error)) from None

    return told


@contextmanager
def tile_progress(label: str) -> Iterator[Callable[[int, int], None]]:
    """Show a bar over the tiles of a slide on a terminal; yields the function to call with (done, total)."""
    if not errors.is_terminal:
        yield lambda _done, _total: None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TextColumn("tiles"),
               TimeRemainingColumn())  # fmt: skip
    with Progress(*columns, console=errors, transient=True) as progress:
        task = progress.add_task(printable(label), total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)
