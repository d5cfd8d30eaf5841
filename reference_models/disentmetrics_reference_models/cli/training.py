"""Commands of the reference trainers: ``train``, ``traverse`` and ``reproduce``."""

import logging
from pathlib import Path
from typing import Annotated

import typer

from disentmetrics.cli.base import JsonOption, QuietOption, SeedOption, app, check_output
from disentmetrics.cli.console import err, out, print_json, print_table
from disentmetrics.datasets import list_datasets, load_dataset
from disentmetrics.datasets.base import DataSet
from disentmetrics.datasets.inspection.preview import check_path
from disentmetrics.encoders.encode import encode
from disentmetrics.errors import InvalidInputError, MissingExtraError
from disentmetrics.scoring.score import score

_EXTRA = "disentmetrics[train]"
_SCORED_ROWS = 10_000


@app.command()
def train(
    method: Annotated[
        str | None, typer.Argument(metavar="METHOD", help="Such as beta_vae; without it, all methods are listed.")
    ] = None,
    data: Annotated[str, typer.Option("--data", metavar="DATASET", help="Data set of images.")] = "dsprites",
    preset: Annotated[
        str,
        typer.Option(
            help="smoke (seconds; minutes on 64 x 64 pixels), small (minutes to hours) or paper (as published)."
        ),
    ] = "small",
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="FIELD=VALUE", help="Change a field; may be repeated.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Decides initial weights, batches and noise.")] = 0,
    out_folder: Annotated[Path | None, typer.Option("--out", "-o", help="Run folder to be written.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in the folder.")] = False,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1, mps.")] = "auto",
    tensorboard: Annotated[bool, typer.Option("--tensorboard", help="Write events for TensorBoard too.")] = False,
    scored: Annotated[
        bool, typer.Option("--score", help="Score the trained model too: card.json in the run folder.")
    ] = False,
    quiet: QuietOption = False,
) -> None:
    """Train a reference model; score it by reference:RUN_DIR.

    [bold]Examples[/]

      disentmetrics train beta_vae --data dsprites --preset smoke --out run

      disentmetrics train beta_vae --data rooms --set beta=6 --set n_codes=12 --seed 3 --out run3

      disentmetrics train beta_vae --data rooms --set beta=6 --set n_codes=12 --seed 3 --out run3 --resume

      disentmetrics score reference:run --data dsprites

      disentmetrics score reference:zoo/beta-tcvae-dsprites --data dsprites
    """
    try:
        from disentmetrics_reference_models.training.method import find_method, find_methods
        from disentmetrics_reference_models.training.run import train as train_model
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
    if scored:
        representation = encode(f"reference:{out_folder}", load_dataset(data), n_samples=_SCORED_ROWS, seed=seed)
        card = score(representation, seed=seed, progress=not quiet and err.is_terminal)
        card.to_json(out_folder / "card.json")
        for table in card.tables():
            out.print(table)
    if not quiet and run.n_steps:
        last = dict(zip(run.history.names, run.history.rows[-1], strict=True))
        err.print(
            f"{run.n_steps:,} steps; reconstruction {last['reconstruction']:.2f} and KL {last['kl']:.2f} nats; "
            f"score it: disentmetrics score reference:{out_folder} --data {data}",
            highlight=False,
            markup=False,
            soft_wrap=True,
        )


@app.command()
def traverse(
    target: Annotated[str, typer.Argument(metavar="RUN_DIR", help="Run folder, or reference:RUN_DIR.")],
    out_file: Annotated[Path, typer.Option("--out", "-o", help="Image to write, .png.")],
    data: Annotated[
        str, typer.Option("--data", metavar="DATASET", help="By default the data set that the model was trained on.")
    ] = "",
    tuning: Annotated[
        str, typer.Option(metavar="X,Y", help="Also map the codes over these two factors, across and down.")
    ] = "",
    values: Annotated[int, typer.Option(min=2, help="Pictures of each code.")] = 11,
    reach: Annotated[float, typer.Option(help="Codes run from -REACH to REACH.")] = 3.0,
    seed: SeedOption = 0,
    quiet: QuietOption = False,
) -> None:
    """Draw what each code of a trained model does, those with the highest KL first.

    [bold]Examples[/]

      disentmetrics traverse run -o traversal.png

      disentmetrics traverse run --data blobs --tuning x,y -o traversal.png
    """
    check_path(out_file)
    check_output(out_file)
    factors = [name.strip() for name in tuning.split(",")] if tuning else []
    if factors and len(factors) != 2:
        raise InvalidInputError(f"--tuning takes two factors, such as x,y; got {tuning!r}")
    try:
        from disentmetrics_reference_models.analysis.traversals import (
            save_traversal,
            traversal_images,
            traversal_sheet,
            tuning_maps,
        )
        from disentmetrics_reference_models.training.run import load_run
    except ImportError as error:
        raise MissingExtraError(f"reference models need PyTorch; pip install '{_EXTRA}'") from error
    run = load_run(target.removeprefix("reference:"))
    images = load_dataset(data) if data else trained_on(run.data)
    if run.data != images.fingerprint and not quiet:
        err.print(f"the model was trained on {run.data}, and sees {images.fingerprint}", highlight=False, markup=False)
    shown = traversal_images(run, images, n_values=values, reach=reach, seed=seed)
    maps = tuning_maps(run, images, *factors, seed=seed) if factors else None
    save_traversal(traversal_sheet(shown, maps, title=f"{run.method.name} on {images.name}"), out_file)
    if not quiet:
        err.print(f"traversals written to {out_file}", highlight=False, markup=False, soft_wrap=True)


@app.command()
def reproduce(
    what: Annotated[str, typer.Argument(metavar="WHAT", help="higgins-table.")],
    preset: Annotated[
        str, typer.Option(help="smoke (a minute), small (half an hour without a GPU) or paper (needs one).")
    ] = "small",
    out_folder: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="Where trained models are kept; those that are there are not trained again."),
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1, mps.")] = "auto",
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Train and score what a published table compares, and print our figures beside the published ones.

    Without --out, models are kept in the folder WHAT-PRESET.

    [bold]Examples[/]

      disentmetrics reproduce higgins-table --preset smoke

      disentmetrics reproduce higgins-table --preset small --out table --json
    """
    try:
        from disentmetrics_reference_models.analysis.reproduce import find_table
    except ImportError as error:
        raise MissingExtraError(f"training needs PyTorch; pip install '{_EXTRA}'") from error
    make = find_table(what)
    logging.getLogger("disentmetrics").setLevel(logging.WARNING)  # or every encoder tells of its first batch
    folder = out_folder or Path(f"{what}-{preset}")
    found = make(preset, folder, device=device, progress=not quiet and err.is_terminal)
    if as_json:
        print_json(found.as_dict())
        return
    print_table(found.headings, found.cells())
    if not quiet:
        for remark in (*found.remarks(), f"models are in {folder}"):
            err.print(remark, highlight=False, markup=False, soft_wrap=True)


def trained_on(fingerprint: str) -> DataSet:
    """Return the bundled data set of this fingerprint; raise InvalidInputError if it cannot be found by itself."""
    for known in list_datasets():
        if known.offline and fingerprint.startswith(known.name):
            data = load_dataset(known.name)
            if data.fingerprint == fingerprint:
                return data
    raise InvalidInputError(
        f"the model was trained on {fingerprint}, which cannot be found by itself; name it by --data"
    )


def _settings(given: list[str] | None) -> dict[str, str]:
    read = {}
    for text in given or ():
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise InvalidInputError(f"--set takes FIELD=VALUE, such as beta=6; got {text!r}")
        read[name] = value
    return read
