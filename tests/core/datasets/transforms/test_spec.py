"""Transform options of every data set, as given on the command line."""

import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from disentmetrics.datasets import load_dataset, registry
from disentmetrics.datasets.base import DataSet
from disentmetrics.datasets.catalog.dsprites import SPACE, DSprites
from disentmetrics.datasets.distribution import FactorDistribution
from disentmetrics.datasets.transforms.distributions import chen2018, correlated, held_out, marginals, only, without
from disentmetrics.datasets.transforms.spec import TRANSFORM_OPTIONS, apply_option
from disentmetrics.errors import InvalidInputError

TRAIN, TEST = held_out(SPACE, ["shape", "scale"], 0.2, 3)


@pytest.mark.parametrize(
    ("options", "design"),
    [
        ("correlate=x,y,0.8", correlated(SPACE, "x", "y", 0.8)),
        ("correlate=x,y,-0.25", correlated(SPACE, "x", "y", -0.25)),
        (
            "correlate=x,y,0.5&correlate=y,scale,0.3",
            correlated(SPACE, "x", "y", 0.5) * correlated(SPACE, "y", "scale", 0.3),
        ),
        ("weights=shape:2/1/1,scale:1/1/1/1/1/2.5", marginals(SPACE, {"shape": [2, 1, 1], "scale": [1] * 5 + [2.5]})),
        ("chen2018=x,orientation,C", chen2018(SPACE, "x", "orientation", "C")),
        ("without=shape:2,x:16-31", without(SPACE, {"shape": 2, "x": range(16, 32)})),
        (
            "without=shape:heart&without=y:0-3/31",
            without(SPACE, {"shape": 2}) * without(SPACE, {"y": [0, 1, 2, 3, 31]}),
        ),
        ("only=shape:ellipse/heart", only(SPACE, {"shape": [1, 2]})),
        ("train_split=shape,scale,0.2,3", TRAIN),
        ("test_split=shape,scale,0.2,3", TEST),
        ("correlate=x,y,0.5&only=shape:1", correlated(SPACE, "x", "y", 0.5) * only(SPACE, {"shape": 1})),
    ],
)
def test_options_set_the_distribution(options: str, design: FactorDistribution) -> None:
    data = load_dataset(f"dsprites?{options}")
    assert data.fingerprint == f"dsprites-1+{design.name}"
    rows = SPACE.indices_of(np.arange(0, SPACE.n_combinations, 997))
    assert data.distribution.probability(rows) == pytest.approx(design.probability(rows), rel=1e-12)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ("select=x:0-15", DSprites().select({"x": range(16)})),
        ("select=shape:heart,x:0/31", DSprites().select({"shape": 2, "x": [0, 31]})),
        ("merge=x,y", DSprites().merge(["x", "y"])),
        ("merge=position:x,y", DSprites().merge(["x", "y"], name="position")),
        ("nuisance=shape", DSprites().with_nuisance("shape")),
        ("nuisance=shape,scale", DSprites().with_nuisance("shape", "scale")),
        ("source=rendered&nuisance=shape", DSprites().with_nuisance("shape")),
        ("nuisance=shape&source=rendered&select=x:3", DSprites().with_nuisance("shape").select({"x": 3})),
        ("merge=x,y&select=x_y:0-99", DSprites().merge(["x", "y"]).select({"x_y": range(100)})),
        ("select=x%3A0-15", DSprites().select({"x": range(16)})),
    ],
)
def test_options_transform_the_factors(options: str, expected: DataSet) -> None:
    data = load_dataset(f"dsprites?{options}")
    assert (data.fingerprint, data.space, data.nuisances) == (expected.fingerprint, expected.space, expected.nuisances)
    drawn = expected.sample(20, np.random.default_rng(0))
    assert np.array_equal(
        data.observations(drawn.factors, drawn.nuisance), expected.observations(drawn.factors, drawn.nuisance)
    )


