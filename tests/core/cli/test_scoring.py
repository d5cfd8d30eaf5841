"""``score`` and ``encode``."""

import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import disentmetrics as dm
from disentmetrics.encoders import encode
from disentmetrics.scoring.presets import PRESETS

Run = Callable[..., Any]
FAST = ("--interval", "none", "--no-null", "--jobs", "1")
FEW = ("--data", "dsprites", "--samples", "300")


def test_an_encoder_is_scored_on_a_data_set(run: Run) -> None:
    ran = run("score", "baseline:random", *FEW, *FAST)
    assert ran.code == 0
    assert ran.out.startswith("None of 5 factors is disentangled")
    table = ran.out[ran.out.index("\nmetric ") + 1 :]
    assert [line.split()[0] for line in table.splitlines()[:3]] == ["metric", "Does", "modularity_adj"]
    assert ran.out.count("|encoder:") == 1
    assert "data:dsprites-1|draw:uniform/0|encoder:baseline-random-10-seed-0" in ran.out
    assert "first batch: observations uint8" in ran.err


def test_a_table_is_scored_and_inferred_columns_are_noted(run: Run, table: Path) -> None:
    ran = run("score", "--codes", table, "--metrics", "mig", *FAST)
    assert ran.code == 0
    assert "größe is ordinal" in ran.err
    assert "größe is ordinal" not in ran.out
    assert "factors: größe (ordinal" in ran.out
    with np.load(table) as arrays:
        value = dm.metrics.mig(arrays["codes"], arrays["factors"]).value
    assert f"{value:.3f}" in ran.out
    assert re.search(r"by factor +größe +\[/b\]", ran.out)


def test_full_signatures_are_printed_on_request(run: Run, table: Path) -> None:
    scored = ("score", "--codes", table, "--metrics", "mig,dci", *FAST)
    short, full = (run(*scored, *more).out for more in ((), ("--signatures",)))
    card = dm.ScoreCard.from_json(run(*scored, "--json").out)
    assert all(score.signature in full for score in card.values())
    assert not any(score.signature in short for score in card.values())
    assert "shared: " in short


def test_columns_and_kinds_are_chosen(run: Run, csv: Path) -> None:
    ran = run(
        "score", "--codes", csv, "--code-columns", "z?", "--factor-columns", "size,shape", "--kind", "size=circular",
        "--metrics", "mig", *FAST,
    )  # fmt: skip
    assert ran.code == 0
    assert "size is circular as specified" in ran.err
    assert re.search(r"by factor +size +shape", ran.out)


def interrupted(folder: Path) -> Path:
    """Write ages with other text in ten rows, and hours."""
    rng = np.random.default_rng(0)
    age, hour = rng.normal(50, 12, 300).round(1), rng.integers(8, 21, 300)
    turn = hour / 24
    rows = [
        f"{a / 12:.4f},{np.cos(2 * np.pi * t):.4f},{np.sin(2 * np.pi * t):.4f},{'low' if i % 30 == 0 else a},{h}"
        for i, (a, t, h) in enumerate(zip(age, turn, hour, strict=True))
    ]
    path = folder / "ages.csv"
    path.write_text("\n".join(["z0,z1,z2,age,hour", *rows]))
    return path


def test_numbers_that_text_interrupts_are_refused_with_both_ways_out(run: Run, tmp_path: Path) -> None:
    scored = ("score", "--codes", interrupted(tmp_path), "--factor-columns", "age,hour", "--metrics", "mcc", *FAST)
    refused = run(*scored, "--quiet")
    assert refused.code == 2
    assert "290 of 300 rows contain numbers and 10 other text: 'low' in 10 rows" in refused.err.replace("\n", " ")
    assert "--missing 'low'" in refused.err.replace("\n", " ")
    assert "--kind age=categorical" in refused.err.replace("\n", " ")
    missing = run(*scored, "--missing", "low", "--quiet")
    assert missing.code == 0
    assert "age (continuous)" in missing.out
    assert "factor age: read as missing labels: 'low' in 10 rows" in missing.out
    named = run(*scored, "--kind", "age=categorical", "--quiet")
    assert named.code == 0
    assert "age (categorical, " in named.out


