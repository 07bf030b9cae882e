"""Why intervals cannot be trusted, each reason written out once below a table and named by a number in it."""

from collections.abc import Iterable, Sequence

from ihc_quant.domain.score import Estimate, Interval
from ihc_quant.report import figures
from ihc_quant.report.page_blocks import Line
from ihc_quant.scoring.network_error import MEASUREMENT_METHOD, by_what_they_hold

JOINED = "; "
"""Between the reasons of an interval that has several."""


class Footnotes:
    """Numbered reasons of the unreliable intervals of some figures.

    Parameters
    ----------
    estimates : iterable of Estimate
        Every figure that is to be marked, in the order in which it is shown.
    whole : bool
        Whether each note is one reason; otherwise notes that hold others are taken apart.
    """

    def __init__(self, estimates: Iterable[Estimate], *, whole: bool = False) -> None:
        notes = [interval.note for each in estimates for interval in each.intervals if not interval.reliable]
        told = list(dict.fromkeys(filter(None, notes)))
        self._whole = whole
        if whole:
            self._parts = told
            return
        # An interval that holds another one has that one's reason beside its own, so short notes are told first.
        parts: list[str] = []
        for note in sorted(told, key=len):
            parts += _untold(note, parts)
        self._parts = sorted(parts, key=lambda part: next(at for at, note in enumerate(told) if _holds(note, part)))

    @property
    def sentences(self) -> tuple[str, ...]:
        """The reasons, in the order of their numbers."""
        return tuple(f"Note {number}: interval unreliable: {part}." for number, part in enumerate(self._parts, 1))

    def mark(self, interval: Interval) -> str:
        """Return level and method of an interval, and the numbers of what makes it unreliable."""
        method, doubt = figures.format_short_method(interval, caution=False), self.doubt((interval,))
        return f"{method}, {doubt}" if doubt else method

    def doubt(self, intervals: Iterable[Interval]) -> str:
        """Return that intervals are unreliable, with the numbers of why; empty where all can be trusted."""
        notes = [interval.note for interval in intervals if not interval.reliable]
        if not notes:
            return ""
        numbers = [
            str(number) for number, part in enumerate(self._parts, 1) if any(self._tells(n, part) for n in notes)
        ]
        return f"unreliable: note{'s' * (len(numbers) > 1)} {', '.join(numbers)}" if numbers else "unreliable"

    def _tells(self, note: str, part: str) -> bool:
        return note == part if self._whole else _holds(note, part)

    def lines(self, estimate: Estimate, *below: Line) -> tuple[Line, ...]:
        """Return a figure, what must stand directly below it, and its intervals; or why there is no figure."""
        if estimate.value is None:
            return (Line("not evaluable", "absent"), Line(estimate.reason))
        value, _, unit = figures.format_estimate(estimate).partition(" ")
        intervals = (
            Line(figures.format_bounds(estimate, each), after=f"({self.mark(each)})") for each in estimate.intervals
        )
        return (Line(value, "value", unit), *below, *intervals)

    def named_lines(self, estimate: Estimate) -> tuple[Line, ...]:
        """Return the intervals of a figure, named by what they hold."""
        lines = []
        for interval in estimate.intervals:
            both = interval.method.startswith(MEASUREMENT_METHOD)
            method = self.mark(interval).replace(MEASUREMENT_METHOD, "simulated") if both else self.mark(interval)
            kind = "Sampling + measurement" if both else "Sampling"
            lines.append(Line(f"{kind} {figures.format_bounds(estimate, interval)}", after=f"({method})"))
        return tuple(lines)


def outer_bounds(
    estimate: Estimate, names: tuple[str, str] = ("sampling", "+ measurement"), notes: Footnotes | None = None
) -> tuple[str, ...]:
    """Return the outer limits of the intervals of sampling, and of those that hold the network's error too, in words.

    Limits that an unreliable interval went into say so, by the numbers of ``notes`` where they are given.

    Examples
    --------
    >>> outer_bounds(Estimate(0.3, "fraction", (Interval(0.2, 0.4, 0.95, "one"), Interval(0.25, 0.5, 0.95, "other"))))
    ('sampling 20.0–50.0',)
    """
    said = []
    for name, held in zip(names, by_what_they_hold(estimate.intervals), strict=True):
        if held:
            limits = figures.format_limits(estimate, min(each.low for each in held), max(each.high for each in held))
            doubt = notes.doubt(held) if notes else figures.doubt(held)
            said.append(f"{name} {limits}{f', {doubt}' if doubt else ''}")
    return tuple(said)


def _holds(note: str, part: str) -> bool:
    """Return whether a note has a part among its reasons: “5 blocks” is none of “15 blocks”."""
    return f"{JOINED}{part}{JOINED}" in f"{JOINED}{note}{JOINED}"


def _untold(note: str, parts: Sequence[str]) -> list[str]:
    """Return what a note says beside the parts that are told already, in runs of reasons that stood together."""
    runs = [note]
    for part in sorted(parts, key=len, reverse=True):
        runs = [run for each in runs for run in f"{JOINED}{each}{JOINED}".split(f"{JOINED}{part}{JOINED}")]
        runs = [run.removeprefix(JOINED).removesuffix(JOINED) for run in runs]
    return [run for run in dict.fromkeys(runs) if run and run not in parts]
