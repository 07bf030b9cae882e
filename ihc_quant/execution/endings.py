"""How jobs are lost, in words: what happened and what to do about it."""

import signal

from ihc_quant.errors import IhcQuantError, SlideError

GB = 1e9
"""Bytes in the gigabyte of messages."""

_LOOK = "its input may be damaged: look at it, and report the fault if it is sound"

_SIGNALS = {
    signal.SIGSEGV: f"a C library crashed; {_LOOK}",
    signal.SIGABRT: f"a C library gave up; {_LOOK}",
    signal.SIGFPE: f"a C library divided by zero; {_LOOK}",
    signal.SIGBUS: "a file that it was reading shrank, or a disk is full; copy the input again and make room",
    signal.SIGILL: "a library was built for another processor; install the packages anew on this machine",
    signal.SIGKILL: "most often the system does so for want of memory; use fewer workers, or a lower limit of memory",
    signal.SIGTERM: "somebody or the system asked it to end; run again",
}


def why_died(exit_code: int | None, times: int) -> str:
    """Say why a worker process died by itself.

    Parameters
    ----------
    exit_code : int or None
        As ``subprocess`` gives it: negative for a signal; None where the process cannot be ended at all.
    times : int
        How many worker processes the job has cost; 0 where it had no job yet.

    Returns
    -------
    str
        One clause.
    """
    look = _LOOK if times else "look at its last words"
    often = "" if times < 2 else f" {times} times"
    if exit_code is None:
        return (
            "its worker process hangs in the system, most often on a disk or a network folder; check that they answer"
        )
    if exit_code >= 0:
        return f"its worker process ended itself{often} with exit code {exit_code}; {look}"
    try:
        name = signal.Signals(-exit_code)
    except ValueError:
        return f"its worker process was ended{often} by signal {-exit_code}; {_LOOK}"
    return f"its worker process was ended{often} by {name.name}: {_SIGNALS.get(name, _LOOK)}"


def too_slow(seconds: float) -> str:
    """Say that a job was stopped at its limit of time."""
    return (
        f"it took longer than its limit of {seconds:g} s and was stopped; raise the limit of time, or look at its input"
    )


def too_big(memory_bytes: int) -> str:
    """Say that a job was stopped at its limit of memory."""
    return (
        f"it needed more than its limit of {memory_bytes / GB:.3g} GB of memory and was stopped; "
        "raise the limit of memory, or look at its input"
    )


def fault(error: BaseException) -> str:
    """Say that a task raised: in the error's own words where it has words for users, which name no path."""
    if isinstance(error, SlideError):
        return error.reason
    if isinstance(error, IhcQuantError):
        return str(error).rstrip(".")
    if isinstance(error, MemoryError):
        return "the machine had no more memory to give; use fewer workers"
    return f"the program failed ({type(error).__name__}); report it with the traceback"
