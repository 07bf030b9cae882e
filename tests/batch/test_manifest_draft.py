"""A drafted manifest: guesses only what names say, gives away no file's name, overwrites nothing."""

import csv
from pathlib import Path, PurePath

import pytest

from ihc_quant.batch.manifest import MANIFEST_COLUMNS, read_manifest
from ihc_quant.batch.manifest_draft import Draft, draft_manifest, write_new
from ihc_quant.batch.manifest_names import guess_biopsies, guess_marker, guess_site
from ihc_quant.errors import ManifestError, OutputError


def slides(folder: Path, *names: str) -> Path:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("a slide")
    return folder


def lines_of(draft: Draft) -> list[dict[str, str]]:
    text = [line for line in draft.text.splitlines() if not line.startswith("#")]
    return list(csv.DictReader(text))


@pytest.mark.parametrize(
    ("name", "marker"),
    [
        ("S19-1234_CD4.svs", "CD4"), ("cd-8 skin.ndpi", "CD8"), ("7CD8a.svs", "CD8"), ("7_CCR4_N.svs", "CCR4"),
        ("CD194.svs", "CCR4"), ("CD45.svs", ""), ("CD40-x.svs", ""), ("CCR44.svs", ""), ("7 H&E.svs", "H&E"),
        ("7_HE_1.svs", "H&E"), ("HERBERT.svs", ""), ("CD4 CD8.svs", ""), ("CCR4 negative control.svs",
        "negative_control"), ("neg_ctrl.svs", "negative_control"), ("isotype.svs", "negative_control"),
        ("negative.svs", ""), ("control.svs", ""), ("CCR4/0001.svs", "CCR4"), ("CCR4/0001_CD4.svs", "CD4"),
        ("CD4.ome.tif", "CD4"),
    ],
)  # fmt: skip
def test_a_marker_is_read_off_a_name_or_left_open(name: str, marker: str) -> None:
    assert guess_marker(PurePath(name)) == marker


@pytest.mark.parametrize(
    ("name", "site"),
    [("skin_7.svs", "skin"), ("Haut/7.svs", "skin"), ("lymph-node 7.svs", "lymph_node"), ("7_LN_CD4.svs", "lymph_node"),
     ("Lymphknoten.svs", "lymph_node"), ("7.svs", ""), ("skin or LN.svs", ""), ("skinner.svs", ""), ("ALN.svs", "")],
)  # fmt: skip
def test_a_site_is_guessed_only_where_the_name_says_it(name: str, site: str) -> None:
    assert guess_site(PurePath(name)) == site


def test_slides_that_differ_in_the_marker_alone_are_one_biopsy() -> None:
    names = ["a/1_CD4.svs", "a/1 CD8.svs", "a/2 CD4.svs", "b/1_CD4.svs", "c/CD4.svs", "c/CCR4.svs", "c/H&E.svs"]
    assert guess_biopsies([PurePath(name) for name in names]) == [1, 1, 2, 3, 4, 4, 4]


