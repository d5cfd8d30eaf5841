"""``compare`` and ``udr``: several encoders against each other."""

import math
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from disentmetrics.cli.base import JsonOption, SeedOption, app
from disentmetrics.cli.console import out, print_json
from disentmetrics.compare import compare as compare_cards
from disentmetrics.representation import Representation
from disentmetrics.result import ScoreCard
from disentmetrics.udr import udr as rank_models


class UdrVariant(StrEnum):
    """How codes of two models are matched."""

    SPEARMAN = "spearman"
    LASSO = "lasso"


@app.command()
def compare(
    first: Annotated[Path, typer.Argument(help="A score card in JSON.")],
    second: Annotated[Path, typer.Argument(help="Another one, scored on the same rows with the same seed.")],
    as_json: JsonOption = False,
) -> None:
    """Compare two encoders by their score cards, paired on the same rows.

    [bold]Example[/]

      disentmetrics compare pca.json ica.json
    """
    cards = ScoreCard.from_json(first), ScoreCard.from_json(second)
    names = (first.stem, second.stem) if first.stem != second.stem else (str(first), str(second))
    comparison = compare_cards(*cards, names=names)
    if as_json:
        print_json(comparison.to_json())
        return
    out.print(comparison.table())
    for line in comparison.skipped:
        out.print(f"• {line}", markup=False, highlight=False)


@app.command()
def udr(
    models: Annotated[
        list[Path], typer.Argument(help="Files of disentmetrics encode: the same rows, two or more models.")
    ],
    variant: Annotated[UdrVariant, typer.Option(help="How codes of two models are matched.")] = UdrVariant.SPEARMAN,
    partners: Annotated[
        int | None, typer.Option(min=1, help="Partners to draw for each model; all others by default.")
    ] = None,
    seed: SeedOption = 0,
    as_json: JsonOption = False,
) -> None:
    """Rank trained models without labels, by how well their codes match (UDR).

    [bold]Example[/]

      for seed in 0 1 2 3 4; do disentmetrics encode onnx:run$seed.onnx --data dsprites -o run$seed.h5; done

      disentmetrics udr run*.h5
    """
    result = rank_models(
        [Representation.load(path) for path in models],
        variant=variant.value,
        n_partners=partners,
        names=[path.stem for path in models],
        seed=seed,
    )
    if as_json:
        scores = {
            name: None if math.isnan(score) else score for name, score in zip(result.names, result.scores, strict=True)
        }
        print_json({"scores": scores, "signature": result.signature})
        return
    out.print(result.table())
    out.print(result.signature, style="dim", highlight=False, markup=False, soft_wrap=True)
