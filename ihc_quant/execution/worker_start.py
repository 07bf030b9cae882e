"""Starts a worker process: a fresh interpreter with its environment, its pipe, its lifeline and its log."""

import fcntl
import os
import subprocess
import sys
import tempfile
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from typing import BinaryIO

from ihc_quant.errors import SettingsError
from ihc_quant.execution.messages import Place

_THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "NUMBA_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)


"""Number of threads, as the libraries read it when they are first imported."""


def start_worker(place: Place, log: BinaryIO) -> tuple[subprocess.Popen[bytes], Connection, int]:
    """Start a worker process.

    Parameters
    ----------
    place : Place
    log : binary file
        Takes its standard output and error.

    Returns
    -------
    tuple of (Popen, Connection, int)
        The process, leader of a group of its own; the parent's end of the pipe; the parent's end of the lifeline.

    Raises
    ------
    SettingsError
        The system starts no more processes.
    """
    ours, theirs = Pipe()
    lifeline, held = os.pipe()
    command = [sys.executable, "-P", "-m", "ihc_quant.execution.worker_main"]
    given = [str(theirs.fileno()), str(lifeline), str(place.threads), ",".join(map(str, place.cores))]
    try:
        process = subprocess.Popen(  # noqa: S603 - this interpreter, with our own module and numbers
            [*command, *given],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=_environment(place),
            pass_fds=(theirs.fileno(), lifeline),
            start_new_session=True,
        )
    except OSError as error:
        ours.close()
        os.close(held)
        raise SettingsError(
            f"No worker process can be started ({error.strerror}): use fewer workers, or none (in the caller)."
        ) from error
    finally:
        theirs.close()
        os.close(lifeline)
    return process, ours, held


def _environment(place: Place) -> dict[str, str]:
    environment = dict(os.environ)
    environment["PYTHONPATH"] = os.pathsep.join(path or str(os.getcwd()) for path in sys.path)  # noqa: PTH109
    environment.update(dict.fromkeys(_THREAD_VARIABLES, str(place.threads)))
    if place.gpu is not None:
        environment["CUDA_VISIBLE_DEVICES"] = place.gpu
    return environment


def open_log() -> BinaryIO:
    """Open a file without a name that every writer appends to."""
    log = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 - closed with its worker
    fcntl.fcntl(log.fileno(), fcntl.F_SETFL, os.O_APPEND | fcntl.fcntl(log.fileno(), fcntl.F_GETFL))
    return log
