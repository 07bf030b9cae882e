"""Why an interval is unreliable stands once below a table, and every such interval names it."""

from hypothesis import given
from hypothesis import strategies as st

from ihc_quant.domain.score import Estimate, Interval
from ihc_quant.report.footnotes import Footnotes, outer_bounds

MARKER = "measured on A, x; B, y; not validated for CCR4"
BLOCKS = "14 blocks; at least 20 are wanted"
GRADES = "error of grades not measured: moved cuts stand for it"


def interval(note: str = "", method: str = "Wilson, cells taken as independent") -> Interval:
    return Interval(0.1, 0.3, 0.95, method, reliable=not note, note=note)


def figure(*notes: str) -> Estimate:
    return Estimate(0.2, "fraction", tuple(map(interval, notes)))


def test_a_note_that_holds_others_is_told_by_their_numbers() -> None:
    both, all_three = f"{MARKER}; {BLOCKS}", f"{MARKER}; {GRADES}; {BLOCKS}"
    notes = Footnotes([figure(MARKER, BLOCKS), figure("", both), figure(all_three)])
    assert notes.sentences == (
        f"Note 1: interval unreliable: {MARKER}.",
        f"Note 2: interval unreliable: {BLOCKS}.",
        f"Note 3: interval unreliable: {GRADES}.",
    )
    assert notes.mark(interval()) == "95 % Wilson"
    assert notes.mark(interval(both)) == "95 % Wilson, unreliable: notes 1, 2"
    assert notes.mark(interval(all_three)) == "95 % Wilson, unreliable: notes 1, 2, 3"


def test_a_number_within_another_one_is_another_note() -> None:
    few, more, least = (
        "5 blocks; at least 20 are wanted",
        "15 blocks; at least 20 are wanted",
        "9 cells, fewer than 100",
    )
    notes = Footnotes([figure(few, more), figure(least, "99 cells, fewer than 100")])
    assert [sentence.partition("unreliable: ")[2] for sentence in notes.sentences] == [
        f"{few}.", f"{more}.", f"{least}.", "99 cells, fewer than 100.",
    ]  # fmt: skip
    assert notes.mark(interval(more)) == "95 % Wilson, unreliable: note 2"
    assert notes.mark(interval("99 cells, fewer than 100")) == "95 % Wilson, unreliable: note 4"


@given(
    st.lists(st.lists(st.sampled_from(["5 blocks", "15 blocks", "A", "B, x", "at least 20"]), max_size=5), max_size=5)
)
def test_every_reason_is_told_and_named_wherever_notes_meet(said: list[list[str]]) -> None:
    figures = [figure("; ".join(reasons)) for reasons in said]
    notes = Footnotes(figures)
    told = [sentence.removeprefix(f"Note {n}: interval unreliable: ").removesuffix(".").split("; ")
            for n, sentence in enumerate(notes.sentences, 1)]  # fmt: skip
    for reasons, each in zip(said, figures, strict=True):
        numbers = notes.mark(each.intervals[0]).partition("unreliable: note")[2].lstrip("s").replace(" ", "")
        named = {reason for number in numbers.split(",") if number for reason in told[int(number) - 1]}
        assert named == set(reasons)


def test_whole_notes_stay_whole() -> None:
    notes = Footnotes([figure(MARKER, f"{MARKER}; not validated for CD4")], whole=True)
    assert len(notes.sentences) == 2
    assert notes.mark(interval(MARKER)) == "95 % Wilson, unreliable: note 1"
    assert notes.mark(interval(f"{MARKER}; not validated for CD4")) == "95 % Wilson, unreliable: note 2"


def test_where_all_is_reliable_there_are_no_notes() -> None:
    assert Footnotes([figure(""), Estimate(None, "fraction", reason="no cells")]).sentences == ()
    unnamed = Interval(0.1, 0.3, 0.95, "m", reliable=False)
    assert Footnotes([Estimate(0.2, "fraction", (unnamed,))]).mark(unnamed) == "95 % m, unreliable"


def test_lines_give_the_figure_its_denominator_and_every_interval() -> None:
    given = Estimate(0.2, "fraction", (interval(), interval(MARKER, "sampling + measurement, simulated")))
    notes = Footnotes([given])
    assert [(line.text, line.after) for line in notes.lines(given)] == [
        ("20.0", "%"), ("10.0–30.0", "(95 % Wilson)"),
        ("10.0–30.0", "(95 % sampling + measurement, unreliable: note 1)"),
    ]  # fmt: skip
    assert [line.text for line in notes.named_lines(given)] == [
        "Sampling 10.0–30.0", "Sampling + measurement 10.0–30.0",
    ]  # fmt: skip
    assert notes.lines(Estimate(None, "fraction", reason="no cells"))[1].text == "no cells"


def test_outer_limits_say_whether_an_interval_within_them_is_unreliable() -> None:
    given = Estimate(0.2, "fraction", (interval(""), interval(MARKER), interval("", "sampling + measurement")))
    assert outer_bounds(given, ("a", "b")) == ("a 10.0–30.0, interval unreliable", "b 10.0–30.0")
    notes = Footnotes([figure("another"), given], whole=True)
    assert outer_bounds(given, ("a", "b"), notes) == ("a 10.0–30.0, unreliable: note 2", "b 10.0–30.0")