def test_draft_of_a_folder(tmp_path: Path) -> None:
    folder = slides(
        tmp_path, "S19-77 skin/10 CD4.svs", "S19-77 skin/10 CCR4.SVS", "S19-77 skin/10 HE.svs", "S19-77 skin/2 CD8.tif",
        "notes.txt", ".hidden.svs", ".cache/x.svs", "dicom/1.dcm", "dicom/2.dcm", "h/7.vms", "h/7(0,1).jpg",
    )  # fmt: skip
    draft = draft_manifest(folder, folder)
    lines = lines_of(draft)
    assert [line["slide"] for line in lines] == [
        "h/7.vms", "S19-77 skin/2 CD8.tif", "S19-77 skin/10 CCR4.SVS", "S19-77 skin/10 CD4.svs",
        "S19-77 skin/10 HE.svs",
    ]  # fmt: skip
    assert [line["slide_id"] for line in lines] == ["s001", "s002", "s003", "s004", "s005"]
    assert [line["biopsy_id"] for line in lines] == ["b01", "b02", "b03", "b03", "b03"]
    assert [line["marker"] for line in lines] == ["", "CD8", "CCR4", "CD4", "H&E"]
    assert [line["site"] for line in lines] == ["", *["skin"] * 4]
    # Only a stain without chromogen has the cell filled.
    assert [line["chromogen"] for line in lines] == ["", "", "", "", "none"]
    assert {line["patient_id"] for line in lines} == {""}
    assert list(lines[0]) == list(MANIFEST_COLUMNS)
    assert dict(draft.empty) == {"patient_id": 5, "site": 1, "marker": 1, "chromogen": 4}
    assert (draft.sections, draft.biopsies) == (5, 3)
    assert draft.left_out == ("2 DICOM files are not in the draft: add a line for each slide by hand",)
    assert not any("77" in line[column] for line in lines for column in MANIFEST_COLUMNS if column != "slide")


def test_the_check_asks_for_what_the_draft_leaves_empty_and_for_nothing_else(tmp_path: Path) -> None:
    folder = slides(tmp_path / "in", "skin CD4.svs", "skin CD8.svs")
    path = tmp_path / "lists" / "m.csv"
    draft = draft_manifest(folder, path.parent)
    write_new(path, draft.text.encode())
    with pytest.raises(ManifestError) as caught:
        read_manifest(path)
    first, second = str(caught.value).split("\n")
    assert "lines 7-8, patient_id: it is empty" in first
    assert "lines 7-8, chromogen: it is empty; state it from the staining protocol" in second
    completed = draft.text.replace("b01,,", "b01,p1,").replace(",CD4,,", ",CD4,DAB,").replace(",CD8,,", ",CD8,DAB,")
    path.write_text(completed)
    assert [row.slide.resolve() for row in read_manifest(path)] == [folder / "skin CD4.svs", folder / "skin CD8.svs"]


def test_identifiers_from_names_when_asked(tmp_path: Path) -> None:
    folder = slides(tmp_path, "a/1 CD4.svs", "b/1 cd4.svs", "c/x.ome.tif", f"d/{'n' * 120}.svs")
    lines = lines_of(draft_manifest(folder, folder, ids_from_names=True))
    assert [line["slide_id"] for line in lines] == ["1 CD4", "s002", "x", "s004"]


def test_a_path_is_no_formula(tmp_path: Path) -> None:
    folder = slides(tmp_path, "=1+1 CD4.svs", "@x.svs", "a,b.svs")
    draft = draft_manifest(folder, folder)
    assert [line["slide"] for line in lines_of(draft)] == ["./=1+1 CD4.svs", "./@x.svs", "a,b.svs"]


def test_a_name_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    folder = slides(tmp_path, "CD4.svs", "CD\n8.svs")
    draft = draft_manifest(folder, folder)
    assert draft.sections == 1
    assert draft.left_out == (r"'CD\n8.svs': its name cannot be written in a manifest; rename it",)


def test_folders_without_slides_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="no slide was found there"):
        draft_manifest(tmp_path, tmp_path)
    with pytest.raises(ManifestError, match="the folder cannot be read"):
        draft_manifest(tmp_path / "gone", tmp_path)


@pytest.mark.parametrize("links", [True, False], ids=["second names", "no second names"])
def test_nothing_is_overwritten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, links: bool) -> None:
    if not links:

        def refuse(*_: object) -> None:
            raise PermissionError("this disk knows no second names")

        monkeypatch.setattr(Path, "hardlink_to", refuse)
    path = tmp_path / "new" / "manifest.csv"
    write_new(path, b"first")
    with pytest.raises(OutputError, match="exists and is not overwritten"):
        write_new(path, b"second")
    assert path.read_bytes() == b"first"
    assert list(path.parent.iterdir()) == [path]
