"""Configurations know their method, and errors about invalid settings state the requirement."""

import dataclasses
from typing import Any

import pytest
from disentmetrics_reference_models.training.config import Config
from disentmetrics_reference_models.training.evidence import Terms
from disentmetrics_reference_models.training.method import method
from disentmetrics_reference_models.training.registry import find_method, find_methods
from disentmetrics_reference_models.training.train import train

from disentmetrics.datasets.base import DataSet
from disentmetrics.errors import InvalidInputError


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
        ({"beta": "much"}, "beta must be a float; got 'much'"),
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
