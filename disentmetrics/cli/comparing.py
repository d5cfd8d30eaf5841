"""``compare`` and ``udr``: several encoders compared with each other."""

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from disentmetrics.cli.base import JsonOption, SeedOption, app
from disentmetrics.cli.console import err, out, print_json
from disentmetrics.comparison.compare import compare as compare_cards
from disentmetrics.comparison.udr import udr as rank_models
from disentmetrics.representation import Representation
from disentmetrics.results.card import ScoreCard


class UdrVariant(StrEnum):
    """Measure of association between the latents of two models."""

    SPEARMAN = "spearman"
    LASSO = "lasso"


class UdrNormaliser(StrEnum):
    """What the strengths of association of a latent are divided by."""

    INFORMATIVE = "informative"
    PAPER = "paper"
    DISENTANGLEMENT_LIB = "disentanglement_lib"


class TextFormat(StrEnum):
    """Output format of a comparison."""

    TABLE = "table"
    MARKDOWN = "markdown"
    LATEX = "latex"
    JSON = "json"


@app.command()
def compare(
    cards: Annotated[
        list[Path], typer.Argument(metavar="CARD...", help="Two or more score cards of the same rows and seed.")
    ],
    text_format: Annotated[
        TextFormat, typer.Option("--format", help="Output format; LaTeX needs the package booktabs.")
    ] = TextFormat.TABLE,
    force: Annotated[
        bool,
        typer.Option("--force", help="Also compare cards that were scored differently, with a warning and no tests."),
    ] = False,
) -> None:
    """Compare encoders by their score cards, paired on the same rows.

    [bold]Examples[/]

      disentmetrics compare pca.json ica.json

      disentmetrics compare runs/*.json --format markdown
    """
    comparison = compare_cards(*map(ScoreCard.from_json, cards), names=unique_names(cards), force=force)
    if text_format is not TextFormat.TABLE:
        for line in comparison.warnings:
            err.print(f"warning: {line}", markup=False, highlight=False, soft_wrap=True)
    if text_format is TextFormat.JSON:
        print_json(comparison.to_json())
    elif text_format is TextFormat.TABLE:
        for table in comparison.tables():
            out.print(table)
            out.print()
        for line in comparison.legend():
            out.print(line, markup=False, highlight=False, style="dim")
        for line in comparison.remarks():
            out.print(f"• {line}", markup=False, highlight=False)
    else:
        text = comparison.to_markdown() if text_format is TextFormat.MARKDOWN else comparison.to_latex()
        out.print(text, markup=False, highlight=False, soft_wrap=True)


def unique_names(paths: Sequence[Path]) -> list[str]:
    """Name files by their stems, preceded by as many folders as make the names unique.

    Examples
    --------
    >>> unique_names([Path("a/run/card.json"), Path("b/run/card.json"), Path("pca.json"), Path("pca.json")])
    ['a/run/card', 'b/run/card', 'pca', 'pca (2)']
    """
    named = [path.with_suffix("").parts for path in paths]
    length = [1] * len(named)
    for depth in range(2, max(map(len, named), default=1) + 1):
        tails = ["/".join(parts[-n:]) for parts, n in zip(named, length, strict=True)]
        length = [depth if tails.count(tail) > 1 else n for tail, n in zip(tails, length, strict=True)]
    names: list[str] = []
    for parts, n in zip(named, length, strict=True):
        name = unique = "/".join(parts[-n:])
        count = 1
        while unique in names:
            count += 1
            unique = f"{name} ({count})"
        names.append(unique)
    return names


@app.command()
def udr(
    models: Annotated[
        list[Path], typer.Argument(help="Two or more files written by disentmetrics encode, of the same rows.")
    ],
    variant: Annotated[
        UdrVariant, typer.Option(help="How the latents of two models are matched.")
    ] = UdrVariant.SPEARMAN,
    normaliser: Annotated[
        UdrNormaliser,
        typer.Option(
            help="Latents in maxima and sums: the informative ones, or all, as in the paper; disentanglement_lib "
            "averages the two directions."
        ),
    ] = UdrNormaliser.INFORMATIVE,
    partners: Annotated[
        int | None, typer.Option(min=1, help="Number of partners drawn for each model (default: all others).")
    ] = None,
    seed: SeedOption = 0,
    as_json: JsonOption = False,
) -> None:
    """Rank trained models without labels, by how well their latents match (UDR).

    [bold]Example[/]

      for seed in 0 1 2 3 4; do disentmetrics encode onnx:run$seed.onnx --data dsprites -o run$seed.h5; done

      disentmetrics udr run*.h5
    """
    result = rank_models(
        [Representation.load(path) for path in models],
        variant=variant.value,
        normaliser=normaliser.value,
        n_partners=partners,
        names=unique_names(models),
        seed=seed,
    )
    if as_json:
        scores = dict(zip(result.names, result.scores, strict=True))
        print_json({"scores": scores, "signature": result.signature})
        return
    out.print(result.table())
    out.print(result.signature, style="dim", highlight=False, markup=False, soft_wrap=True)
