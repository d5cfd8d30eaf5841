"""The commands ``train``, ``traverse`` and ``reproduce``."""

import logging
import math
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape

from disentmetrics._utils.installation import install_command
from disentmetrics.cli.base import JsonOption, QuietOption, SeedOption, app, check_output
from disentmetrics.cli.console import err, out, print_json, print_table
from disentmetrics.datasets import load_dataset
from disentmetrics.datasets.inspection.preview import check_path
from disentmetrics.encoders.encode import encode
from disentmetrics.errors import InvalidInputError, MissingExtraError, did_you_mean
from disentmetrics.scoring.score import score
from disentmetrics_reference_models.cli._run_data import data_for, other_data_note

_SCORED_ROWS = 10_000


@app.command()
def train(
    method: Annotated[
        str | None, typer.Argument(metavar="METHOD", help="Such as beta_vae; omit it to list all methods.")
    ] = None,
    data: Annotated[str, typer.Option("--data", metavar="DATASET", help="Data set of images or vectors.")] = "dsprites",
    preset: Annotated[
        str,
        typer.Option(
            help="smoke (a minute; some minutes for 64 x 64 images), small (minutes to hours) or paper (as published "
            "for this data set, where the paper has settings for it)."
        ),
    ] = "small",
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="FIELD=VALUE", help="Set a hyperparameter; repeatable.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Random seed of initial weights, batches and noise.")] = 0,
    out_folder: Annotated[Path | None, typer.Option("--out", "-o", help="Run folder to create.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Resume from the last checkpoint in the folder.")] = False,
    snapshots: Annotated[
        str,
        typer.Option(
            metavar="STEPS", help="Keep the weights after these steps, such as 1000,5000: reference:RUN?step=1000."
        ),
    ] = "",
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1 or mps.")] = "auto",
    tensorboard: Annotated[bool, typer.Option("--tensorboard", help="Also write TensorBoard event files.")] = False,
    scored: Annotated[
        bool, typer.Option("--score", help="Score the trained model and save card.json in the run folder.")
    ] = False,
    quiet: QuietOption = False,
) -> None:
    """Train a reference model, which can then be scored as reference:RUN_DIR.

    [bold]Examples[/]

      disentmetrics train beta_vae --data dsprites --preset smoke --out run

      disentmetrics train beta_vae --data rooms --set beta=6 --set n_codes=12 --seed 3 --out run3

      disentmetrics train beta_vae --data rooms --set beta=6 --set n_codes=12 --seed 3 --out run3 --resume

      disentmetrics score reference:run --data dsprites

      disentmetrics score reference:zoo/beta-tcvae-dsprites --data dsprites
    """
    try:
        from disentmetrics_reference_models.training.registry import find_method, find_methods
        from disentmetrics_reference_models.training.train import train as train_model
    except ImportError as error:
        raise MissingExtraError(f"training needs PyTorch; {install_command('train')}") from error
    if method is None:
        for name, listed in find_methods().items():
            out.print(f"[bold]{name}[/]: {escape(listed.summary)}", highlight=False)
            out.print(f"    {listed.paper}", highlight=False, markup=False)
        return
    found = find_method(method)
    if out_folder is None:
        raise InvalidInputError("a run folder is needed; specify it with --out")
    images = load_dataset(data)
    changes = _settings(settings)
    if "seed" in changes:
        raise InvalidInputError("the seed is given by --seed, not by --set")
    config = found.preset(preset, images).changed({**changes, "seed": seed})
    note = found.preset_note(preset, images)
    if note and not quiet:
        err.print(note, highlight=False, markup=False, soft_wrap=True)
    run = train_model(
        config,
        images,
        out=out_folder,
        resume=resume,
        device=device,
        snapshots=_steps(snapshots),
        tensorboard=tensorboard,
        progress=not quiet and err.is_terminal,
    )
    if scored:
        few = images.has_full_grid and len(images) <= _SCORED_ROWS
        representation = encode(run, images, n_samples=None if few else _SCORED_ROWS, full_grid=few, seed=seed)
        card = score(representation, seed=seed, progress=not quiet and err.is_terminal)
        card.to_json(out_folder / "card.json")
        for table in card.tables():
            out.print(table)
    if not quiet and run.n_steps:
        reached = _reached(run.history)
        to_score = f"; to score it: disentmetrics score reference:{out_folder} --data {data}"
        next_step = to_score if run.method.encodes else f"; {method} has no encoder to score"
        err.print(
            f"{run.n_steps:,} steps; {reached}{next_step}",
            highlight=False,
            markup=False,
            soft_wrap=True,
        )


