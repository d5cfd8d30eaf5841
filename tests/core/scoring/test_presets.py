"""Presets contain existing metrics, and can be combined with names."""

import numpy as np
import pytest

import disentmetrics as dm
from disentmetrics.errors import InvalidInputError
from disentmetrics.metrics import find_metric
from disentmetrics.scoring.presets import PRESETS, expand, parse


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_names_metrics_and_protocols_that_exist(preset: str) -> None:
    names = expand(preset, posterior=True)
    assert len(names) == len(set(names))
    for name in names:
        find_metric(name)


def test_presets_and_names_mix_and_each_metric_comes_once() -> None:
    assert expand("robust,mcc,dci@locatello2019", posterior=False) == [*PRESETS["robust"].metrics, "dci@locatello2019"]


def test_posterior_metrics_join_only_with_posteriors() -> None:
    assert "mig@chen2018" in expand("default", posterior=True)
    assert "mig@chen2018" not in expand("default", posterior=False)


def test_a_score_takes_presets_among_names(rng: np.random.Generator) -> None:
    factors = rng.integers(4, size=(300, 2))
    card = dm.score(dm.Representation(factors * 1.0, factors), ["robust", "sap"], interval=None, null=False)
    assert [*PRESETS["robust"].metrics, "sap"] == list(card)


@pytest.mark.parametrize(
    ("metrics", "message"),
    [("robustt", "did you mean 'robust'"), ("", "at least one"), (["mig", 3], "list of names"), (7, "list of names")],
)
def test_any_other_input_is_refused(metrics: object, message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        parse(metrics)  # type: ignore[arg-type] # wrong on purpose
