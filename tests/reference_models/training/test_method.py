"""Configurations know their method, and errors about invalid settings state the requirement."""

import dataclasses
from typing import Any

import numpy as np
import pytest
from disentmetrics_reference_models.training.config import Config
from disentmetrics_reference_models.training.evidence import Terms
from disentmetrics_reference_models.training.method import method
from disentmetrics_reference_models.training.registry import find_method, find_methods
from disentmetrics_reference_models.training.train import train
from numpy.typing import NDArray

from disentmetrics.datasets.base import DataSet
from disentmetrics.errors import InvalidInputError
from disentmetrics.factors import Factor, FactorSpace


def test_a_configuration_knows_its_method() -> None:
    for name, declared in find_methods().items():
        config = declared.preset("smoke")
        assert config.method is declared
        assert config.changed({"seed": 3}).method.name == name


def test_a_configuration_without_a_method_cannot_be_trained(spots: DataSet) -> None:
    class Derived(find_method("beta_vae").config):  # type: ignore[misc]
        """A derived configuration is not that of its base class."""

    for config in (Config(), Derived()):
        with pytest.raises(InvalidInputError, match=f"{type(config).__name__} does not belong to a method"):
            train(config, spots, device="cpu")


def test_a_configuration_belongs_to_one_method() -> None:
    def second(model: Any, batch: Any, weights: Any, config: Any) -> Terms:
        raise NotImplementedError

    with pytest.raises(InvalidInputError, match="already belongs to beta_vae; derive a class from it for second"):
        method(config=find_method("beta_vae").config, paper="none")(second)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"betta": 3}, "no field 'betta'; did you mean 'beta'"),
        ({"beta": "much"}, "beta must be a number; got 'much'"),
        ({"architecture": "burges"}, "did you mean 'burgess'"),
        ({"n_codes": 0}, "n_codes must be at least 1"),
        ({"optimizer": "lion"}, "optimizer must be one of adam"),
        ({"learning_rate": -1}, "learning_rate must be above 0"),
    ],
)
def test_wrong_settings_report_the_requirement(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        find_method("beta_vae").preset("smoke").changed(changes)


def test_presets_are_named() -> None:
    assert dataclasses.asdict(find_method("beta_vae").preset("paper"))["beta"] == 4.0
    with pytest.raises(InvalidInputError, match="did you mean 'smoke'"):
        find_method("beta_vae").preset("smokey")


class Named(DataSet):
    space = FactorSpace([Factor("a", 2, "ordinal")])
    fingerprint = "named-1"
    observation_shape = (64, 64, 3)

    def __init__(self, name: str) -> None:
        self.name = name

    def make(self, factors: NDArray[np.int64], nuisance: NDArray[np.uint64]) -> NDArray[np.uint8]:
        return np.zeros((len(factors), 64, 64, 3), np.uint8)


def test_the_paper_preset_is_the_row_of_the_data_set_where_the_paper_has_one() -> None:
    shapes = find_method("factor_vae").preset("paper", Named("shapes3d"))
    assert dataclasses.asdict(shapes).items() >= {"architecture": "kim-rgb", "gamma": 7.0, "n_steps": 1_000_000}.items()
    betas = [find_method("beta_vae").preset("paper", Named(name)).weights["beta"] for name in ("chairs3d", "celeba")]
    assert betas == [5.0, 250.0]
    capacity = find_method("capacity_vae").preset("paper", Named("celeba"))
    assert (capacity.n_codes, capacity.weights["capacity"]) == (32, 50.0)
    for name in ("isa_vae", "isa_tcvae", "beta_tcvae"):
        for data in ("faces3d", "faces-like"):  # which takes its place
            assert find_method(name).preset("paper", Named(data)).architecture == "chen-conv"
    assert find_method("beta_vae").preset("paper", Named("rooms")) == find_method("beta_vae").preset("paper")
    assert find_method("beta_vae").preset("small", Named("chairs3d")).weights["beta"] == 4.0


def test_a_note_says_where_the_paper_has_no_settings_for_the_data() -> None:
    method = find_method("factor_vae")
    for data in ("dsprites", "shapes3d"):
        assert method.preset_note("paper", Named(data)) == ""
    assert method.preset_note("smoke", Named("rooms")) == ""
    assert "none are published for rooms; published: dsprites, shapes3d" in method.preset_note("paper", Named("rooms"))
    assert "for faces3d, whose place faces-like takes" in method.preset_note("paper", Named("faces-like"))


@pytest.mark.parametrize("name", sorted(find_methods()))
def test_every_published_row_is_a_valid_configuration(name: str) -> None:
    method = find_method(name)
    for data in method.published:
        config = method.preset("paper", Named(data))
        assert method.config(**dataclasses.asdict(config)) == config
