"""The smallest runs of train.py that the tests make."""

from dataclasses import asdict, replace
from pathlib import Path

import train

ROOT = Path(__file__).resolve().parents[1]
TINY = train.Settings(
    steps=6, every=2, size_px=32, cd138=0, bcdata=0, dsb2018=0, painted=2, he=0, warm_up=3, seed=5, threads=1
)
FOLDED = replace(TINY, painted_fields=10, painted_px=64, steps=1, every=1, data="nowhere", validation_patients="")


def flags_of(settings: train.Settings) -> list[str]:
    return [
        f"--{name.replace('_', '-')}={value}"
        for name, value in asdict(settings).items()
        if name != "finish" and value != getattr(train.Settings(), name) and not isinstance(value, bool)
    ]
