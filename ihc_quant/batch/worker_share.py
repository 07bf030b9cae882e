"""How many slides at once, and what each of them may take of the machine."""

import psutil

MEMORY_FOR_SLIDE = 3 << 30
"""Bytes that each worker must have where their number is chosen here: what a large slide needs, rounded up."""

MEMORY_SHARE = 0.9
"""Share of the machine's memory that all workers together may take; the rest is the system's and the parent's."""


def default_workers(slides: int, cores: int, gpus: int = 0) -> int:
    """Return how many slides to work on at once: one a core as far as memory and slides go, or one a GPU.

    Parameters
    ----------
    slides : int
        That there are to do.
    cores : int
    gpus : int
        That the network runs on; 0 where it runs on the cores.
    """
    room = int(psutil.virtual_memory().total * MEMORY_SHARE) // MEMORY_FOR_SLIDE
    return max(1, min(slides, gpus or cores, room))


def memory_for_each(workers: int) -> int:
    """Return the bytes that each of so many workers may take."""
    return int(psutil.virtual_memory().total * MEMORY_SHARE) // workers