def test_a_period_is_given_with_the_kind_and_verified_from_the_card(run: Run, tmp_path: Path) -> None:
    path, card = interrupted(tmp_path), tmp_path / "card.json"
    scored = ("score", "--codes", path, "--factor-columns", "age,hour", "--missing", "low", "--metrics", "linear_r2")
    ran = run(*scored, "--kind", "hour=circular:24", "--out", card, *FAST, "--quiet")
    assert ran.code == 0
    assert "hour (circular, 13, period 24)" in ran.out
    plain = json.loads(card.read_text())
    assert plain["about"]["kinds"] == {"age": "continuous", "hour": "circular:24"}
    assert plain["scores"]["linear_r2"]["per_factor"]["hour"] > 0.999
    assert run("verify", card, "--codes", path, "--quiet").code == 0
    unknown = run(*scored, "--kind", "hour=circular", *FAST)
    assert unknown.code == 2
    assert "--kind hour=circular:360" in unknown.err.replace("\n", " ")
    for wrong in ("hour=circular:x", "hour=circl", "circular"):
        assert run(*scored, "--kind", wrong, *FAST).code == 2


def test_quiet_leaves_the_numbers_alone(run: Run, table: Path) -> None:
    loud, quiet = (run("score", "--codes", table, "--metrics", "mig", *FAST, *more) for more in ((), ("-q",)))
    assert quiet.out == loud.out
    assert quiet.err == ""
    assert run("score", "baseline:random", *FEW, "--metrics", "mig", *FAST, "--quiet").err == ""


@pytest.mark.parametrize("of", ["encoder", "table"])
def test_json_stands_alone_on_standard_output(run: Run, table: Path, of: str) -> None:
    source = ("baseline:random", *FEW) if of == "encoder" else ("--codes", table)
    ran = run("score", *source, "--metrics", "mig,factorvae", "--json", *FAST)
    assert ran.code == 0
    plain = json.loads(ran.out, parse_constant=lambda name: pytest.fail(f"JSON holds {name}"))
    assert list(plain["scores"]) == ["mig", "factorvae"]
    assert dm.ScoreCard.from_json(ran.out)["mig"].value == plain["scores"]["mig"]["value"]
    assert ran.err


def test_the_card_is_written_to_a_folder_that_is_made(run: Run, table: Path, tmp_path: Path) -> None:
    path = tmp_path / "new folder" / "größer" / "card.json"
    ran = run("score", "--codes", table, "--metrics", "mig", "--out", path, *FAST)
    assert ran.code == 0
    assert f"score card written to {path}" in ran.err
    assert list(dm.ScoreCard.from_json(path)) == ["mig"]
    assert [p.name for p in path.parent.iterdir()] == ["card.json"]


@pytest.mark.parametrize(
    ("asked", "scored"),
    [
        ("mig", ["mig"]),
        (" mig , factorvae@kim2018,", ["mig", "factorvae@kim2018"]),
        ("mig,mig", ["mig"]),
        (" drvi ", list(PRESETS["drvi"].metrics)),
    ],
)
def test_metrics_are_named_with_or_without_spaces(run: Run, table: Path, asked: str, scored: list[str]) -> None:
    ran = run("score", "--codes", table, "--metrics", asked, "--json", *FAST)
    assert list(json.loads(ran.out)["scores"]) == scored


def test_a_refused_metric_gives_a_reason_and_the_others_run(run: Run, table: Path) -> None:
    ran = run("score", "--codes", table, "--metrics", "mig@chen2018,mig", *FAST)
    assert ran.code == 0
    assert re.search(r"^mig@chen2018 +undefined", ran.out, re.MULTILINE)
    assert "• mig@chen2018: undefined: mig@chen2018 needs posterior variances" in ran.out


