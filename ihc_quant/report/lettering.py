"""Words on pictures, in the one font that Pillow carries, so that a picture is the same on every machine.

The font knows ASCII only. ``µ`` is written ``u`` (ISO 2955), ``²`` as a small raised 2, dashes as hyphens, and what
else it cannot show as ``?``: a slide's name stands in full on the page, the picture only repeats it.
"""

from functools import lru_cache

from PIL import ImageDraw, ImageFont

INK = (32, 33, 36)
"""Colour of words."""
QUIET = (95, 99, 104)
"""Colour of words that explain; contrast 6 : 1 on white."""

_SPELLING = str.maketrans({"µ": "u", "–": "-", "—": "-", "−": "-", "×": "x", "≥": ">=", "≤": "<=", "…": "..."})
_RAISED = "²"


@lru_cache(maxsize=16)
def font(size_px: int) -> ImageFont.FreeTypeFont:
    """Return Pillow's own font at a size in pixels."""
    loaded = ImageFont.load_default(size_px)
    if not isinstance(loaded, ImageFont.FreeTypeFont):
        raise TypeError("Pillow was built without FreeType; install Pillow's own wheel")
    return loaded.font_variant(layout_engine=ImageFont.Layout.BASIC)


def spell(text: str) -> str:
    r"""Return the text with the signs that the font knows, on one line.

    Examples
    --------
    >>> spell("25 µm – 3\n😐")
    '25 um - 3??'
    """
    translated = text.translate(_SPELLING)
    return "".join(sign if " " <= sign <= "~" or sign == _RAISED else "?" for sign in translated)


def width(text: str, size_px: int) -> float:
    """Return the width of a line in pixels."""
    return sum(font(size).getlength(part) for part, size, _ in _runs(spell(text), size_px))


def shorten(text: str, size_px: int, room_px: float) -> str:
    """Return the text, its middle replaced by dots where it does not fit into ``room_px`` pixels."""
    text = spell(text)
    if width(text, size_px) <= room_px:
        return text
    keep = len(text)
    while keep > 2 and width(_without_middle(text, keep), size_px) > room_px:
        keep -= 1
    return _without_middle(text, keep)


def wrap(text: str, size_px: int, room_px: float) -> list[str]:
    """Return the text in lines of at most ``room_px`` pixels, broken at spaces; a single longer word is shortened."""
    lines: list[str] = []
    line = ""
    for word in spell(text).split():
        longer = f"{line} {word}".strip()
        if width(longer, size_px) <= room_px:
            line = longer
            continue
        if line:
            lines.append(line)
        line = shorten(word, size_px, room_px)
    return [*lines, line] if line else lines


def write(
    draw: ImageDraw.ImageDraw,
    place: tuple[float, float],
    text: str,
    size_px: int,
    *,
    colour: tuple[int, int, int] = INK,
    align: float = 0.0,
    halo: bool = False,
) -> None:
    """Write one line.

    Parameters
    ----------
    draw : ImageDraw
        Where to.
    place : tuple of float
        (x, y) in pixels: the line's upper edge, and its left end, middle or right end as ``align`` says.
    text : str
        What.
    size_px : int
        Size of the font.
    colour : tuple of int
        sRGB.
    align : float
        0 left, 0.5 centred, 1 right.
    halo : bool
        Whether a white rim sets the words off from a picture beneath.
    """
    x, y = place
    x -= align * width(text, size_px)
    rim = max(2, size_px // 8) if halo else 0
    for part, size, raised in _runs(spell(text), size_px):
        top = y - 0.08 * size_px if raised else y
        draw.text((x, top), part, fill=colour, font=font(size), stroke_width=rim, stroke_fill=(255, 255, 255))
        x += font(size).getlength(part)


def _runs(text: str, size_px: int) -> list[tuple[str, int, bool]]:
    """Return the stretches of a spelt line: what to write, at which size, and whether it is raised."""
    parts = text.split(_RAISED)
    small = max(8, round(0.65 * size_px))
    runs: list[tuple[str, int, bool]] = []
    for index, part in enumerate(parts):
        if index:
            runs.append(("2", small, True))
        if part:
            runs.append((part, size_px, False))
    return runs


def _without_middle(text: str, keep: int) -> str:
    """Return the first and last of ``keep`` signs with dots between them."""
    return f"{text[: (keep + 1) // 2]}...{text[len(text) - keep // 2 :]}"
