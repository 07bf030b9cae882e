"""Faults of several files, told together instead of one at a time."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from ihc_quant.errors import IhcQuantError, SettingsError, SlideError


class Faults:
    """Collects what is wrong with annotations and slides, to be told at once."""

    def __init__(self) -> None:
        self._errors: list[IhcQuantError] = []

    def __bool__(self) -> bool:
        return bool(self._errors)

    @contextmanager
    def collected(self) -> Iterator[None]:
        """Keep an error of settings or of a slide that the block raises, and go on behind the block."""
        try:
            yield
        except (SettingsError, SlideError) as error:
            self._errors.append(error)

    def tell(self, where: object, most: int) -> None:
        """Raise what was collected, if anything was.

        Parameters
        ----------
        where : object
            File whose faults they are, for the line that tells of those beyond ``most``.
        most : int
            Sentences that are told, a line each.

        Raises
        ------
        SettingsError or SlideError
            The error itself where there is one alone; else a ``SettingsError`` of all.
        """
        if len(self._errors) == 1:
            raise self._errors[0]
        if self._errors:
            lines = list(dict.fromkeys(line for error in self._errors for line in str(error).splitlines()))
            beside = [f"{where}: and {len(lines) - most} faults more."] if len(lines) > most else []
            raise SettingsError("\n".join([*lines[:most], *beside]))


def first_of(faults: Sequence[str], most: int) -> list[str]:
    """Return the first faults, and behind them how many there are beside.

    Examples
    --------
    >>> first_of(["a", "b", "c", "d"], 2)
    ['a', 'b', 'and 2 more']
    """
    return [*faults[:most], *([f"and {len(faults) - most} more"] if len(faults) > most else [])]
