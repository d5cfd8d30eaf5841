"""``demo``: five baseline encoders, scored and ranked."""

from pathlib import Path
from typing import Annotated

import typer

from disentmetrics.cli._demo import WIDE, leaderboard, run_demo
from disentmetrics.cli.base import SeedOption, app, check_output, checked_jobs
from disentmetrics.cli.console import err, out


@app.command()
def demo(
    out_folder: Annotated[Path, typer.Option("--out", "-o", help="Folder for the score cards.")] = Path("demo"),
    samples: Annotated[int, typer.Option(min=200, help="Number of dSprites images to score.")] = 5_000,
    seed: SeedOption = 0,
    jobs: Annotated[
        int,
        typer.Option(
            "--jobs",
            "-j",
            callback=checked_jobs,
            help="Number of processes; -1 uses all CPUs. Results do not depend on it.",
        ),
    ] = -1,
) -> None:
    """Score five baseline encoders on dSprites and print the leaderboard.

    [bold]Example[/]

      disentmetrics demo --out cards
    """
    check_output(out_folder / "pca.json")
    err.print("scoring five baseline encoders on dSprites, about a minute", highlight=False)
    entries = []
    for entry in run_demo(out_folder, n_samples=samples, seed=seed, n_jobs=jobs, progress=err.is_terminal):
        entries.append(entry)
        err.print(f"scored {entry.encoder} in {entry.seconds:.1f} s", highlight=False)
    out.print()
    out.print(leaderboard(entries))
    out.print(
        "",
        f"{samples:,} random dSprites images, 95 % intervals (none above {WIDE} latents, to save time).",
        "A random code scores 0 on mig and 1/5 on the others.",
        f"Score cards: {out_folder}/*.json. Next:",
        f"  disentmetrics compare {out_folder / 'pca.json'} {out_folder / 'ica.json'}",
        sep="\n",
        highlight=False,
        markup=False,
        soft_wrap=True,
    )
