"""How accurate ``score`` is on images that its weights never saw, beside a classical pipeline tuned on what they saw.

Every picture goes through the slide job itself, so that the tissue mask, the tiles and their seams count. Which images
are held out is read from the weights' card; weights are never judged on what shaped them.

    python benchmarks/accuracy.py                                   the shipped weights on their own test images
    python benchmarks/accuracy.py --folds runs/default-fold-*/weights.json   each fold on its held-out images, pooled
    python benchmarks/accuracy.py --quality exclude                 what quality control leaves out counts as not found
    python benchmarks/accuracy.py --only cd138,lysto --json accuracy.json    parts; the file keeps earlier parts

Sets that the weights never saw are judged whole. Where several folds may be judged on an image, the first of them is:
copies of an image would count as if they were other images.
"""

import argparse
import hashlib
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from accuracy_report import bars, tables
from agreement import ImageResult, source_figures
from artefacts import artefacts, by_kind, false_positives
from held_out import held_out, left_out_because, saw_file, trained_on
from labelled_images import READERS, LabelledImage
from material import SHARED_DATA
from robustness import MOST_IMAGES, moves, summary
from scored_pictures import TILE_PX, WORKERS, Scorer
from scoring_runs import usual_predictor
from tables import machine, markdown_table, print_table
from tuned_classical import ClassicalKnobs, as_json, classical_cells, evenly, on_edge, search, tune
from two_scanners import FIXED, MOVING, two_scanner_figures

from ihc_quant.batch.settings import MeasureSettings, QualityMode
from ihc_quant.domain.geometry import Mpp
from ihc_quant.errors import IhcQuantError, SettingsError
from ihc_quant.network.card import WeightsCard, read_card, resolve_card

PARTS = (*READERS, "two-scanners", "robustness", "artefacts")
TUNED_ON = ("cd138", "bcdata")
"""Sources with cells of either call: the classical pipeline is tuned on what the weights learned from of these."""
NOT_TUNED = "not tuned"
CHANGED = ("cd138", "bcdata")
"""Sources whose held-out images are stained and lit otherwise."""

Images = dict[str, list[LabelledImage]]
Report = dict[str, Any]


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """One set of weights under test."""

    card: WeightsCard
    scorer: Scorer


def load(weights: str, tile_px: int, quality: QualityMode = "off") -> Judged:
    """Load weights by name or card, ready to score on the CPU."""
    predictor = usual_predictor(weights, workers=WORKERS)
    return Judged(predictor.card, Scorer(predictor, tile_px, quality))


def scored(judged: Judged, images: Sequence[LabelledImage], done: Sequence[ImageResult] = ()) -> list[ImageResult]:
    """Score the images of one source that the weights may be judged on and that no others were judged on before."""
    results, before = [], {one.image.name for one in done}
    for image in held_out(images, judged.card):
        if image.name in before:
            continue
        tell(f"{judged.card.name}: {image.source}/{image.name}")
        results.append(ImageResult(image, judged.scorer.score(image.path, Mpp.square(image.mpp_um))))
    return results


def tuned(judged: Judged, images: Images, cache: dict[str, Any]) -> tuple[ClassicalKnobs, str]:
    """Return the classical knobs for the images that the weights learned from, and what is to be said of them.

    Found ones are kept in ``cache``. Weights that learned from none of ``TUNED_ON`` leave nothing to tune on: what they
    are judged on may not shape the classical pipeline either.
    """
    seen = {source: those for source in TUNED_ON if (those := trained_on(images[source], judged.card))}
    names = [f"{image.source}/{image.name}" for those in seen.values() for image in those]
    key = hashlib.sha256(json.dumps([names, search()]).encode()).hexdigest()[:16]
    if not seen:
        return ClassicalKnobs(), f"{NOT_TUNED}: {judged.card.name} learned from no image of {' or '.join(TUNED_ON)}"
    if key not in cache:
        tell(f"{judged.card.name}: tuning the classical pipeline on its {len(names)} training images")
        knobs, reached = tune(seen)
        cache[key] = {"knobs": as_json(knobs), "training_score": reached, "images": len(names)}
    knobs = ClassicalKnobs(**cache[key]["knobs"])
    said = f"tuned on images that {judged.card.name} learned from, mean F1 there {cache[key]['training_score']:.3f}"
    if edges := on_edge(knobs):
        said += f"; on the edge of what is searched, so there may be better ones: {', '.join(edges)}"
        tell(f"{judged.card.name}: warning: the tuned classical pipeline lies on the edge of its search: {edges}")
    return knobs, said


