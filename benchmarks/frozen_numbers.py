"""Freeze every number before a change that must not alter any, and compare after it.

::

    python benchmarks/frozen_numbers.py write before        # on the old code
    python benchmarks/frozen_numbers.py write after         # on the new code, on the same machine
    python benchmarks/frozen_numbers.py compare before after

Numbers are compared bit for bit: every metric under every protocol on six tables (values, intervals, nulls,
replicates, per-factor scores, details, signatures), hashes of samples of every bundled data set, and hashes of the
weights of a short training run of every method. Notes are prose and are not compared; JSON may gain keys.
Only public names and the command line are used, so that one file serves both sides.
"""

import argparse
import hashlib
import json
import subprocess
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

import disentmetrics as dm

TIMES = ["seconds", "steps_per_second"]  # columns of histories
PROSE = {"notes", "undefined", "version"}


def tables() -> Iterator[tuple[str, dm.Representation]]:
    """Yield six small tables that cover every property that metrics distinguish."""
    rng = np.random.default_rng(0)
    grid = np.indices((3, 4, 5)).reshape(3, -1).T.repeat(4, axis=0)
    clean = grid + 0.1 * rng.normal(size=grid.shape)
    rotated = clean @ np.linalg.qr(rng.normal(size=(3, 3)))[0]
    dead = rng.normal(size=(len(grid), 2)) * 1e-3
    codes = np.column_stack([clean, rotated[:, :1], dead])
    log_variance = np.concatenate([np.full((len(grid), 4), -4.0), np.full((len(grid), 2), -1e-4)], axis=1)
    yield "posterior", dm.Representation(codes, grid, log_variance=log_variance)
    yield "rotated", dm.Representation(rotated, grid)

    age = rng.uniform(20, 70, 400)
    angle = rng.uniform(0, 360, 400)
    kind = rng.integers(3, size=400)
    labels = {"age": np.where(rng.random(400) < 0.1, np.nan, age), "angle": angle, "kind": kind.astype(float)}
    donors = rng.integers(25, size=400)
    observed = np.column_stack(
        [
            age / 10,
            np.cos(np.radians(angle)),
            np.sin(np.radians(angle)),
            kind + 0.3 * rng.normal(size=400),
            rng.normal(size=400),
        ]
    )
    kinds: Any = {"age": "continuous", "angle": "continuous", "kind": "categorical"}
    yield "missing", dm.Representation(observed, labels, kinds=kinds, groups=donors)
    yield (
        "weighted",
        dm.Representation(
            observed,
            {"angle": np.digitize(angle, [90, 180, 270]), "kind": kind},
            weights=rng.uniform(0.2, 1, 400),
            kinds={"angle": "circular", "kind": "categorical"},
        ),
    )
    symbols = np.column_stack([grid[:, 0], grid[:, 1], (grid[:, 2] + grid[:, 0]) % 5])
    yield "symbols", dm.Representation(symbols, grid, sequential=True)
    yield "encoded", dm.encode("baseline:pca", dm.load_dataset("blobs"), n_samples=400, seed=1, cache=False)


SLOW = {  # resampled only on the first table, under the default protocol
    *("dci_es", "dci", "higgins", "tmex", "reduced_downstream", "block_identifiability", "unfairness", "nk"),
    *("downstream_accuracy", "downstream_efficiency", "k_sparse_probing", "loss_data_curve", "wsepin", "windin"),
    *("nonlinear_r2", "compositional_accuracy", "infomec", "strong_downstream", "factorised_support"),
    *("unique_information", "explicitness", "sap"),
}


def cards(folder: Path) -> None:
    """Write values of every metric under every protocol; intervals and nulls of slow ones only on the first table."""
    for name, representation in tables():
        requests: list[tuple[str, str | list[str], dict[str, Any]]] = [
            ("values", "all", {"interval": None, "null": False})
        ]
        every = list(dm.score(representation, "all", interval=None, null=False))
        if name in {"posterior", "missing", "weighted", "rotated"}:
            quick = [metric for metric in every if metric.partition("@")[0] not in SLOW]
            method = "half-sampling" if name == "rotated" else "jackknife"
            requests.append((method, quick, {"interval": method}))
        if name == "posterior":
            requests.append(("slow", [metric for metric in every if metric in SLOW], {}))
        for kind, metrics, options in requests:
            path = folder / f"card-{name}-{kind}.json"
            if not path.exists():
                print(path.name, flush=True)
                dm.score(representation, metrics, seed=3, n_jobs=-1, **options).to_json(path)


