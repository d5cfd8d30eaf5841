"""Evaluation of trained models under their own priors: scores agree with each other and with closed forms."""

import json
import math
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from disentmetrics_reference_models.analysis import generative_evaluation
from disentmetrics_reference_models.analysis.density_ratio import density_ratio
from disentmetrics_reference_models.analysis.generative_evaluation import NAMES, GenerativeReport, evaluate_run
from disentmetrics_reference_models.analysis.posterior_evaluation import decompose_kl
from disentmetrics_reference_models.analysis.posteriors import encode_draws, kl_per_latent, random_draws
from disentmetrics_reference_models.analysis.traversals import traversal_images
from disentmetrics_reference_models.cli import _run_data
from disentmetrics_reference_models.training.registry import find_method
from disentmetrics_reference_models.training.run import Run
from disentmetrics_reference_models.training.run_folder import save_run
from disentmetrics_reference_models.training.train import train
from torch import Tensor

import disentmetrics as dm
from disentmetrics import cli
from disentmetrics.datasets.base import DataSet
from disentmetrics.encoders.protocol import Posterior
from disentmetrics.errors import InvalidInputError

FEW: dict[str, Any] = {"n_images": 5, "n_particles": 50, "n_samples": 500}
OWN_PRIORS: dict[str, dict[str, Any]] = {
    "vae": {},
    "info_dropout": {},
    "isa_vae": {"learned_exponents": True},
    "decomposition_vae": {"prior": "anisotropic", "spectrum": "3,2,1,0,-1,-2"},
}


@pytest.fixture(scope="module")
def runs(spots: DataSet) -> dict[str, Run]:
    tiny: dict[str, Any] = {"architecture": "small-fc", "batch_size": 36, "n_steps": 150, "learning_rate": 5e-3}
    return {
        name: train(find_method(name).preset("smoke").changed({**tiny, **changes}), spots, device="cpu")
        for name, changes in OWN_PRIORS.items()
    }


@pytest.fixture(scope="module")
def reports(runs: dict[str, Run], spots: DataSet) -> Iterator[dict[str, GenerativeReport]]:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(generative_evaluation, "density_ratio", partial(density_ratio, n_steps=300))
        yield {
            name: evaluate_run(run, spots, n_images=36, n_particles=50, n_samples=4_000) for name, run in runs.items()
        }


