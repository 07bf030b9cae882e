"""The command ``weights``."""

from typing import Annotated

import typer

from ihc_quant.cli import options
from ihc_quant.cli.console import plainly, say, say_json

Name = Annotated[
    str | None, typer.Argument(help="Shipped weights by name, or the path of a card, to print whole; all if not given.")
]


@plainly
def weights(name: Name = None, json: options.Json = False) -> None:
    """List the shipped weights with licence, figures and thresholds, or print the card of one set."""
    from ihc_quant.cli.card_text import brief_lines, card_lines
    from ihc_quant.network.card import WEIGHTS_FOLDER, read_card, resolve_card

    if name is not None:
        card = read_card(resolve_card(name))
        if json:
            say_json(card.model_dump(mode="json"))
            return
        for line in card_lines(card):
            say(line)
        return
    cards = [read_card(path) for path in sorted(WEIGHTS_FOLDER.glob("*.json"))]
    if json:
        say_json({"weights": [card.model_dump(mode="json") for card in cards]})
        return
    if not cards:
        say(f"no weights are shipped in {WEIGHTS_FOLDER}")
    for card in cards:
        for line in brief_lines(card):
            say(line)
