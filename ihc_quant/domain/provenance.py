"""Where a figure comes from: software, weights, settings and their digests."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Provenance:
    """Everything needed to make a figure again.

    Attributes
    ----------
    software : str
        Name and version.
    libraries : mapping of str to str
        Versions of the libraries that touch the numbers.
    platform : str
        Processor and system.
    runtime : str
        Network runtime, device and threads.
    weights_name, weights_sha256, weights_licence : str
        From the weights' card.
    settings : mapping
        Every setting of the run, as JSON values.
    settings_sha256 : str
        Digest of the canonical JSON of ``settings``.
    slide_hash : str
        ``SlideInfo.quick_hash``.
    mpp_source : str
        ``"file"`` or ``"override"``.
    """

    software: str
    libraries: Mapping[str, str]
    platform: str
    runtime: str
    weights_name: str
    weights_sha256: str
    weights_licence: str
    settings: Mapping[str, object]
    settings_sha256: str
    slide_hash: str
    mpp_source: str


RESEARCH_USE_ONLY = "For research use only. Not for use in diagnostic procedures."
"""Stands on every report (21 CFR 809.10(c)(2)(i))."""