def run(options: argparse.Namespace, weights: Sequence[str], report: Report) -> None:
    """Run parts for all weights and put their figures into the report, which is kept as soon as there is more of it."""
    parts: list[str] = options.parts
    wanted = [part for part in READERS if part in parts]
    needed = {*wanted, *(CHANGED if "robustness" in parts else ()), *(TUNED_ON if wanted else ())}
    images = {source: READERS[source](SHARED_DATA / "labelled" / source) for source in READERS if source in needed}
    network: dict[str, list[ImageResult]] = {source: [] for source in wanted}
    classical: dict[str, list[ImageResult]] = {source: [] for source in wanted}
    changed: list[dict[str, Any]] = []
    cards: list[WeightsCard] = []
    untuned: set[str] = set()
    for number, name in enumerate(weights):
        judged = load(name, options.tile_px, options.quality)
        cards.append(judged.card)
        here = {source: scored(judged, images[source], network[source]) for source in wanted}
        knobs = ClassicalKnobs()
        if any(here.values()):
            knobs, said = tuned(judged, images, report["classical"])
            report.setdefault("classical_knobs", {})[judged.card.name] = said
            untuned |= {source for source, results in here.items() if results and said.startswith(NOT_TUNED)}
        keep(report, options.json)
        for source, results in here.items():
            network[source] += results
            classical[source] += [ImageResult(one.image, classical_cells(one.image, knobs)) for one in results]
        if "robustness" in parts:
            changed += moved(judged, images, here, MOST_IMAGES // len(weights))
        if "two-scanners" in parts:
            tell(f"{judged.card.name}: two scanners")
            report.setdefault("two_scanners", {})[judged.card.name] = two_scanners(judged)
        if "artefacts" in parts and number == 0:
            tell(f"{judged.card.name}: artefacts")
            report["artefacts"] = artefact_figures(judged, options.pictures)
        keep(report, options.json)
    for source in wanted:
        report.setdefault("left_out", {}).pop(source, None)
        if not network[source]:
            reasons = dict.fromkeys(left_out_because(images[source], card) for card in cards)
            report["left_out"][source] = "; ".join(filter(None, reasons)) or "its card holds out no image of it"
        else:
            report.setdefault("sources", {})[source] = {
                "network": source_figures(network[source]),
                "classical": source_figures(classical[source]),
                "classical_tuned": source not in untuned,
            }
    if changed:
        report["robustness"] = {"images": robustness_note(changed), "changes": summary(changed)}


def moved(judged: Judged, images: Images, here: dict[str, list[ImageResult]], most: int) -> list[dict[str, Any]]:
    """Change at most so many held-out images and score them again."""
    untouched = {f"{one.image.source}/{one.image.name}": one for those in here.values() for one in those}
    chosen = evenly([image for source in CHANGED for image in held_out(images[source], judged.card)], most)
    tell(f"{judged.card.name}: changing {len(chosen)} images")
    results = []
    for image in chosen:
        known = untouched.get(f"{image.source}/{image.name}")
        results.append(known or ImageResult(image, judged.scorer.score(image.path, Mpp.square(image.mpp_um))))
    return moves(judged.scorer, results)


def robustness_note(rows: Sequence[dict[str, Any]]) -> str:
    """Return which images were changed."""
    names = {row["image"] for row in rows}
    counts = {source: sum(name.startswith(f"{source}/") for name in names) for source in CHANGED}
    return ", ".join(f"{count} of {source}" for source, count in counts.items()) + ", held out, evenly drawn"


def two_scanners(judged: Judged) -> dict[str, Any]:
    """Compare the two scans, unless they shaped the weights."""
    for path in (FIXED, MOVING):
        if saw_file(path.name, judged.card):
            raise SettingsError(f"{judged.card.name}: {path.name} shaped these weights, so it cannot judge them.")
    return two_scanner_figures(judged.scorer)


def artefact_figures(judged: Judged, pictures: Path | None) -> dict[str, Any]:
    """Count what is called positive on artefacts."""
    rows = false_positives(judged.scorer, judged.card, artefacts(), pictures)
    note = f"weights {judged.card.name}; µm per pixel are assumed; DAB is real in the epidermis, nowhere else"
    return {"note": note, "kinds": by_kind(rows), "pictures": rows}


def read_report(path: Path) -> Report:
    """Return the report in a file.

    Raises
    ------
    SettingsError
        Where it is none.
    """
    try:
        report = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SettingsError(f"--json {path}: it holds no report of an earlier run; name another file.") from error
    if not isinstance(report, dict) or not isinstance(report.get("classical", {}), dict):
        raise SettingsError(f"--json {path}: it holds no report of an earlier run; name another file.")
    return report


def open_report(path: Path | None, judged: list[dict[str, str]], tile_px: int, quality: str = "off") -> Report:
    """Return the report of an earlier run of the same weights and settings, to be added to; else a new one.

    Tuned classical pipelines are kept whatever the weights: they belong to the images they were tuned on.

    Raises
    ------
    SettingsError
        Where the file holds something else.
    """
    earlier: Report = read_report(path) if path is not None and path.exists() else {}
    start: Report = {"weights": judged, "tile_px": tile_px, "quality": quality}
    earlier = {"quality": "off"} | earlier
    if all(earlier.get(name) == value for name, value in start.items()):
        return earlier
    return start | {"classical": earlier.get("classical", {})}


def keep(report: Report, path: Path | None) -> None:
    """Write the report as far as it goes."""
    if path is not None:
        path.write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def tell(text: str) -> None:
    """Say on stderr what is going on."""
    print(text, file=sys.stderr, flush=True)


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Return the options."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--weights", default="default", help="name of shipped weights, or a card (default: default)")
    which.add_argument("--folds", nargs="+", help="the cards of a cross-validation")
    parser.add_argument("--only", default=",".join(PARTS), help=f"parts, comma-separated: {', '.join(PARTS)}")
    parser.add_argument("--tile-px", type=tile_side, default=TILE_PX, help=f"core of a tile (default {TILE_PX})")
    parser.add_argument("--quality", default="off", choices=get_args(QualityMode), help="quality control (default off)")
    parser.add_argument("--json", type=Path, help="file for all figures; parts of an earlier run in it are kept")
    parser.add_argument("--markdown", type=Path, help="file for the same tables in Markdown")
    parser.add_argument("--pictures", type=Path, help="folder for contact sheets of the artefacts")
    options = parser.parse_args(arguments)
    options.parts = options.only.split(",")
    if unknown := [part for part in options.parts if part not in PARTS]:
        parser.error(f"there is no part {unknown[0]}; there are {', '.join(PARTS)}")
    for option, path in (("--json", options.json), ("--markdown", options.markdown)):
        if path is not None and not path.parent.is_dir():
            parser.error(f"{option} {path}: there is no folder {path.parent}; make it, or name another file")
    return options


