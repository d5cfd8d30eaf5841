"""Commands of the reference trainers: ``disentmetrics train``."""

from pathlib import Path
from typing import Annotated

import typer

from disentmetrics.cli.base import QuietOption, app
from disentmetrics.cli.console import err, out
from disentmetrics.datasets import load_dataset
from disentmetrics.errors import InvalidInputError, MissingExtraError

_EXTRA = "disentmetrics[train]"


@app.command()
def train(
    method: Annotated[
        str | None, typer.Argument(metavar="METHOD", help="Such as beta_vae; without it, all methods are listed.")
    ] = None,
    data: Annotated[str, typer.Option("--data", metavar="DATASET", help="Data set of images.")] = "dsprites",
    preset: Annotated[
        str, typer.Option(help="smoke (seconds), small (minutes to an hour) or paper (as published).")
    ] = "small",
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="FIELD=VALUE", help="Change a field; may be repeated.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Decides initial weights, batches and noise.")] = 0,
    out_folder: Annotated[Path | None, typer.Option("--out", "-o", help="Run folder to be written.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in the folder.")] = False,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1, mps.")] = "auto",
    tensorboard: Annotated[bool, typer.Option("--tensorboard", help="Write events for TensorBoard too.")] = False,
    quiet: QuietOption = False,
) -> None:
    """Train a reference model; score it by reference:RUN_DIR.

    [bold]Examples[/]

      disentmetrics train beta_vae --data dsprites --preset smoke --out run

      disentmetrics train beta_vae --data rooms --set beta=6 --set n_codes=12 --seed 3 --out run3

      disentmetrics train beta_vae --data rooms --set beta=6 --set n_codes=12 --seed 3 --out run3 --resume

      disentmetrics score reference:run --data dsprites
    """
    try:
        from disentmetrics_reference_models.method import find_method, find_methods
        from disentmetrics_reference_models.run import train as train_model
    except ImportError as error:
        raise MissingExtraError(f"training needs PyTorch; pip install '{_EXTRA}'") from error
    if method is None:
        for name, found in find_methods().items():
            out.print(f"[bold]{name}[/]: {found.summary}", highlight=False)
            out.print(f"    {found.paper}", highlight=False, markup=False)
        return
    chosen = find_method(method)
    config = chosen.preset(preset).changed({**_settings(settings), "seed": seed})
    if out_folder is None:
        raise InvalidInputError("a run is kept in a folder; name one by --out")
    run = train_model(
        config,
        load_dataset(data),
        out=out_folder,
        resume=resume,
        device=device,
        tensorboard=tensorboard,
        progress=not quiet and err.is_terminal,
    )
    if not quiet:
        last = dict(zip(run.history.names, run.history.rows[-1], strict=True))
        err.print(
            f"{run.n_steps:,} steps; reconstruction {last['reconstruction']:.2f} and KL {last['kl']:.2f} nats; "
            f"score it: disentmetrics score reference:{out_folder} --data {data}",
            highlight=False,
            markup=False,
            soft_wrap=True,
        )


def _settings(given: list[str] | None) -> dict[str, str]:
    read = {}
    for text in given or ():
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise InvalidInputError(f"--set takes FIELD=VALUE, such as beta=6; got {text!r}")
        read[name] = value
    return read
