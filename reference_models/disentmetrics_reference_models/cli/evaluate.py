"""The command ``evaluate``: likelihood bounds, KL terms and total correlation of a trained model."""

from typing import Annotated, Any

import typer

from disentmetrics._utils.installation import install_command
from disentmetrics.cli.base import JsonOption, QuietOption, SeedOption, app
from disentmetrics.cli.console import err, print_json, print_table
from disentmetrics.cli.scoring import EVERY, parse_samples
from disentmetrics.errors import MissingExtraError
from disentmetrics_reference_models.cli._run_data import data_for, other_data_note


@app.command()
def evaluate(
    target: Annotated[str, typer.Argument(metavar="RUN_DIR", help="Run folder, or reference:RUN_DIR.")],
    data: Annotated[
        str, typer.Option("--data", metavar="DATASET", help="Data set (default: the one the model was trained on).")
    ] = "",
    rows: Annotated[int, typer.Option(min=2, help="Images that represent the data set.")] = 10_000,
    images: Annotated[
        Any,
        typer.Option(metavar="N|all", parser=parse_samples, help="Images whose log-likelihood is bounded, or all."),
    ] = 64,
    particles: Annotated[int, typer.Option(min=1, help="Importance samples per image.")] = 5_000,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1 or mps.")] = "auto",
    seed: SeedOption = 0,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Evaluate a trained model as a generative model, under its own prior and without labels.

    Reports bounds of the log-likelihood, the decomposition of the KL, several
    estimates of the total correlation, and the KL of each latent.

    [bold]Examples[/]

      disentmetrics evaluate run

      disentmetrics evaluate run --data blobs --images 500 --json

      disentmetrics evaluate run --images all --device cuda
    """
    try:
        from disentmetrics_reference_models.analysis.generative_evaluation import HEADINGS, evaluate_run
        from disentmetrics_reference_models.training.run_folder import load_run
    except ImportError as error:
        raise MissingExtraError(f"reference models need PyTorch; {install_command('train')}") from error
    run = load_run(target.removeprefix("reference:"), device=device)
    dataset = data_for(run.data, data)
    report = evaluate_run(
        run,
        dataset,
        n_rows=rows,
        n_images=None if images == EVERY else images,
        n_particles=particles,
        seed=seed,
        progress=not quiet and err.is_terminal,
    )
    if as_json:
        print_json(report.as_dict())
        return
    print_table(HEADINGS, report.cells())
    if not quiet:
        notes = [
            f"{run.method.name} on {dataset.name}; prior: {report.prior}; values in nats except the last two scores",
            other_data_note(run.data, dataset),
        ]
        for note in filter(None, notes):
            err.print(note, highlight=False, markup=False, soft_wrap=True)
