"""Class maps and the YAML they are written in: what is meant comes in, what YAML would swallow is refused."""

from pathlib import Path

import pytest

from ihc_quant.annotation.class_map import Meaning, read_class_map
from ihc_quant.annotation.yaml_file import MAX_BYTES, read_yaml
from ihc_quant.errors import SettingsError


def written(tmp_path: Path, text: str | bytes) -> Path:
    path = tmp_path / "classes.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_names_are_taken_as_they_stand(tmp_path: Path) -> None:
    text = """\ufeff# of our pathologists
classes:
  "Tumor: Positive": positive
  Lymphocyte CD4+: positive
  Negative: negative
  "1+": unknown
  "Ignore*": ignore
  Annotated area: valid
  Tissue: skip
"""
    class_map = read_class_map(written(tmp_path, text))
    assert class_map.meanings == {
        "Tumor: Positive": Meaning.POSITIVE,
        "Lymphocyte CD4+": Meaning.POSITIVE,
        "Negative": Meaning.NEGATIVE,
        "1+": Meaning.UNKNOWN,
        "Ignore*": Meaning.IGNORE,
        "Annotated area": Meaning.VALID,
        "Tissue": Meaning.SKIP,
    }
    class_map.require(["Negative", "Ignore*"], Path("a.geojson"))


def test_all_classes_without_a_meaning_are_named_at_once(tmp_path: Path) -> None:
    class_map = read_class_map(written(tmp_path, "classes: {Negative: negative}"))
    with pytest.raises(
        SettingsError, match=r"'Ignore' \(1\), 'Stroma' \(2\); map each to positive, negative"
    ) as caught:
        class_map.require(["Stroma", "Negative", "Ignore", "Stroma"], Path("a.geojson"))
    assert str(caught.value).startswith("a.geojson: ")
    assert "classes.yaml" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", 'one entry "classes"'),
        ("classes: {}", 'one entry "classes"'),
        ("classes: [positive]", 'one entry "classes"'),
        ("Negative: negative", 'one entry "classes"'),
        ("classes: {a: positive}\nclass: {b: negative}", 'one entry "classes"'),
        ("- a\n- b", "holds no 'name: value' lines"),
        ("classes: {Negative: No}", "'Negative' is False, which is none of positive"),
        ("classes: {1: positive, a: maybe}", "1 is read as no text.*'a' is 'maybe'"),
        ("classes:\n  a: positive\n  a: negative", "line 3: 'a' stands there twice"),
        ("classes:\n  Negative: negative\n  'Negative ': positive", "'Negative' stands there twice, once with blanks"),
        ("classes: &x {a: positive}\nother: *x", "references"),
        ("classes: {a: positive", "line 1: "),
        ("classes:\n\ta: positive", "line 2: "),
        ("classes: !!python/object/apply:os.system [true]", "could not determine a constructor"),
        (b"\xff\xfe", "no YAML in UTF-8"),
        (b"classes: \x00", "no YAML in UTF-8"),
        ("[" * 5000, "no YAML in UTF-8"),
    ],
)
def test_a_faulty_map_is_one_sentence(tmp_path: Path, text: str | bytes, words: str) -> None:
    path = written(tmp_path, text)
    with pytest.raises(SettingsError, match=words) as caught:
        read_class_map(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


def test_what_is_missing_or_endless_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="no such YAML file"):
        read_yaml(tmp_path / "none.yaml")
    with pytest.raises(SettingsError, match="cannot be read"):
        read_yaml(tmp_path)
    with pytest.raises(SettingsError, match="too large"):
        read_yaml(written(tmp_path, b"#" * (MAX_BYTES + 1)))
