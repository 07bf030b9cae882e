"""The commands ``manifest init`` and ``manifest check``."""

from pathlib import Path
from typing import Annotated

import typer

from ihc_quant.cli.console import note, plainly, say

manifest = typer.Typer(no_args_is_help=True, help="Draft a manifest from file names, or check one before any work.")


@manifest.command()
@plainly
def init(
    folder: Annotated[Path, typer.Argument(help="Folder with slides, also in folders inside it.")],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="The manifest; FOLDER/manifest.csv if not given.")
    ] = None,
    ids_from_names: Annotated[
        bool, typer.Option("--ids-from-names", help="Take file names as slide_id, which stands on every page.")
    ] = False,
) -> None:
    """Draft a manifest from the names of slide files; an existing one is not overwritten."""
    from ihc_quant.batch.manifest_draft import draft_manifest, write_new

    path = folder / "manifest.csv" if out is None else out
    draft = draft_manifest(folder, path.parent, ids_from_names=ids_from_names)
    write_new(path, draft.text.encode())
    for sentence in draft.left_out:
        note(f"{sentence}.")
    say(f"{path}: {draft.sections} sections drafted, of {draft.biopsies} biopsies as far as their names tell.")
    say(f"To fill in: {', '.join(f'{column} ({count} lines)' for column, count in draft.empty)}.")


@manifest.command()
@plainly
def check(
    file: Annotated[Path, typer.Argument(help="The manifest, a CSV file.")],
    files: Annotated[
        bool, typer.Option("--files/--no-files", help="Whether slides and annotations must be there.")
    ] = True,
) -> None:
    """Name every fault of a manifest at once, with line, column and cure."""
    from ihc_quant.batch.manifest import read_manifest
    from ihc_quant.batch.replicates import name_replicates

    rows = read_manifest(file, need_files=files)
    biopsies = {row.biopsy_id for row in rows}
    patients = {row.patient_id for row in rows}
    say(f"{file}: {len(rows)} sections of {len(biopsies)} biopsies of {len(patients)} patients, without a fault.")
    for slide_id, replicate in name_replicates(rows).items():
        row = next(row for row in rows if row.slide_id == slide_id)
        say(f"{slide_id}: {row.stain.marker} of biopsy {row.biopsy_id}, {replicate.name}, taken as a replicate.")
