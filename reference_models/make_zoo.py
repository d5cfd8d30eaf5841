"""Train the pretrained models of the package: ``python reference_models/make_zoo.py``.

Trains missing models with the commands that are listed in their model cards, scores them, and writes the
folders of ``disentmetrics_reference_models/zoo``. Takes an hour on two CPU cores.
"""

import argparse
import json
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

from disentmetrics_reference_models.training.run_folder import CONFIG, WEIGHTS, load_run

from disentmetrics.results.card import ScoreCard

ZOO = Path(__file__).parent / "disentmetrics_reference_models" / "zoo"
MAX_BYTES = 3_000_000
DATA = "dsprites"
COMMON = {
    "architecture": "patch-conv",
    "batch_size": "64",
    "learning_rate": "0.001",
    "n_steps": "20000",
    "precision": "bfloat16",
}
MODELS = {
    "beta-tcvae-dsprites": ("beta_tcvae", {"beta": "6"}),
    "vae-dsprites": ("vae", {}),
    "beta-vae-dsprites": ("beta_vae", {"beta": "4"}),
    "factor-vae-dsprites": (
        "factor_vae",
        {
            "gamma": "10",
            "discriminator_learning_rate": "0.0005",
            "discriminator_width": "128",
            "discriminator_layers": "4",
        },
    ),
}

CARD = """# {name}

{summary}. Trained on `{data}` for {n_steps:,} steps of {batch_size} images, on a CPU. A small model for demonstrations
and regression tests, which does not show the best performance of the method.

{paper}

## Training commands

```
{commands}
```

## Usage

```
disentmetrics score reference:zoo/{name} --data {dataset} --samples 20000
disentmetrics traverse reference:zoo/{name} -o traversal.png
```

## Training details

| | |
|---|---|
{facts}

## Scores

{rows:,} rows of `{data}`, 95 % intervals.

| metric | value | interval | signature |
|---|---|---|---|
{scores}

## Limits

The model only encodes {n_pixels} pixel images of these shapes. It hardly distinguishes hearts from squares of the
same size, and orientation is not encoded in a single latent. Licence: that of the package.
"""


def commands_of(name: str, folder: str) -> list[str]:
    """Return the two commands that train and score a model."""
    method, settings = MODELS[name]
    fields = " ".join(f"--set {key}={value}" for key, value in {**COMMON, **settings}.items())
    return [
        f"disentmetrics train {method} --data {DATA} --preset small {fields} --seed 0 --out {folder}",
        f"disentmetrics score reference:{folder} --data {DATA} --samples 10000 --out {folder}/card.json",
    ]


def model_card(name: str, folder: Path) -> str:
    """Return the model card of a trained and scored run."""
    run, card = load_run(folder), ScoreCard.from_json(folder / "card.json")
    about = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    final = about["final"]
    facts = {
        "method": f"`{run.method.name}`",
        "configuration": ", ".join(f"{key} {value}" for key, value in about["config"].items()),
        "data": f"`{run.data}`",
        "weights": f"{(folder / WEIGHTS).stat().st_size:,} bytes, fingerprint `{run.fingerprint}`",
        "versions": ", ".join(f"{key} {value}" for key, value in about["versions"].items()),
        "reconstruction, KL, active latents": f"{final['reconstruction']:.1f} nats, {final['kl']:.1f} nats, "
        f"{final['active_codes']:.0f}",
    }
    scores = [
        f"| {score.name} | {score.value:.3f} | "
        f"{f'{score.interval.low:.3f} to {score.interval.high:.3f}' if score.interval else '—'} | `{signature}` |"
        for score in card.every_score()
        if not score.undefined
        for signature in [score.signature.replace("|", "\\|")]
    ]
    return CARD.format(
        name=name,
        summary=run.method.summary,
        paper=run.method.paper,
        data=run.data,
        dataset=DATA,
        n_steps=run.n_steps,
        batch_size=run.config.batch_size,
        commands="\n".join(commands_of(name, "run")),
        facts="\n".join(f"| {key} | {value} |" for key, value in facts.items()),
        rows=card.about["rows"],
        scores="\n".join(scores),
        n_pixels=f"{run.shape[1]} x {run.shape[2]}",
    )


def main() -> None:
    """Train, score and publish the models."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--runs", type=Path, default=Path("zoo-runs"), help="folder of the runs; completed ones are reused"
    )
    runs: Path = parser.parse_args().runs
    for name in MODELS:
        folder = runs / name
        train, score = (shlex.split(command) for command in commands_of(name, str(folder)))
        if not (folder / WEIGHTS).is_file():
            _run([*train, *(["--resume"] if (folder / CONFIG).is_file() else [])])
        if not (folder / "card.json").is_file():
            _run(score)
        published = ZOO / name
        published.mkdir(parents=True, exist_ok=True)
        for file in (CONFIG, WEIGHTS, "card.json"):
            shutil.copyfile(folder / file, published / file)
        (published / "README.md").write_text(model_card(name, folder), encoding="utf-8")
        size = (published / WEIGHTS).stat().st_size
        if size > MAX_BYTES:
            sys.exit(f"the weights of {name} must not exceed {MAX_BYTES:,} bytes; got {size:,}")


def _run(command: list[str]) -> None:
    subprocess.run([sys.executable, "-m", *command], check=True)


if __name__ == "__main__":
    main()
