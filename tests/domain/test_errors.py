"""The tree of errors: pickling, and one sentence each."""

import pickle

import pytest

from ihc_quant import errors
from ihc_quant.errors import IhcQuantError, SlideError


def all_errors() -> list[type[IhcQuantError]]:
    found = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, IhcQuantError)]
    assert len(found) == 10
    return found


def example(kind: type[IhcQuantError]) -> IhcQuantError:
    if issubclass(kind, SlideError):
        return kind("scans/a b.svs", "the file states no µm per pixel; state it with --mpp")
    return kind("the weights dab.safetensors are damaged; copy them again.")


@pytest.mark.parametrize("kind", all_errors())
def test_errors_survive_pickling(kind: type[IhcQuantError]) -> None:
    error = example(kind)
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is kind
    assert str(copy) == str(error)
    assert copy.args == error.args
    assert vars(copy) == vars(error)


@pytest.mark.parametrize("kind", all_errors())
def test_errors_print_one_sentence(kind: type[IhcQuantError]) -> None:
    text = str(example(kind))
    assert text.endswith(".")
    assert not text.endswith("..")
    assert "\n" not in text


@pytest.mark.parametrize("kind", [kind for kind in all_errors() if issubclass(kind, SlideError)])
def test_slide_errors_name_the_slide_first(kind: type[IhcQuantError]) -> None:
    error = example(kind)
    assert str(error).startswith("scans/a b.svs: the file states")


def test_a_fault_of_one_slide_is_told_from_a_fault_of_the_run() -> None:
    of_slide = {kind.__name__ for kind in all_errors() if issubclass(kind, SlideError)}
    assert of_slide == {"SlideError", "SlideUnreadable", "CalibrationMissing", "RegionUnreadable", "NotBrightfield"}


def test_no_error_is_a_value_error() -> None:
    assert not any(issubclass(kind, ValueError | TypeError | OSError) for kind in all_errors())