@app.command()
def traverse(
    target: Annotated[str, typer.Argument(metavar="RUN_DIR", help="Run folder, or reference:RUN_DIR.")],
    out_file: Annotated[Path, typer.Option("--out", "-o", help="Image to write, .png.")],
    data: Annotated[
        str, typer.Option("--data", metavar="DATASET", help="Data set (default: the one the model was trained on).")
    ] = "",
    tuning: Annotated[str, typer.Option(metavar="X,Y", help="Also plot tuning maps over these two factors.")] = "",
    values: Annotated[int, typer.Option(min=2, help="Images per latent.")] = 11,
    reach: Annotated[
        float | None,
        typer.Option(help="Traverse latents from -REACH to REACH (default: 3; 1 for codes in [-1, 1])."),
    ] = None,
    samples: Annotated[
        int, typer.Option(min=0, metavar="N", help="Also show this number of samples of the prior.")
    ] = 0,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1 or mps.")] = "auto",
    seed: SeedOption = 0,
    quiet: QuietOption = False,
) -> None:
    """Plot latent traversals of a trained model, latents with the highest KL first.

    [bold]Examples[/]

      disentmetrics traverse run -o traversal.png

      disentmetrics traverse run --data blobs --tuning x,y -o traversal.png

      disentmetrics traverse run --samples 22 -o traversal.png
    """
    check_path(out_file)
    check_output(out_file)
    factors = [name.strip() for name in tuning.split(",")] if tuning else []
    if factors and len(factors) != 2:
        raise InvalidInputError(f"--tuning needs two factors, such as x,y; got {tuning!r}")
    try:
        from disentmetrics_reference_models.analysis.traversals import (
            save_traversal,
            traversal_images,
            traversal_sheet,
            tuning_maps,
        )
        from disentmetrics_reference_models.training.run_folder import load_run
    except ImportError as error:
        raise MissingExtraError(f"reference models need PyTorch; {install_command('train')}") from error
    run = load_run(target.removeprefix("reference:"), device=device)
    images = data_for(run.data, data)
    note = other_data_note(run.data, images)
    if note and not quiet:
        err.print(note, highlight=False, markup=False)
    if not run.method.decodes and not samples:
        raise InvalidInputError(
            f"{run.method.name} has no decoder of its codes; show samples of its prior by --samples 22"
        )
    is_traversed = run.method.decodes
    traversal = traversal_images(run, images, n_values=values, reach=reach, seed=seed) if is_traversed else None
    maps = tuning_maps(run, images, *factors, seed=seed) if factors else None
    drawn = run.sample(samples, seed=seed) if samples else None
    sheet = traversal_sheet(traversal, maps, samples=drawn, title=f"{run.method.name} on {images.name}")
    save_traversal(sheet, out_file)
    if not quiet:
        err.print(f"traversals written to {out_file}", highlight=False, markup=False, soft_wrap=True)


@app.command()
def reproduce(
    what: Annotated[str, typer.Argument(metavar="TABLE", help="higgins-table, fa-toy or ica-toy.")],
    preset: Annotated[
        str, typer.Option(help="smoke (some minutes), small (hours on a CPU) or paper (needs a GPU).")
    ] = "small",
    out_folder: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="Folder of the trained models, which are reused, or of the figure."),
    ] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="Set a parameter of a toy; repeatable.")
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1 or mps.")] = "auto",
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Reproduce a published table or toy, and print the results next to what was published.

    [bold]higgins-table[/] trains and scores nine encoders. [bold]fa-toy[/] and
    [bold]ica-toy[/] show the bias of variational inference in factor analysis and
    overcomplete ICA, in seconds. Models and figures are stored in the folder
    TABLE-PRESET by default.

    [bold]Examples[/]

      disentmetrics reproduce higgins-table --preset smoke

      disentmetrics reproduce higgins-table --preset small --out table --json

      disentmetrics reproduce ica-toy --set betas=1,5,10 --set noise=0.3 --set seed=2
    """
    try:
        from disentmetrics_reference_models.analysis.reproduce import find_table
        from disentmetrics_reference_models.training.method import PRESETS
    except ImportError as error:
        raise MissingExtraError(f"training needs PyTorch; {install_command('train')}") from error
    reproduce_table = find_table(what)
    if preset not in PRESETS:
        raise InvalidInputError(
            f"the preset must be one of {', '.join(PRESETS)}; got {preset!r}{did_you_mean(preset, PRESETS)}"
        )
    logging.getLogger("disentmetrics").setLevel(logging.WARNING)  # every encoder would report its first batch
    folder = out_folder or Path(f"{what}-{preset}")
    table = reproduce_table(
        preset, folder, device=device, settings=_settings(settings), progress=not quiet and err.is_terminal
    )
    if as_json:
        print_json(table.as_dict())
        return
    print_table(table.headings, table.cells())
    if not quiet:
        for note in (*table.notes(), f"models and figures are in {folder}"):
            err.print(note, highlight=False, markup=False, soft_wrap=True)


def _reached(history: Any) -> str:
    """Return the last value of the terms of the evidence lower bound, or of the loss."""

    def last(name: str) -> float | None:
        finite = [value for value in history[name].tolist() if math.isfinite(value)] if name in history.names else []
        return finite[-1] if finite else None

    shown = {"reconstruction": last("reconstruction"), "KL": last("kl")}
    evidence = " and ".join(f"{name} {value:.2f}" for name, value in shown.items() if value is not None)
    loss = last("loss")
    if evidence:
        return f"{evidence} nats"
    return "the loss was not computed: more steps are needed" if loss is None else f"loss {loss:.4g}"


def _steps(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(step) for step in text.replace("_", "").split(",") if step.strip())
    except ValueError as error:
        raise InvalidInputError(f"--snapshots needs steps with commas, such as 1000,5000; got {text!r}") from error


def _settings(texts: list[str] | None) -> dict[str, str]:
    settings = {}
    for text in texts or ():
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise InvalidInputError(f"--set needs FIELD=VALUE, such as beta=6; got {text!r}")
        settings[name] = value
    return settings