def test_a_file_of_encode_is_scored_like_the_encoder(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "folder ü" / "codes.h5"
    ran = run("encode", "baseline:random", *FEW, "--out", path)
    assert (ran.code, ran.out) == (0, "")
    assert "Representation(300 rows, 10 latents, factors: shape (categorical, 3)" in ran.err
    direct = json.loads(run("score", "baseline:random", *FEW, "--json", *FAST).out)
    stored = json.loads(run("score", "--codes", path, "--json", *FAST).out)
    assert direct["about"]["data_spec"] == "dsprites"
    assert stored == direct


def test_a_second_score_encodes_nothing(run: Run, tmp_path: Path) -> None:
    (tmp_path / "encoder.py").write_text(
        "import pathlib\n"
        "def encode(images):\n"
        "    with open('calls', 'a') as calls: calls.write('x')\n"
        "    return images.reshape(len(images), -1)[:, ::500] / 255.0 + images.mean(axis=(1, 2))\n"
    )
    spec = "python:encoder.py:encode?fingerprint=mine-1"
    cards = [
        run("score", spec, *FEW, "--metrics", "mig", "--json", *FAST, *more).out for more in ((), (), ["--no-cache"])
    ]
    assert cards[0] == cards[1] == cards[2]
    assert (tmp_path / "calls").read_text() == "x" * (
        2 + 1
    ) * 2  # 2 batches and the repeated rows, except for the second run


def test_numbers_do_not_depend_on_the_number_of_jobs(run: Run, table: Path) -> None:
    one, two = (run("score", "--codes", table, "--metrics", "mig", "--json", "--jobs", jobs).out for jobs in (1, 2))
    assert one == two


def test_a_small_data_set_is_encoded_completely(run: Run) -> None:
    ran = run("score", "baseline:random", "--data", "blobs", "--metrics", "modularity", *FAST)
    assert "blobs has 1024 rows: all are encoded" in ran.err
    assert "|rows:1024|" in ran.out


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("raise ValueError('no memory')", "failed with ValueError in batch 0 (rows 0 to 15): no memory"),
        ("return images[:, 0, 0, 0] + 0.5", "n_codes"),
        ("return images.reshape(len(images), -1)[:5] / 1.0", "must return codes of shape (16, n_codes)"),
        ("import random; return [[random.random()] for _ in images]", "gave a list"),
        ("import sys; sys.exit(0)", "failed with SystemExit in batch 0"),
        ("return images.reshape(len(images), -1) * float('nan')", "NaN or infinity"),
    ],
)
def test_an_encoder_that_fails_exits_with_3_and_a_sentence(run: Run, tmp_path: Path, body: str, message: str) -> None:
    (tmp_path / "bad.py").write_text(f"def encode(images):\n    {body}\n")
    for command in (("score", "--out", "out.json"), ("encode", "--out", "out.h5")):
        ran = run(*command, "python:bad.py:encode", *FEW, "--batch-size", 16)
        assert ran.code == 3
        assert message in ran.sentence
    assert not list(tmp_path.glob("out*"))


def test_a_program_that_crashes_exits_with_3(run: Run) -> None:
    ran = run("score", f"exec:{sys.executable} -c 'raise SystemExit(7)'", *FEW)
    assert ran.code == 3
    assert "exit code 7" in ran.sentence


