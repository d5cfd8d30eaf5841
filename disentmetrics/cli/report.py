"""``report``: score cards as an HTML page."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from disentmetrics.cli.base import QuietOption, SeedOption, app, check_output
from disentmetrics.cli.console import err
from disentmetrics.errors import InvalidInputError
from disentmetrics.results.card import ScoreCard

if TYPE_CHECKING:
    from disentmetrics.report.images import ReportImages


@app.command()
def report(
    cards: Annotated[list[Path], typer.Argument(metavar="CARD", help="Score cards in JSON.")],
    out_file: Annotated[Path, typer.Option("--out", "-o", metavar="FILE", help="Page to write.")] = Path("report.html"),
    title: Annotated[str | None, typer.Option(metavar="TEXT", help="Title of the page.")] = None,
    data: Annotated[
        str | None, typer.Option("--data", metavar="DATASET", help="Also show observations of this data set.")
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            "--model",
            metavar="ENCODER",
            help="Also show latent traversals of this model. It needs a decoder, as reference:RUN_DIR has. "
            "Requires [bold]--data[/].",
        ),
    ] = None,
    explorer: Annotated[
        bool,
        typer.Option(
            "--explorer/--no-explorer",
            help="Include interactive scatter plots of any two latents or factors (adds 2 MB).",
        ),
    ] = True,
    seed: SeedOption = 0,
    quiet: QuietOption = False,
) -> None:
    """Write score cards as one self-contained HTML page, which makes no network requests.

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
    images = _images(data, model, read, seed) if data else None
    stems = [path.stem for path in cards]
    names = stems if len(set(stems)) == len(stems) else list(map(str, cards))
    page = make_report(read, names=names, paths=list(map(str, cards)), title=title, images=images, explorer=explorer)
    save_report(page, out_file)
    if not quiet:
        size = len(page.encode()) / 1e6
        err.print(f"report of {size:.1f} MB written to {out_file}", highlight=False, markup=False, soft_wrap=True)


def _images(data: str, model: str | None, cards: list[ScoreCard], seed: int) -> "ReportImages":
    from disentmetrics.datasets import load_dataset
    from disentmetrics.encoders.registry import open_encoder
    from disentmetrics.report import report_images

    loaded = load_dataset(data)
    if model is None:
        return report_images(loaded, seed=seed)
    with open_encoder(model, data=loaded, seed=seed) as encoder:
        return report_images(loaded, encoder, cards, seed=seed)
