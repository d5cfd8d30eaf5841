"""``check``: fail if a score is worse than its baseline."""

from pathlib import Path
from typing import Annotated

import typer

from disentmetrics._utils.cache import atomic_path
from disentmetrics.cli.base import CHECK_FAILED, app
from disentmetrics.cli.console import err, out
from disentmetrics.comparison.regression import (
    CheckResult,
    Tolerance,
    check as check_card,
    under_github_actions,
    write_baseline,
)
from disentmetrics.errors import InvalidInputError
from disentmetrics.results.card import ScoreCard


@app.command()
def check(
    card: Annotated[Path, typer.Argument(help="A score card in JSON.")],
    baseline: Annotated[
        Path,
        typer.Option("--baseline", "-b", help="Score card of the accepted scores, such as one written by --update."),
    ],
    tolerance: Annotated[
        str,
        typer.Option(
            help="How much worse a score may be: interval (as much as the choice of rows explains), a number such "
            "as 0.02, or a percentage such as 2%."
        ),
    ] = "interval",
    junit: Annotated[Path | None, typer.Option("--junit", help="Write the result as JUnit XML to this file.")] = None,
    update: Annotated[
        bool, typer.Option("--update", help="Accept these scores as the new baseline, whatever the result.")
    ] = False,
) -> None:
    """Check scores against a baseline; exit 1 if any is worse, missing, undefined or not comparable.

    Under GitHub Actions, failures are also shown as annotations.

    [bold]Examples[/]

      disentmetrics check card.json --baseline baselines/model.json --update

      disentmetrics check card.json --baseline baselines/model.json --tolerance 2% --junit scores.xml
    """
    allowed = Tolerance.parse(tolerance)
    scored = ScoreCard.from_json(card)
    if junit is not None and junit.is_dir():
        raise InvalidInputError(f"--junit must name a file; {junit} is a folder")
    result = None if update and not baseline.exists() else check_card(scored, baseline, allowed)
    if result is not None:
        _show(result, junit, suite=f"disentmetrics.{card.stem}")
    if update:
        write_baseline(baseline, scored)
        names = ", ".join(score.name for score in scored.every_score())
        err.print(f"baseline written to {baseline}: {names}", highlight=False, markup=False, soft_wrap=True)
    elif result is not None and not result.passed:
        raise typer.Exit(CHECK_FAILED)


def _show(result: CheckResult, junit: Path | None, *, suite: str) -> None:
    out.print(result.table())
    out.print()
    for line in result.remarks():
        out.print(f"• {line}", markup=False, highlight=False)
    out.print(result.verdict(), style="green" if result.passed else "red", highlight=False, markup=False)
    if under_github_actions():
        for line in result.annotations():
            out.print_workflow_command(line)
    if junit is not None:
        with atomic_path(junit) as temporary:
            temporary.write_text(result.to_junit(suite), encoding="utf-8")
