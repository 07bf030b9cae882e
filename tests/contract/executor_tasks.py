"""What the executors' tests run; a module of its own, so that another process finds it by name."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

from ihc_quant.errors import SlideUnreadable, WeightsError

_prepared_with: list[int] = []


def note_threads(threads: int) -> None:
    _prepared_with.append(threads)


def refuse(_threads: int) -> None:
    raise WeightsError("The weights are damaged: fetch them again.")


def die_preparing(_threads: int) -> None:
    os._exit(7)


def square(number: int) -> int:
    return number * number


def where(_argument: Any) -> dict[str, Any]:
    return {
        "pid": os.getpid(),
        "prepared": list(_prepared_with),
        "cores": sorted(os.sched_getaffinity(0)),
        "threads": os.environ.get("OMP_NUM_THREADS"),
        "gpu": os.environ.get("CUDA_VISIBLE_DEVICES"),
    }


def misbehave(how: str) -> str:
    """Do what its name says; anything else comes back as it is."""
    match how:
        case "raise":
            raise KeyError("a fault of the program")
        case "slide":
            raise SlideUnreadable("/a/path/M-123.svs", "it is not a slide")
        case "segfault":
            os.kill(os.getpid(), signal.SIGSEGV)
        case "exit":
            os._exit(3)
        case "late":
            _wait_for_the_last_call()
        case "hang":
            time.sleep(600)
        case "fill":
            _fill_memory()
        case "child":
            subprocess.run([sys.executable, "-c", _HOG], check=False)
        case "unpicklable":
            return lambda: how  # type: ignore[return-value]
    return how


def crash_once(marker: str) -> str:
    """Kill the process at the first call for this file, which it leaves behind."""
    if not Path(marker).exists():
        Path(marker).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return "second try"


def hang_with_child(folder: str) -> None:
    """Start a child, write the numbers of both processes, and hang."""
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    Path(folder, "pids.part").write_text(f"{os.getpid()} {child.pid}")
    Path(folder, "pids.part").rename(Path(folder, "pids"))
    time.sleep(600)


def _wait_for_the_last_call() -> None:
    """Return when the parent asks where the job stands, which it does just before it kills."""
    asked = threading.Event()
    signal.signal(signal.SIGUSR1, lambda *_: asked.set())
    asked.wait(60)


_HOG = "import time; kept = bytearray(b'x') * 400_000_000; time.sleep(600)"


def _fill_memory() -> None:
    kept = bytearray(b"x") * 400_000_000
    time.sleep(600)
    del kept
