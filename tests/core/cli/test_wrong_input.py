"""Invalid input is reported in one sentence, before any work."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import disentmetrics as dm

Run = Callable[..., Any]
FEW = ("--data", "dsprites", "--samples", "300")


ENCODER = ("score", "baseline:random")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("score",), "got neither; see disentmetrics score --help"),
        ((*ENCODER, "--codes", "codes.csv", "--data", "dsprites"), "got both"),
        (ENCODER, "give --data, such as --data dsprites"),
        ((*ENCODER, "--data", "dsprite"), "did you mean 'dsprites'?"),
        ((*ENCODER, "--data", "dsprites?sorce=x"), "has no option 'sorce'; did you mean 'source'"),
        ((*ENCODER, "--data", ""), "a data set must be given as NAME"),
        ((*ENCODER, "--data", "dsprites:missing.npz"), "missing.npz"),
        ((*ENCODER, *FEW, "--full-grid"), "either --samples or --full-grid"),
        ((*ENCODER, "--data", "dsprites", "--samples", "800000"), "at most 737,280, the rows of dsprites; got 800,000"),
        ((*ENCODER, *FEW, "--kind", "x=ordinal"), "--kind cannot be combined with an encoder"),
        (("score", "basline:random", *FEW), "did you mean 'baseline'?"),
        (("score", "baseline:rndom", *FEW), "did you mean 'random'?"),
        (("score", "baseline:random?n_code=3", *FEW), "no option 'n_code'; did you mean 'n_codes'?"),
        (("score", "random", *FEW), "an encoder is specified as scheme:target"),
        (("score", "", *FEW), "an encoder is specified as scheme:target"),
        (("score", "python:no_such_file.py:f", *FEW), "no_such_file.py"),
        (("score", "--codes", "codes.csv", "--metrics", "mgi"), "did you mean 'mig'?"),
        (("score", "--codes", "codes.csv", "--metrics", "mig@chen"), "did you mean 'chen2018'?"),
        (("score", "--codes", "codes.csv", "--metrics", " ,"), "must name at least one metric"),
        (("score", "--codes", "codes.csv", "--metrics", ""), "must name at least one metric"),
        (("score", "--codes", "codes.csv", "--samples", "5"), "--samples cannot be combined with --codes"),
        (("score", "--codes", "codes.csv", "--kind", "size"), "--kind must be name=kind"),
        (("score", "--codes", "codes.csv", "--kind", "size=round"), "a kind must be one of"),
        (("score", "--codes", "codes.csv", "--kind", "no=ordinal"), "there is no factor no"),
        (("score", "--codes", "codes.csv", "--code-columns", "y*"), "y*"),
        (("score", "--codes", "codes.csv", "--jobs", "0"), "--jobs must be at least 1, or -1 to use all CPUs"),
        (("score", "--codes", "missing.npz"), "there is no file at missing.npz"),
        (("score", "--codes", "missing.h5"), "there is no such file"),
        (("score", "--codes", "encoded.h5", "--code-columns", "z*"), "--code-columns cannot be combined with a file"),
        (("score", "--codes", "damaged.npz"), "damaged.npz"),
        (("score", "--codes", "damaged.h5"), "must be a complete HDF5 file"),
        (("score", "--codes", "codes.docx"), "a table must be a file of one of these formats"),
        (("score", "--codes", "codes.csv", "--out", "folder"), "folder is a folder"),
        (("score", "--codes", "codes.csv", "--out", "codes.csv/card.json"), "codes.csv is a file"),
        (("encode", "baseline:random", *FEW, "--out", "folder.h5"), "folder.h5 is a folder"),
        (("encode", "baseline:random", *FEW, "--out", "codes.npz"), "ends in .h5"),
        (("score", "--codes", "codes.csv", "--interval", "bootstrap"), "jackknife"),
        (("score", "--codes", "codes.csv", "--seed", "-1"), "--seed"),
        (("score", "--codes", "codes.csv", "--seed", "x"), "--seed"),
        ((*ENCODER, "--data", "dsprites", "--samples", "0"), "--samples"),
        ((*ENCODER, *FEW, "--batch-size", "0"), "--batch-size"),
        ((*ENCODER, *FEW, "--batchsize", "5"), "--batch-size"),
        ((*ENCODER, "another", *FEW), "another"),
        (("encode", "baseline:random", *FEW), "--out"),
        (("scor",), "Did you mean 'score'?"),
        (("metrics", "info", "mgi"), "did you mean 'mig'?"),
        (("datasets", "info", "dsprite"), "did you mean 'dsprites'?"),
        (("datasets", "fetch", "dsprite"), "did you mean 'dsprites'?"),
        (("adapters", "info", "tourch"), "did you mean 'torch'?"),
        (("compare", "missing.json", "missing.json"), "missing.json"),
        (("demo", "--out", "codes.csv"), "codes.csv is a file"),
        (("demo", "--jobs", "0"), "--jobs must be"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
@pytest.mark.usefixtures("no_work")
def test_wrong_input_exits_with_2_and_a_sentence_before_any_work(
    run: Run, csv: Path, tmp_path: Path, arguments: tuple[str, ...], message: str
) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder.h5").mkdir()
    (tmp_path / "damaged.npz").write_bytes(b"PK\x03\x04 nothing")
    (tmp_path / "damaged.h5").write_bytes(b"\x89HDF\r\n\x1a\n nothing")
    dm.Representation(np.eye(3), np.eye(3, dtype=int)).save(tmp_path / "encoded.h5")
    before = sorted(tmp_path.rglob("*"))
    ran = run(*arguments)
    assert ran.code == 2
    assert message in ran.sentence
    assert [path for path in sorted(tmp_path.rglob("*")) if "cache" not in path.parts] == before


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write anywhere")
@pytest.mark.usefixtures("no_work")
def test_a_read_only_folder_is_refused_before_any_work(run: Run, csv: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir(mode=0o500)
    ran = run("score", "--codes", csv, "--out", tmp_path / "mine" / "card.json")
    assert ran.code == 2
    assert "a folder with write permission" in ran.sentence


def test_a_folder_that_may_not_be_written_is_refused(
    run: Run, csv: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda _, mode: mode != os.W_OK)
    assert "a folder with write permission" in run("score", "--codes", csv, "--out", tmp_path / "card.json").sentence