def test_options_are_applied_in_order() -> None:
    first = load_dataset("dsprites?select=x:0-3&correlate=x,y,0.8")
    second = load_dataset("dsprites?correlate=x,y,0.8&select=x:0-3")
    assert first.fingerprint == "dsprites-1+select(x=0-3)+correlate(x,y,0.8)"
    assert second.fingerprint == "dsprites-1+correlate(x,y,0.8)+select(x=0-3)"
    assert first.distribution.marginal("y")[31] > 0.01 > second.distribution.marginal("y")[31]
    assert load_dataset("dsprites?select=x:0-3", correlate="x,y,0.8").fingerprint == first.fingerprint


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("corelate=x,y,0.8", r"no option 'corelate'; did you mean 'correlate'\?; its options: source"),
        ("correlate=x,why,0.8", "no factor is named 'why'; did you mean 'y'|the factors are shape"),
        ("correlate=x,y", "have the form factor,factor,strength; got 'x,y'"),
        ("correlate=x,y,much", "must be a number; got 'much'"),
        ("correlate=x,y,1", "open interval"),
        ("correlate=", "have the form"),
        ("chen2018=x,y,Z", "one of A, B, C, D; got 'Z'"),
        ("weights=shape:1/2", "must have shape"),
        ("weights=shape", "have the form factor:1/2/4"),
        ("weights=shape:1/1/1,shape:1/1/2", "each factor once"),
        ("without=shpae:2", "did you mean 'shape'"),
        ("without=shape:haert", "did you mean 'heart'"),
        ("without=shape:0-2", "at least one combination positive weight"),
        ("select=x", "factor:values"),
        ("select=x:32", r"0 .. 31; got 32"),
        ("select=x:3&correlate=x,y,0.8", "factor 'x' no longer exists"),
        (
            "select=shape:heart&select=shape:0",
            r"factor 'shape' no longer exists because an earlier step removed it: select\(shape=2\);",
        ),
        (
            "merge=x,y&only=scale:1&nuisance=y",
            r"'y' no longer exists because .* removed it: merge\(x_y=x,y\); the factors are shape",
        ),
        ("select=shape:0&select=shpae:0", "no factor is named 'shpae'; "),
        ("merge=,:x,y", "consist of letters, digits, spaces and '_.-'; got ','"),
        ("merge=a:b:x,y", "got 'a:b'"),
        ("correlate=scale,orientation,0.99", "value 4 of orientation would keep .* as 6 and 40 values do not pair up"),
        ("merge=x", "at least two factors"),
        ("merge=x,z", "no factor is named 'z'"),
        ("merge=shape:x,y", "no other factor has"),
        ("nuisance=", "no factor is named ''"),
        ("train_split=shape,scale,0.2", "factor,factor,share,seed"),
        ("train_split=shape,scale,0.2,x", "a seed, a non-negative integer; got 'x'"),
        ("source=rendered&source=original", "source more than once"),
    ],
)
def test_invalid_options_are_rejected(options: str, message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        load_dataset(f"dsprites?{options}")


def test_unknown_options_and_values_other_than_text_are_rejected() -> None:
    with pytest.raises(InvalidInputError, match="did you mean 'select'"):
        apply_option(DSprites(), "selct", "x:0")
    with pytest.raises(InvalidInputError, match="must be text"):
        load_dataset("dsprites", select={"x": [0]})


def test_every_option_is_documented() -> None:
    for option in TRANSFORM_OPTIONS:
        assert f"``{option}=" in (apply_option.__doc__ or "")


def test_an_option_of_the_data_set_takes_precedence(monkeypatch: pytest.MonkeyPatch) -> None:
    def load(target: str = "", *, nuisance: str = "") -> DataSet:
        data = DSprites()
        data.fingerprint = f"own-{nuisance}"
        return data

    module = ModuleType("own")
    monkeypatch.setitem(sys.modules, "own", module)
    monkeypatch.setattr(registry, "find_datasets", lambda: {"own": registry.Entry(lambda: None, load)})  # type: ignore[arg-type,return-value] # it is not asked
    assert load_dataset("own?nuisance=light&select=x:0-3").fingerprint == "own-light+select(x=0-3)"
    with pytest.raises(InvalidInputError, match="nuisance more than once"):
        load_dataset("own?nuisance=light&nuisance=dark")


def test_rows_of_a_folder_can_be_selected_but_not_correlated(tmp_path: Path) -> None:
    from PIL import Image

    for number in range(12):
        folder = tmp_path / ("cat" if number % 3 else "dog")
        folder.mkdir(exist_ok=True)
        Image.fromarray(np.full((8, 8, 3), number, np.uint8)).save(folder / f"{number}.png")
    data = load_dataset(f"folder:{tmp_path}?select=label:cat")
    assert len(data) == 8
    with pytest.raises(InvalidInputError, match="needs a full grid"):
        load_dataset(f"folder:{tmp_path}?weights=label:1/2")
