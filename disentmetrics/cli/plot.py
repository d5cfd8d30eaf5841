"""``plot``: figures of score cards for papers."""

from pathlib import Path
from typing import Annotated

import typer

from disentmetrics.cli.base import app, check_output
from disentmetrics.cli.console import out
from disentmetrics.errors import InvalidInputError
from disentmetrics.plots import SUFFIXES, check_suffix, draw, kinds, save_figure
from disentmetrics.results.card import ScoreCard

_KINDS = "\n\n".join(f"{name}: {about[0].lower()}{about[1:]}" for name, about in kinds().items())


@app.command()
def plot(
    cards: Annotated[
        list[Path],
        typer.Argument(metavar="CARD", help="Score cards in JSON; several where the kind of figure compares them."),
    ],
    output: Annotated[
        Path, typer.Option("--out", "-o", metavar="FILE", help=f"File to write, ending in {', '.join(SUFFIXES)}.")
    ],
    kind: Annotated[str, typer.Option("--kind", "-k", help=f"Kind of figure.\n\n{_KINDS}")] = "scores",
) -> None:
    """Plot score cards as a figure for a paper: vector graphics with editable text.

    [bold]Example[/]

      disentmetrics plot pca.json --kind mi-matrix -o pca-mi.pdf

      disentmetrics plot pca.json ica.json -o scores.svg
    """
    check_output(output)
    check_suffix(output)
    read = {name: ScoreCard.from_json(path) for name, path in _named(cards).items()}
    save_figure(draw(read, kind), output)
    out.print(str(output), highlight=False, markup=False, soft_wrap=True)


def _named(paths: list[Path]) -> dict[str, Path]:
    if len(set(paths)) < len(paths):
        raise InvalidInputError("each score card must be given once; got a card twice")
    alone = len({path.stem for path in paths}) == len(paths)
    return {path.stem if alone else str(path): path for path in paths}
