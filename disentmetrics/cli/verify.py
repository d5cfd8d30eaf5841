"""``verify``: recompute a score card."""

from pathlib import Path
from typing import Annotated

import typer

from disentmetrics.cli.base import CHECK_FAILED, JobsOption, QuietOption, app
from disentmetrics.cli.console import err, out
from disentmetrics.cli.scoring import BatchOption, DataOption, EncoderArgument, TrustOption
from disentmetrics.comparison.verify import verify as verify_card
from disentmetrics.errors import CorruptFileError, InvalidInputError
from disentmetrics.representation import Representation
from disentmetrics.results.card import ScoreCard


@app.command()
def verify(
    card: Annotated[Path, typer.Argument(help="A score card in JSON.")],
    encoder: EncoderArgument = None,
    data: DataOption = None,
    codes: Annotated[
        Path | None,
        typer.Option("--codes", help="Table or .h5 file that was scored, instead of an encoder."),
    ] = None,
    jobs: JobsOption = -1,
    batch_size: BatchOption = 256,
    trust_pickle: TrustOption = False,
    quiet: QuietOption = False,
) -> None:
    """Recompute a score card and check that it reproduces; exit 1 if any number differs.

    Data set, rows and seeds are those of the card. Codes are computed again, not read from the cache.

    [bold]Examples[/]

      disentmetrics verify demo/pca.json baseline:pca

      disentmetrics verify card.json --codes codes.npz
    """
    if (encoder is None) == (codes is None):
        raise InvalidInputError(
            "either an encoder or a table with --codes must be given; "
            f"got {'neither' if encoder is None else 'both'}; see disentmetrics verify --help"
        )
    if codes is not None and data is not None:
        raise InvalidInputError("--data cannot be combined with --codes; leave it out")
    published = ScoreCard.from_json(card)
    verification = verify_card(
        published,
        str(encoder) if codes is None else _table(codes, published),
        data=data,
        n_jobs=jobs,
        batch_size=batch_size,
        trust_pickle=trust_pickle,
        progress=not quiet and err.is_terminal,
    )
    out.print(verification.table())
    out.print()
    for line in verification.remarks():
        out.print(f"• {line}", markup=False, highlight=False)
    out.print(verification.verdict(), style="green" if verification.passed else "red", highlight=False, markup=False)
    if not verification.passed:
        raise typer.Exit(CHECK_FAILED)


def _table(codes: Path, card: ScoreCard) -> Representation:
    if codes.suffix == ".h5":
        return Representation.load(codes)
    columns = card.about.get("columns", {})
    try:
        return Representation.from_table(codes, **columns)
    except TypeError as error:
        raise CorruptFileError(
            f"the card must specify which columns were scored; got {columns!r}; score again"
        ) from error
