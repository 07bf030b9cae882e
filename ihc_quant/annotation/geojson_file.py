"""From a GeoJSON file to its features, in bounded memory and without trusting a byte of it."""

import gzip
import json
import zlib
from pathlib import Path
from typing import Any

from ihc_quant.errors import SettingsError

MAX_TEXT_BYTES = 256 * 1024 * 1024
"""Largest text that is read: 400,000 outlined cells, 5 GB of memory. Unpacked: a packed file can grow without end."""

SUFFIXES: tuple[str, ...] = (".geojson", ".json", ".geojson.gz", ".json.gz")
"""Names of files that are taken for GeoJSON."""

GZIP_MAGIC = b"\x1f\x8b"

CHILDREN: tuple[str, ...] = ("childObjects", "children")
"""Under what names QuPath keeps the objects inside an object, when it exports a hierarchy: since 0.4 the first, in the
properties; it reads the second there too. Both are read beside the properties as well."""


def is_geojson(path: Path) -> bool:
    """Whether a file is GeoJSON by its name.

    Examples
    --------
    >>> is_geojson(Path("a.geojson.gz")), is_geojson(Path("points.csv"))
    (True, False)
    """
    return path.name.lower().endswith(SUFFIXES)


def read_features(path: Path) -> list[dict[str, Any]]:
    """Return the features of a file in their order, objects inside an object after it.

    Parameters
    ----------
    path : Path
        A FeatureCollection, a bare array of features, or one feature; packed with gzip or not, with or without a
        byte-order mark.

    Returns
    -------
    list of dict
        Each an object; what it holds is not checked here.

    Raises
    ------
    SettingsError
        Where the file cannot be read or holds something else.
    """
    try:
        document = json.loads(_text_of(path))
    except RecursionError as error:
        raise SettingsError(f"{path}: it is nested too deeply to be GeoJSON; export the annotations again.") from error
    except json.JSONDecodeError as error:
        raise SettingsError(
            f"{path}: it is no complete JSON ({error.msg}, line {error.lineno}); export the annotations again."
        ) from error
    except ValueError as error:  # for example a number of many thousand digits
        raise SettingsError(f"{path}: it holds a number that cannot be one; export the annotations again.") from error
    return _flattened(path, _features_of(path, document))


def _text_of(path: Path) -> str:
    try:
        with path.open("rb") as raw:
            packed = raw.read(len(GZIP_MAGIC)) == GZIP_MAGIC
        with gzip.open(path) if packed else path.open("rb") as stream:
            content = stream.read(MAX_TEXT_BYTES + 1)
    except FileNotFoundError as error:
        raise SettingsError(f"{path}: there is no such annotation file; check the path.") from error
    except (OSError, EOFError, zlib.error) as error:
        raise SettingsError(f"{path}: the annotations cannot be read; copy the file anew or export again.") from error
    if len(content) > MAX_TEXT_BYTES:
        raise SettingsError(
            f"{path}: it holds more than {MAX_TEXT_BYTES // 1024**2} MB of text; export only the annotations."
        )
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise SettingsError(f"{path}: it is not UTF-8; export the annotations as GeoJSON again.") from error


def _features_of(path: Path, document: object) -> list[object]:
    if isinstance(document, list):
        return document
    if isinstance(document, dict):
        if document.get("type") == "Feature":
            return [document]
        features = document.get("features")
        if document.get("type") == "FeatureCollection" and isinstance(features, list):
            return features
    raise SettingsError(f"{path}: it holds no GeoJSON features; export the annotations from QuPath as GeoJSON.")


def _flattened(path: Path, features: list[object]) -> list[dict[str, Any]]:
    """Return features and the objects inside them, without recursion."""
    flat: list[dict[str, Any]] = []
    waiting = features[::-1]
    while waiting:
        feature = waiting.pop()
        if not isinstance(feature, dict) or feature.get("type", "Feature") != "Feature":
            raise SettingsError(f"{path}: feature {len(flat) + 1} is no GeoJSON feature; export the annotations again.")
        flat.append(feature)
        properties = feature.get("properties")
        for holder in (feature, properties if isinstance(properties, dict) else {}):
            for name in CHILDREN:
                children = holder.get(name)
                if isinstance(children, list):
                    waiting.extend(children[::-1])
    return flat
