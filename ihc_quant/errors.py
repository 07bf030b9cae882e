"""The errors of ihc_quant.

::

    IhcQuantError
    ├── SlideError(slide, reason)      one slide cannot be used; a batch goes on
    │   ├── SlideUnreadable            the file cannot be opened or is not a slide
    │   ├── CalibrationMissing         µm per pixel are missing, implausible or too coarse
    │   ├── RegionUnreadable           the file opened, but some of its pixels cannot be decoded
    │   └── NotBrightfield             fluorescence, one channel, 16 bit, rotated
    ├── WeightsError                   weights are missing, damaged or do not fit
    ├── SettingsError                  a setting is out of range or two contradict each other
    ├── ManifestError                  the manifest or a table beside it has faults (all are named at once)
    └── OutputError                    results cannot be written or read back

A ``SlideError`` concerns one slide; the others stop the run before work is lost. A caller's mistake is a ``ValueError``
or a ``TypeError`` and is never caught. Absence that is to be expected (no tissue, no cells) is a value, not an error.
Every message is one sentence that names the thing and the cure. All errors can be pickled.
"""


class IhcQuantError(Exception):
    """Base of every error that a user can mend."""


class SlideError(IhcQuantError):
    """One slide cannot be used.

    Parameters
    ----------
    slide : str
        The slide as the user named it (path or identifier).
    reason : str
        What is wrong and what to do about it; a clause without the slide's name and without a final full stop.
    """

    def __init__(self, slide: str, reason: str) -> None:
        super().__init__(slide, reason)
        self.slide = slide
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.slide}: {self.reason}."


class SlideUnreadable(SlideError):
    """The file cannot be opened, or no reader knows it as a slide."""


class CalibrationMissing(SlideError):
    """µm per pixel are missing, implausible, or coarser than the network can use."""


class RegionUnreadable(SlideError):
    """The slide opened, but some of its pixels cannot be decoded."""


class NotBrightfield(SlideError):
    """The pixels are not an upright 8-bit RGB bright-field image."""


class WeightsError(IhcQuantError):
    """Weights are missing, damaged, or do not fit the network."""


class SettingsError(IhcQuantError):
    """A setting is out of range, or two settings contradict each other."""


class ManifestError(IhcQuantError):
    """The manifest, or a table given with it, has faults; the message lists all of them, one a line."""


class OutputError(IhcQuantError):
    """Results cannot be written, or earlier results cannot be read back."""
