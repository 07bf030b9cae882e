"""The YAML in which a laboratory lists what it annotated, checked whole before a pixel is read."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, TypeAdapter, ValidationError

from ihc_quant.annotation.geojson_file import is_geojson
from ihc_quant.annotation.yaml_file import read_yaml
from ihc_quant.domain.geometry import MPP_RANGE_UM
from ihc_quant.domain.stain import MARKERS
from ihc_quant.errors import SettingsError

INHERITED: tuple[str, ...] = ("marker", "tissue", "classes")
"""What may stand once at the top for all items, and in an item for it alone."""

MicrometresPerPixel = Annotated[float, Field(strict=True, ge=MPP_RANGE_UM[0], le=MPP_RANGE_UM[1])]
Text = Annotated[str, StringConstraints(strict=True, strip_whitespace=True, min_length=1)]

_MPP: TypeAdapter[float | None] = TypeAdapter(MicrometresPerPixel | None)


def _listed(value: object) -> object:
    return [value] if isinstance(value, str) else value


class LaboratoryItem(BaseModel):
    """One slide or picture, and what was drawn on it.

    Attributes
    ----------
    image : str
        Slide or picture.
    annotation : tuple of str
        GeoJSON or points tables.
    patient : str
        The split goes by it.
    marker : str
        What the section was stained for.
    tissue : str
        What it was cut from.
    classes : str or None
        Class map; needed with GeoJSON.
    mpp : float or None
        µm per pixel, where the file states none or to correct it a little.
    mpp_of_file_is_wrong : bool
        Whether ``mpp`` may differ from what the file states by more than a little.
    series : int or None
        Image of a file that holds several, from 0; the largest where it is not given.
    no_cells : bool
        Whether it is known that there is no cell to mark; an export without cells is else taken for a slip.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    image: Text
    annotation: Annotated[tuple[Text, ...], BeforeValidator(_listed), Field(min_length=1)]
    patient: Annotated[Text, StringConstraints(pattern=r"^[^,/]*$")]
    marker: Text
    tissue: Text = "tissue not stated"
    classes: Text | None = None
    mpp: MicrometresPerPixel | None = None
    mpp_of_file_is_wrong: Annotated[bool, Field(strict=True)] = False
    series: Annotated[int, Field(strict=True, ge=0)] | None = None
    no_cells: Annotated[bool, Field(strict=True)] = False


@dataclass(frozen=True, slots=True)
class Laboratory:
    """What a laboratory annotated.

    Attributes
    ----------
    path : Path
        Its list; relative paths are taken from the list's folder.
    licence : str
        Of images and annotations, for the card.
    items : tuple of LaboratoryItem
    mpp : float or None
        µm per pixel of images whose file states none.
    """

    path: Path
    licence: str
    items: tuple[LaboratoryItem, ...]
    mpp: float | None = None

    @property
    def tables(self) -> tuple[Path, ...]:
        """Points tables that items name, each once."""
        names = (name for item in self.items for name in item.annotation if not is_geojson(Path(name)))
        return tuple(dict.fromkeys(map(self.located, names)))

    def located(self, name: str) -> Path:
        """Return where a file that the list names lies."""
        return self.path.parent / name


