"""``report``: score cards as one HTML page."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from disentmetrics.cli.base import QuietOption, SeedOption, app, check_output
from disentmetrics.cli.console import err
from disentmetrics.errors import InvalidInputError
from disentmetrics.results.card import ScoreCard

if TYPE_CHECKING:
    from disentmetrics.report.images import Pictures


@app.command()
def report(
    cards: Annotated[list[Path], typer.Argument(metavar="CARD...", help="Score cards in JSON.")],
    out_file: Annotated[Path, typer.Option("--out", "-o", help="Page to write.")] = Path("report.html"),
    title: Annotated[str | None, typer.Option(help="Title of the page.")] = None,
    data: Annotated[
        str | None, typer.Option("--data", metavar="DATASET", help="Also show observations of this data set.")
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            "--model",
            metavar="ENCODER",
            help="Also show latent traversals of this model, which must be able to decode: reference:RUN_DIR. "
            "Needs [bold]--data[/].",
        ),
    ] = None,
    explorer: Annotated[
        bool, typer.Option("--explorer/--no-explorer", help="Scatter plots of any two codes or factors (2 MB).")
    ] = True,
    seed: SeedOption = 0,
    quiet: QuietOption = False,
) -> None:
    """Make one self-contained HTML page of one or more score cards, to be opened without a network.

    [bold]Examples[/]

      disentmetrics report card.json -o report.html

      disentmetrics report pca.json ica.json factors.json -o report.html

      disentmetrics report card.json --data dsprites --model reference:run -o report.html
    """
    from disentmetrics.report import report as make_report, save_report

    check_output(out_file)
    if model and not data:
        raise InvalidInputError("--model needs --data DATASET: latent traversals start from one of its observations")
    read = [ScoreCard.from_json(path) for path in cards]
    pictures = _pictures(data, model, read, seed) if data else None
    stems = [path.stem for path in cards]
    names = stems if len(set(stems)) == len(stems) else list(map(str, cards))
    page = make_report(
        read, names=names, paths=list(map(str, cards)), title=title, pictures=pictures, explorer=explorer
    )
    save_report(page, out_file)
    if not quiet:
        size = len(page.encode()) / 1e6
        err.print(f"report of {size:.1f} MB written to {out_file}", highlight=False, markup=False, soft_wrap=True)


def _pictures(data: str, model: str | None, cards: list[ScoreCard], seed: int) -> "Pictures":
    from disentmetrics.datasets import load_dataset
    from disentmetrics.encoders.registry import open_encoder
    from disentmetrics.report import pictures

    loaded = load_dataset(data)
    if model is None:
        return pictures(loaded, seed=seed)
    with open_encoder(model, data=loaded, seed=seed) as encoder:
        return pictures(loaded, encoder, cards, seed=seed)