def tile_side(text: str) -> int:
    """Return the core of a tile in pixels, as ``score --tile`` takes it."""
    try:
        return MeasureSettings(tile_px=int(text)).tile_px
    except ValueError as error:  # no number, or one that pydantic refuses
        raise argparse.ArgumentTypeError(f"{text}: 64 to 8192 pixels, a multiple of 16") from error


def require_each_once(cards: Sequence[WeightsCard], named: Sequence[str]) -> None:
    """Raise ``SettingsError`` where weights are named twice: their images would count twice."""
    first: dict[str, str] = {}
    for card, name in zip(cards, named, strict=True):
        if card.sha256 in first:
            raise SettingsError(f"--folds {name}: the same weights as {first[card.sha256]}; name each fold once.")
        first[card.sha256] = name


def main(arguments: Sequence[str] | None = None) -> None:
    """Judge and print."""
    options = parse(arguments)
    if not SHARED_DATA.is_dir():
        print(f"Nothing to judge on: {SHARED_DATA} is not here.")
        return
    weights = options.folds or [options.weights]
    cards = [read_card(resolve_card(name)) for name in weights]
    require_each_once(cards, weights)
    judged = [{"name": card.name, "sha256": card.sha256} for card in cards]
    report = open_report(options.json, judged, options.tile_px, options.quality)
    report.setdefault("classical", {})
    run(options, weights, report)
    notes = [
        f"machine: {machine()}",
        f"weights {', '.join(card.name for card in cards)}; tiles of {options.tile_px} px",
        f"quality control: {options.quality}",
    ]
    notes += [f"classical pipeline: {said}" for said in report.get("classical_knobs", {}).values()]
    notes += [f"{source}: left out, as {reason}" for source, reason in report.get("left_out", {}).items()]
    limits = bars(report)
    keep(report, options.json)
    shown = list(tables(report))
    print_table("Accuracy", notes, [], limits)
    for table in shown:
        print_table(table.title, table.notes, table.rows)
    if options.markdown is not None:
        pieces = [markdown_table("Accuracy", notes, [], limits)]
        pieces += [markdown_table(table.title, table.notes, table.rows) for table in shown]
        options.markdown.write_text("\n".join(pieces), encoding="utf-8")


if __name__ == "__main__":
    try:
        main()
    except IhcQuantError as error:
        sys.exit(f"accuracy.py: {error}")
