"""The command ``evaluate``: a trained reference model as a generative model, in one table."""

from typing import Annotated

import typer

from disentmetrics.cli.base import JsonOption, QuietOption, SeedOption, app
from disentmetrics.cli.console import err, print_json, print_table
from disentmetrics.datasets import load_dataset
from disentmetrics.errors import MissingExtraError


@app.command()
def evaluate(
    target: Annotated[str, typer.Argument(metavar="RUN_DIR", help="Run folder, or reference:RUN_DIR.")],
    data: Annotated[
        str, typer.Option("--data", metavar="DATASET", help="By default the data set that the model was trained on.")
    ] = "",
    rows: Annotated[int, typer.Option(min=2, help="Images that stand for all.")] = 10_000,
    images: Annotated[int, typer.Option(min=2, help="Of them, those whose likelihood is bounded.")] = 64,
    particles: Annotated[int, typer.Option(min=1, help="For the bound of each image.")] = 5_000,
    seed: SeedOption = 0,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Evaluate a trained model as a generative model, under its own prior; no labels are needed.

    Bounds of the likelihood, the KL and its parts, total correlation by several estimates, and the KL of each code.

    [bold]Examples[/]

      disentmetrics evaluate run

      disentmetrics evaluate run --data blobs --images 500 --json
    """
    from disentmetrics_reference_models.cli.training import trained_on  # each may be the first to load the other

    try:
        from disentmetrics_reference_models.analysis.generative_evaluation import HEADINGS, evaluate_run
        from disentmetrics_reference_models.training.run import load_run
    except ImportError as error:
        raise MissingExtraError("reference models need PyTorch; pip install 'disentmetrics[train]'") from error
    run = load_run(target.removeprefix("reference:"))
    observed = load_dataset(data) if data else trained_on(run.data)
    found = evaluate_run(run, observed, n_rows=rows, n_images=images, n_particles=particles, seed=seed)
    if as_json:
        print_json(found.as_dict())
        return
    print_table(HEADINGS, found.cells())
    if not quiet:
        remarks = [
            f"{run.method.name} on {observed.name}; the prior is {found.prior}; nats but for the last two scores"
        ]
        if run.data != observed.fingerprint:
            remarks.append(f"the model was trained on {run.data}, and sees {observed.fingerprint}")
        for remark in remarks:
            err.print(remark, highlight=False, markup=False, soft_wrap=True)
