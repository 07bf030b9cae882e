"""Stands in for a slide's work in ``scheduling.py``: no pixels, but the state that is kept, and what goes wrong."""

import os
import signal
from pathlib import Path

from ihc_quant.batch.run_state import SlideState, write_state
from ihc_quant.batch.slide_worker import Settled, SlideWork

FAIL_EVERY = 100
"""One job in so many fails: by turns as a slide that cannot be used, by a fault, and by a crash at each try."""

KILL_EVERY = 200
"""One job in so many kills its worker at the first try."""


def number_of(slide_id: str) -> int:
    """Return the number at the end of an identifier."""
    return int(slide_id.rpartition("-")[2])


def fails(number: int) -> bool:
    """Return whether this job ends without a result."""
    return number % FAIL_EVERY == 0


def kills_once(number: int) -> bool:
    """Return whether this job loses its first worker."""
    return number % KILL_EVERY == 1


def prepare(_threads: int) -> None:
    """Load nothing."""


def settle(work: SlideWork) -> Settled:
    """Keep and return a state, fail, or die, as the number says."""
    number = number_of(work.slide_id)
    if kills_once(number) and _first_time(work.out.parent / f"killed-{number}"):
        os.kill(os.getpid(), signal.SIGKILL)
    if fails(number):
        match number // FAIL_EVERY % 3:
            case 0:
                state = SlideState(
                    slide_id=work.slide_id, ending="failed", asked=work.asked, slide=None, reason="a stub; leave it"
                )
                write_state(work.out, state)
                return Settled("failed", state)
            case 1:
                raise KeyError("a fault of the program")
            case _:
                os.kill(os.getpid(), signal.SIGSEGV)
    state = SlideState(
        slide_id=work.slide_id,
        ending="scored",
        asked=work.asked,
        slide=None,
        cells=1000 + number,
        positive=number % 1000,
    )
    write_state(work.out, state)
    return Settled("measured", state)


def _first_time(marker: Path) -> bool:
    try:
        marker.touch(exist_ok=False)
    except FileExistsError:
        return False
    return True
