"""The commands ``manifest init`` and ``manifest check``."""

from pathlib import Path
from typing import Any

from ihc_quant.cli import console
from ihc_quant.report.json_schema import SCHEMA_FILE


def test_a_draft_is_completed_and_checked(run: Any) -> None:
    Path("in").mkdir()
    for name in ("skin 1 CD4.svs", "skin 1 CCR4.svs"):
        (Path("in") / name).write_text("a slide")
    drafted = run("manifest", "init", "in")
    assert drafted.exit_code == 0, drafted.output
    assert "2 sections drafted, of 1 biopsies" in drafted.stdout
    assert "To fill in: patient_id (2 lines), chromogen (2 lines)." in drafted.stdout
    path = Path("in/manifest.csv")
    draft = path.read_text()

    again = run("manifest", "init", "in")
    assert again.exit_code == console.EXIT_CANNOT_START
    assert "not overwritten" in again.stderr
    assert path.read_text() == draft

    refused = run("manifest", "check", path)
    assert refused.exit_code == console.EXIT_CANNOT_START
    assert refused.stdout == ""
    told = refused.stderr.splitlines()
    assert len(told) == 2
    assert all(line.startswith(f"error {path}: ") for line in told)

    path.write_text(draft.replace("b01,,", "b01,p,").replace("CD4,,", "CCR4,DAB,").replace("CCR4,,", "CCR4,DAB,"))
    passed = run("manifest", "check", path)
    assert passed.exit_code == 0, passed.output
    first, *replicates = passed.stdout.splitlines()
    assert first.endswith("2 sections of 1 biopsies of 1 patients, without a fault.")
    assert [line.split(", ")[1] for line in replicates] == ["level 1 of 2", "level 2 of 2"]

    (Path("in") / "skin 1 CD4.svs").unlink()
    assert "there is no such file" in run("manifest", "check", path).stderr
    assert run("manifest", "check", path, "--no-files").exit_code == 0


def test_the_draft_goes_where_it_is_sent(run: Any) -> None:
    Path("in").mkdir()
    (Path("in") / "S19 CD4.svs").write_text("a slide")
    (Path("in") / "1.dcm").write_text("a part")
    result = run("manifest", "init", "in", "-o", "lists/m.csv", "--ids-from-names")
    assert result.exit_code == 0, result.output
    assert "1 DICOM files are not in the draft" in result.stderr
    assert "\nS19 CD4,b01,,,CD4,,../in/S19 CD4.svs," in Path("lists/m.csv").read_text()


def test_the_schema_is_printed_as_it_is_shipped(run: Any) -> None:
    assert run("schema").stdout_bytes == SCHEMA_FILE.read_bytes()