def datasets(folder: Path) -> None:
    """Write hashes of ten rows of every data set that needs no download, in three draws."""
    hashes = {}
    for listed in dm.list_datasets():
        if not listed.offline or listed.name == "folder":  # a folder provided by the user
            continue
        data = dm.load_dataset(listed.name)
        for seed in range(3):
            draws = data.sample(10, np.random.default_rng(seed))
            digest = hashlib.sha256(np.ascontiguousarray(draws.factors).tobytes())
            digest.update(np.ascontiguousarray(data.observations(draws.factors, draws.nuisance)).tobytes())
            hashes[f"{listed.name}/{seed}"] = digest.hexdigest()
        hashes[f"{listed.name}/fingerprint"] = data.fingerprint
    (folder / "datasets.json").write_text(json.dumps(hashes, indent=1))


def runs(folder: Path) -> None:
    """Write hashes of the weights and the history of a short run of every method."""
    command = [sys.executable, "-m", "disentmetrics"]
    listed = subprocess.run([*command, "train"], check=True, capture_output=True, text=True).stdout
    methods = [line.split(":")[0] for line in listed.splitlines() if line and not line.startswith(" ")]
    hashes = {}
    for method in methods:
        out = folder / "runs" / method
        if not out.exists():
            print(method, flush=True)
            settings = ["--preset", "smoke", "--set", "n_steps=30", "--set", "batch_size=16"]
            settings += ["--seed", "1", "--device", "cpu", "--quiet"]
            done = subprocess.run(
                [*command, "train", method, "--data", "blobs", *settings, "--out", str(out)],
                check=False,
                capture_output=True,
                text=True,
            )
            if done.returncode:
                hashes[method] = f"failed: {done.stderr}"
        for file in sorted(out.rglob("*.safetensors")):
            hashes[f"{method}/{file.name}"] = hashlib.sha256(file.read_bytes()).hexdigest()
        for file in sorted(out.rglob("history.parquet")):
            history = pl.read_parquet(file).drop(TIMES, strict=False)
            hashes[f"{method}/{file.name}"] = hashlib.sha256(
                json.dumps(history.to_dict(as_series=False)).encode()
            ).hexdigest()
    (folder / "runs.json").write_text(json.dumps(hashes, indent=1))


def differences(before: Any, after: Any, path: str = "") -> Iterator[str]:
    """Yield where two JSON values differ; keys may be added and prose may change."""
    if isinstance(before, dict) and isinstance(after, dict):
        for key, value in before.items():
            if key in PROSE:
                continue
            if key not in after:
                yield f"{path}/{key} is missing"
            else:
                yield from differences(value, after[key], f"{path}/{key}")
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for index, (old, new) in enumerate(zip(before, after, strict=True)):
            yield from differences(old, new, f"{path}[{index}]")
    elif before != after:
        yield f"{path}: {before!r} is now {after!r}"


def compare(before: Path, after: Path) -> int:
    """Print every difference, and return the exit code."""
    count = n_files = 0
    for file in sorted(before.glob("*.json")):
        n_files += 1
        if not (after / file.name).exists():
            print(f"{file.name} is missing")
            count += 1
            continue
        old, new = (json.loads((folder / file.name).read_text()) for folder in (before, after))
        for line in differences(old, new):
            count += 1
            print(f"{file.name}{line}"[:240])
    print(f"{n_files} files compared, {count} differences")
    return 1 if count or not n_files else 0


def main() -> int:
    """Write or compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("action", choices=["write", "compare"])
    parser.add_argument("folders", nargs="+", type=Path)
    given = parser.parse_args()
    if given.action == "compare":
        return compare(*given.folders)
    (folder,) = given.folders
    folder.mkdir(parents=True, exist_ok=True)
    failed = 0
    for step in (datasets, runs, cards):
        try:
            step(folder)
        except Exception:  # noqa: BLE001 - the other steps can still be written
            traceback.print_exc()
            failed = 1
    return failed


if __name__ == "__main__":
    sys.exit(main())