@pytest.fixture
def _short_training(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(generative_evaluation, "density_ratio", partial(density_ratio, n_steps=2))


def posteriors_on_grid(run: Run, data: DataSet) -> Posterior:
    return encode_draws(run, data, data.full_grid())


@pytest.mark.parametrize("name", OWN_PRIORS)
def test_the_numbers_of_a_model_agree_under_its_own_prior(
    name: str, runs: dict[str, Run], reports: dict[str, GenerativeReport]
) -> None:
    run, report = runs[name], reports[name]
    assert tuple(report.estimates) == NAMES
    value = {key: estimate.value for key, estimate in report.estimates.items()}
    assert value["kl"] == pytest.approx(run.history["kl"][-1], rel=0.2, abs=0.3)
    parts = value["mutual_information"] + value["total_correlation"] + value["dimension_wise_kl"]
    assert parts == pytest.approx(value["kl"], rel=0.05, abs=0.1)
    assert value["reconstruction"] - value["kl"] == pytest.approx(value["evidence_lower_bound"], rel=0.02)
    assert value["importance_weighted_bound"] > value["evidence_lower_bound"]
    assert report.posteriors.kl_of_code.sum() == pytest.approx(value["kl"])
    # A batch of all 36 images: both estimates are the mixture itself.
    for estimate in ("mws", "mss"):
        error = 4 * report[f"total_correlation_{estimate}"].standard_error + 0.1
        assert value[f"total_correlation_{estimate}"] == pytest.approx(value["total_correlation"], abs=error)
    assert -0.05 < value["total_correlation_density_ratio"] < value["total_correlation"] + 0.2


def test_the_density_ratio_agrees_with_the_mixture_estimate(reports: dict[str, GenerativeReport]) -> None:
    report = reports["vae"]
    ratio, mixture = report["total_correlation_density_ratio"].value, report["total_correlation"].value
    assert mixture > 0.3
    assert 0.25 * mixture < ratio < 1.1 * mixture  # it underestimates narrow posteriors, above all after few steps


def test_the_kl_from_the_standard_normal_is_the_closed_form(runs: dict[str, Run], spots: DataSet) -> None:
    posteriors = posteriors_on_grid(runs["vae"], spots)
    mean, log_variance = np.asarray(posteriors.mean), np.asarray(posteriors.log_variance)
    expected = 0.5 * (mean**2 + np.exp(log_variance) - 1 - log_variance).mean(0)
    assert kl_per_latent(posteriors) == pytest.approx(expected, rel=1e-5)
    variance = torch.tensor([3.0, 2, 1, 0, -1, -2]).softmax(0).numpy() * 6
    posteriors = posteriors_on_grid(runs["decomposition_vae"], spots)
    mean, log_variance = np.asarray(posteriors.mean), np.asarray(posteriors.log_variance)
    expected = 0.5 * ((mean**2 + np.exp(log_variance)) / variance - 1 - log_variance + np.log(variance)).mean(0)
    assert kl_per_latent(posteriors) == pytest.approx(expected, rel=1e-4)


def test_the_kl_without_a_closed_form_agrees_with_many_samples(runs: dict[str, Run], spots: DataSet) -> None:
    posteriors = posteriors_on_grid(runs["isa_vae"], spots)
    first = kl_per_latent(posteriors)
    mean, log_variance = np.asarray(posteriors.mean, np.float64), np.asarray(posteriors.log_variance, np.float64)
    prior = runs["isa_vae"].prior

    def log_prior(codes: Any) -> Any:
        with torch.inference_mode():
            return prior.log_density(torch.from_numpy(codes)).sum(1).numpy()

    total = decompose_kl(mean, log_variance, n_samples=20_000, log_prior=log_prior).kl
    assert first.sum() == pytest.approx(total, abs=0.15)


def test_latents_are_traversed_in_the_order_of_the_kl_from_their_own_prior(
    runs: dict[str, Run], spots: DataSet
) -> None:
    run = runs["decomposition_vae"]
    shown = traversal_images(run, spots, n_values=2)
    assert shown.kl == pytest.approx(np.sort(kl_per_latent(posteriors_on_grid(run, spots)))[::-1], rel=1e-4)
    means = np.asarray(posteriors_on_grid(run, spots).mean)
    assert shown.codes.tolist() != np.argsort(-(means**2).mean(0), kind="stable").tolist()


@pytest.mark.usefixtures("_short_training")
def test_an_uninformative_model_is_evaluated_exactly(runs: dict[str, Run], spots: DataSet) -> None:

    class Black(torch.nn.Module):
        def forward(self, codes: Tensor) -> Tensor:
            return torch.full((len(codes), 1, 16, 16), -3.0)

    class Silent(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.unused = torch.nn.Parameter(torch.zeros(1))  # determines the device of the model

        def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
            return torch.zeros(len(images), 6), torch.zeros(len(images), 6)

    run = train(runs["vae"].config.changed({"n_steps": 1}), spots, device="cpu")
    run.model.encoder, run.model.decoder = Silent(), Black()
    report = evaluate_run(run, spots, **FEW)
    truth = -240 * math.log1p(math.exp(-3)) - 16 * math.log1p(math.exp(3))
    for name in NAMES[:3]:
        assert report[name].value == pytest.approx(truth, rel=1e-5)
    assert report["kl"].value == 0
    assert [report[name].value for name in NAMES[4:7]] == pytest.approx([0, 0, 0], abs=1e-6)
    assert not report.posteriors.active.any()
    assert report.as_dict()["estimates"]["hoyer_sparsity"]["value"] is None


def test_all_images_are_bounded_on_request(runs: dict[str, Run], spots: DataSet) -> None:
    few: dict[str, Any] = {"n_rows": 20, "n_particles": 20, "n_samples": 100}
    whole = evaluate_run(runs["vae"], spots, n_images=None, **few)
    assert whole["importance_weighted_bound"].how == "36 images, 20 particles"
    endless = dm.load_dataset("linear-gaussian")
    with pytest.raises(InvalidInputError, match="has no finite number of images"):
        generative_evaluation._all_draws(endless, 0)


def test_draws_are_limited_by_the_size_of_the_data_set(spots: DataSet) -> None:
    assert len(random_draws(spots, 10, np.random.default_rng(0))) == 10
    all_of_them = random_draws(spots, 100, np.random.default_rng(0))
    assert len(np.unique(all_of_them.factors, axis=0)) == 36


@pytest.mark.parametrize("name", ["n_rows", "n_images", "n_samples"])
def test_invalid_settings_raise_errors(name: str, runs: dict[str, Run], spots: DataSet) -> None:
    settings: dict[str, Any] = {name: 1}
    with pytest.raises(InvalidInputError, match=f"{name} must be at least 2; got 1"):
        evaluate_run(runs["vae"], spots, **settings)


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, spots: DataSet) -> Callable[..., object]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("COLUMNS", raising=False)  # otherwise names are wrapped
    monkeypatch.setattr(_run_data, "load_dataset", lambda _: spots)

    def ran(*arguments: str) -> object:
        monkeypatch.setattr(sys, "argv", ["disentmetrics", "evaluate", *arguments])
        with pytest.raises(SystemExit) as stopped:
            cli.main()
        return stopped.value.code

    return ran


@pytest.mark.usefixtures("_short_training")
def test_the_command_prints_the_table_or_json(
    runs: dict[str, Run], command: Callable[..., object], capsys: pytest.CaptureFixture[str]
) -> None:
    save_run(runs["isa_vae"], "run")
    few = ("--data", "spots", "--images", "2", "--particles", "5")
    assert command("run", *few) == 0
    shown = capsys.readouterr()
    for name in (*NAMES, "kl of latent 5"):
        assert name in shown.out
    assert "isa_vae on spots; prior: LpNested" in shown.err
    assert command("reference:run", *few, "--json") == 0
    read = json.loads(capsys.readouterr().out)
    assert set(read["estimates"]) == set(NAMES)
    assert len(read["kl_of_code"]) == 6
    assert command("nowhere", *few) == 2
    assert "a run must be a folder" in capsys.readouterr().err