def test_a_card_fits_80_columns_unbroken(narrow: Run, tmp_path: Path, rng: np.random.Generator) -> None:
    factors = rng.integers(4, size=(400, 5))
    path = tmp_path / "codes.npz"
    names = ["shape", "scale", "orientation", "x", "y"]
    np.savez(path, codes=factors + rng.normal(size=factors.shape), factors=factors, factor_names=names)
    lines = narrow(
        "score", "--codes", path, "--metrics", "mig,factorvae@locatello2019", "-q", "-j", "1"
    ).out.splitlines()
    head = next(number for number, line in enumerate(lines) if line.startswith("metric"))
    assert all(len(line) <= 80 for line in lines[:head])
    lines = lines[head:]
    row = r"mig +0\.\d{3} +\[0\.\d{3}, 0\.\d{3}\] +0\.\d{3} +0\.\d{3} +(0\.\d{3}|≤ 0\.01)"
    assert re.fullmatch(row, lines[2].rstrip())
    row = r"factorvae@locatello2019 +\d\.\d{3} +\[\d\.\d{3}, \d\.\d{3}\] +(\d\.\d{3} +){2}(\d\.\d{3}|[≤≈] 0\.0\d)"
    assert re.fullmatch(row, lines[4].rstrip())
    by_factor = next(number for number, line in enumerate(lines) if line.startswith("by factor"))
    assert lines[by_factor].split() == ["by", "factor", *names]
    assert all(len(line) <= 80 for line in lines[: by_factor + 3])


def test_the_sheet_and_the_separator_of_a_table_can_be_named(run: Run) -> None:
    Path("t.csv").write_text("z0|z1|v\n" + "\n".join(f"{i}|{i % 7}|{i % 3}" for i in range(60)), encoding="utf-8")
    ran = run("score", "--codes", "t.csv", "--separator", "|", "--metrics", "mig", *FAST, "--json")
    assert json.loads(ran.out)["about"]["factors"] == ["v"]
    assert (
        "--sheet cannot be combined with an encoder"
        in run("score", "baseline:random", "--data", "dsprites", "--sheet", "a").err
    )


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """A folder of 60 images with a table of the shape and position of each."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    rows = ["image,shape,place"]
    for number in range(60):
        pixels = np.zeros((8, 8, 3), np.uint8)
        pixels[number % 6, :: 1 + number % 2] = 40 + 3 * number
        Image.fromarray(pixels).save(folder / f"{number}.png")
        rows.append(f"{number}.png,{('line', 'dots')[number % 2]},{number % 6}")
    (folder / "labels.csv").write_text("\n".join(rows) + "\n")
    return folder


def test_all_rows_of_a_folder_of_images_are_scored(run: Run, pictures: Path) -> None:
    ran = run("score", "baseline:pixels", "--data", f"folder:{pictures}", "--samples", "all", "--metrics", "mcc", *FAST)
    assert ran.code == 0
    assert "|rows:60|" in ran.out
    grid = run("score", "baseline:pixels", "--data", f"folder:{pictures}", "--full-grid", "--metrics", "mcc", *FAST)
    assert grid.out == ran.out


def test_rows_of_a_folder_are_clustered_by_a_column_of_names(run: Run, pictures: Path) -> None:
    data = f"folder:{pictures}?groups=shape"
    ran = run("score", "baseline:pca?n_codes=3", "--data", data, "--samples", "all", "--metrics", "mig", *FAST)
    assert ran.code == 0, ran.err
    assert "|rows:60|" in ran.out


@pytest.mark.parametrize("samples", ["0", "-1", "none", "1.5", "1e3"])
def test_a_number_of_rows_is_whole_or_all(run: Run, samples: str) -> None:
    ran = run("score", "baseline:pca", "--data", "dsprites", "--samples", samples)
    assert ran.code == 2
    assert f"it must be a whole number from 1, or all; got '{samples}'" in ran.sentence


def test_of_infinite_data_any_number_of_rows_is_scored(run: Run) -> None:
    for data, n_rows in (("linear-ica", 300), ("digits-affine", 23_000)):  # continuous factors; a nuisance
        ran = run("score", "baseline:factors", "--data", data, "--samples", n_rows, "--metrics", "modularity", *FAST)
        assert ran.code == 0, ran.err
        assert f"|rows:{n_rows}|" in ran.out
    assert "linear-ica has no full grid" in run("score", "baseline:factors", "--data", "linear-ica", "--full-grid").err


def test_of_infinite_data_a_default_number_is_scored(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encode, "DEFAULT_SAMPLES", 250)
    ran = run("score", "baseline:factors", "--data", "pinwheel", "--metrics", "modularity", *FAST)
    assert "|rows:250|" in ran.out