def read_laboratory_file(path: Path) -> Laboratory:
    """Read a laboratory's list.

    Parameters
    ----------
    path : Path
        YAML with ``items``, and optionally ``licence``, ``mpp`` and what is ``INHERITED``. Markers and tissues that
        differ in case alone come in one spelling, that of ``MARKERS`` or of the first item.

    Raises
    ------
    SettingsError
        Names every fault: item, entry and cure.
    """
    document = read_yaml(path)
    items = document.get("items")
    unknown = sorted(str(name) for name in document if name not in {"items", "licence", "mpp", *INHERITED})
    if unknown or not isinstance(items, list) or not items:
        cause = f"the entry {unknown[0]!r} is unknown" if unknown else "there are no items"
        raise SettingsError(f"{path}: {cause}; see the example in docs/retraining.md.")
    licence = document.get("licence", "none stated")
    if not isinstance(licence, str) or not licence.strip():
        raise SettingsError(f"{path}: licence must be text; write it in quotes or leave it out.")
    shared = {name: document[name] for name in INHERITED if name in document}
    faults: list[str] = []
    parsed: dict[int, LaboratoryItem] = {}
    try:
        mpp = _MPP.validate_python(document.get("mpp"))
    except ValidationError as error:
        faults += [f"mpp{_fault(fault)}" for fault in error.errors()]
    for number, item in enumerate(items, start=1):
        if not isinstance(item, dict):
            faults.append(f"item {number}: it has no entries such as image and patient; add them")
            continue
        try:
            parsed[number] = LaboratoryItem.model_validate({**shared, **item})
        except ValidationError as error:
            faults += [f"item {number}, {_fault(fault)}" for fault in error.errors()]
        else:
            faults += [f"item {number}, {fault}" for fault in _file_faults(path.parent, parsed[number])]
    faults += _table_faults(path.parent, parsed)
    if faults:
        raise SettingsError("\n".join(f"{path}: {fault}." for fault in faults))
    return Laboratory(path, licence.strip(), _spelt_alike(list(parsed.values())), mpp)


def _spelt_alike(items: Sequence[LaboratoryItem]) -> tuple[LaboratoryItem, ...]:
    """Return the items with markers and tissues that differ in case alone in one spelling, as reports compare them."""
    markers, tissues = ({_folded(name): name for name in MARKERS}, dict[str, str]())
    return tuple(
        item.model_copy(
            update={
                "marker": markers.setdefault(_folded(item.marker), item.marker),
                "tissue": tissues.setdefault(_folded(item.tissue), item.tissue),
            }
        )
        for item in items
    )


def _folded(name: str) -> str:
    return " ".join(name.casefold().split())


def _fault(fault: Any) -> str:
    """Return what pydantic found as ``entry: what; cure``."""
    entry = ".".join(str(part) for part in fault["loc"][:1])
    match fault["type"]:
        case "missing":
            return f"{entry}: it is missing; add it"
        case "extra_forbidden":
            return f"{entry}: there is no such entry; remove it or correct its name"
        case "string_type":
            return f"{entry}: it is read as no text; write it in quotes"
        case "string_too_short" | "too_short":
            return f"{entry}: it is empty; fill it in"
        case "string_pattern_mismatch":
            return f"{entry}: {fault['input']!r} has a comma or a slash, which separate names; use other characters"
    return f"{entry}: {fault['input']!r:.60} is not possible ({fault['msg']}); correct it"


def _file_faults(folder: Path, item: LaboratoryItem) -> list[str]:
    """Return which files are missing or of no kind that is read."""
    faults = []
    for entry, names in (("image", [item.image]), ("annotation", item.annotation), ("classes", [item.classes])):
        absent = [name for name in names if name is not None and not (folder / name).is_file()]
        faults += [f"{entry}: there is no file {name!r} in {folder}; correct the path" for name in absent]
    for name in item.annotation:
        if not is_geojson(Path(name)) and not name.lower().endswith(".csv"):
            faults.append(f"annotation: {name!r} is neither .geojson (or .geojson.gz, .json) nor .csv; export it so")
    if item.mpp_of_file_is_wrong and item.mpp is None:
        faults.append("mpp_of_file_is_wrong: the right value is missing; add mpp")
    if item.classes is None and any(is_geojson(Path(name)) for name in item.annotation):
        faults.append("classes: GeoJSON needs a class map; name its file")
    return faults


def _table_faults(folder: Path, items: Mapping[int, LaboratoryItem]) -> list[str]:
    """Return where a points table, which knows images by their file names, cannot tell two of them apart."""
    served: dict[tuple[Path, str], tuple[int, Path, int | None]] = {}
    faults = []
    for number, item in items.items():
        image = (folder / item.image).resolve()
        for name in item.annotation:
            if is_geojson(Path(name)):
                continue
            first, *other = served.setdefault(((folder / name).resolve(), image.name), (number, image, item.series))
            if other != [image, item.series]:
                faults.append(
                    f"item {number}, annotation: {name!r} cannot tell this image from that of item {first}, as both "
                    f"are called {image.name!r}; give each a table of its own"
                )
    return faults
