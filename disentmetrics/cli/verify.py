"""``verify``: whether the numbers of a card repeat."""

from pathlib import Path
from typing import Annotated

import typer

from disentmetrics.cli.base import CHECK_FAILED, JobsOption, QuietOption, app
from disentmetrics.cli.console import err, out
from disentmetrics.cli.scoring import BatchOption, DataOption, EncoderArgument, TrustOption
from disentmetrics.comparison.verify import COLUMNS, verify as verify_card
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
        typer.Option("--codes", help="The table or the .h5 that was scored, where the card is of one; not an encoder."),
    ] = None,
    jobs: JobsOption = -1,
    batch_size: BatchOption = 256,
    trust_pickle: TrustOption = False,
    quiet: QuietOption = False,
) -> None:
    """Score again what a card says, and tell whether its numbers repeat; exit 1 if any does not.

    The data set, the rows and the seeds are those of the card. Codes are computed again, not read from the cache.

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
        raise InvalidInputError("--data does not go with --codes; leave it out")
    claimed = ScoreCard.from_json(card)
    verification = verify_card(
        claimed,
        str(encoder) if codes is None else _table(codes, claimed),
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
    columns = card.about.get(COLUMNS, {})
    try:
        return Representation.from_table(codes, **columns)
    except TypeError as error:
        raise CorruptFileError(f"the card must say which columns were scored; got {columns!r}; score again") from error
