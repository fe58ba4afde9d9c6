"""card: print the model card of a model directory."""

from __future__ import annotations

from typing import Annotated

from ..runtime.progress import say, show
from .app import FILE, OUTPUT, ReplaceFile, app
from .files import output_free, read_evaluation, write_text


@app.command
def card(
    model: Annotated[str, FILE],
    /,
    *,
    evaluation: Annotated[str | None, FILE] = None,
    output: Annotated[str | None, OUTPUT] = None,
    force: ReplaceFile = False,
) -> None:
    """Print the model card of a model directory, with the figures of an evaluation if one is given.

    Parameters
    ----------
    model
        A model directory. Its own card, MODEL_CARD.md, is older than any evaluation of its people.
    evaluation
        The JSON file that `pgcgan evaluate -o NAME.json` wrote for people of this model.
    output
        Write the card to this file instead.
    """
    from ..generators.card import model_card
    from ..registry import load

    if output is not None:
        output_free(output, force)
    text = model_card(load(model).facts(), () if evaluation is None else read_evaluation(evaluation))
    if output is None:
        show(text.rstrip("\n"))
    else:
        say(f"written: {write_text(output, text, force)}")
