"""Words on pictures."""

from hypothesis import given
from hypothesis import strategies as st

from ihc_quant.report.lettering import shorten, spell, width, wrap


@given(st.text())
def test_only_signs_that_the_font_knows_are_drawn(text: str) -> None:
    assert all(" " <= sign <= "~" or sign == "²" for sign in spell(text))


@given(st.text(max_size=80), st.integers(60, 400))
def test_a_shortened_line_fits(text: str, room_px: int) -> None:
    short = shorten(text, 16, room_px)
    assert width(short, 16) <= room_px
    if width(text, 16) <= room_px:
        assert short == spell(text)


@given(st.text("ab cdefg  ", max_size=120), st.integers(100, 400))
def test_wrapped_lines_fit_and_keep_the_words(text: str, room_px: int) -> None:
    lines = wrap(text, 16, room_px)
    assert all(width(line, 16) <= room_px for line in lines)
    if all(width(word, 16) <= room_px for word in text.split()):
        assert " ".join(lines).split() == text.split()
