"""Recomputed score cards."""

import importlib
import math
import re
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import disentmetrics as dm
from disentmetrics.comparison.verify import Repeats, verify
from disentmetrics.datasets.base import DataSet
from disentmetrics.errors import EncoderError, InvalidInputError
from disentmetrics.scoring.uncertainty import IntervalMethod

FEW = 120


@pytest.fixture(scope="module")
def shapes() -> DataSet:
    return dm.load_dataset("dsprites")


def brightness(images: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    return np.asarray(images.mean(axis=(1, 2)).repeat(2, axis=1) * [1.0, -0.5])


brightness.fingerprint = "brightness-1"  # type: ignore[attr-defined] # as encoders have


@pytest.fixture(scope="module")
def card(shapes: DataSet) -> dm.ScoreCard:
    return dm.score(dm.encode(brightness, shapes, n_samples=FEW, seed=3, cache=False), ["mig", "modularity"], seed=3)


@pytest.mark.parametrize("current", [True, False])
@pytest.mark.parametrize("way", ["jackknife", "half-sampling", None])
def test_a_card_repeats_exactly_after_it_was_kept_as_json(
    shapes: DataSet, way: IntervalMethod | None, *, current: bool
) -> None:
    codes = dm.encode("baseline:factors", shapes, n_samples=120, seed=3)
    kept = dm.ScoreCard.from_json(dm.score(codes, ["jemmig", "factorvae"], seed=5, interval=way, null=False).to_json())
    if not current:  # as in cards of older versions
        kept = replace(kept, about={k: v for k, v in kept.about.items() if k not in {"interval", "null"}})
    found = verify(kept, "baseline:factors", data=shapes)
    assert {r.repeats for r in found.repetitions} == {Repeats.EXACTLY}
    assert [r.name for r in found.repetitions] == ["jemmig", "factorvae"]
    assert (found.passed, found.remarks(), found.verdict()) == (True, [], "2 of 2 scores repeat exactly")


@pytest.mark.parametrize(
    ("spec", "options"), [("blobs", {}), ("dsprites?select=x:0-7", {}), ("dsprites", {"select": "x:0-7"})]
)
def test_a_card_of_a_data_set_that_was_loaded_by_name_repeats_without_naming_it(
    spec: str, options: dict[str, Any]
) -> None:
    codes = dm.encode("baseline:factors", dm.load_dataset(spec, **options), n_samples=FEW)
    kept = dm.ScoreCard.from_json(dm.score(codes, ["mig"], null=False).to_json())
    assert kept.about["data_spec"] == (spec if not options else f"{spec}?select=x:0-7")
    assert verify(kept, "baseline:factors").passed


def test_codes_that_were_stored_name_their_data_set(tmp_path: Path) -> None:
    codes = dm.encode("baseline:factors", dm.load_dataset("blobs"), n_samples=FEW)
    codes.save(tmp_path / "codes.h5")
    loaded = dm.Representation.load(tmp_path / "codes.h5")
    assert loaded.provenance.data_spec == "blobs"
    assert verify(dm.score(loaded, ["mig"], null=False), "baseline:factors").passed


def test_cached_codes_name_the_data_set_as_it_was_loaded(shapes: DataSet) -> None:
    same = dm.load_dataset("dsprites", source="rendered")
    first, second = (dm.encode("baseline:factors", data, n_samples=FEW) for data in (shapes, same))
    assert first.provenance == second.provenance
    assert (first.provenance.data_spec, second.provenance.data_spec) == (shapes.spec, same.spec)


def test_a_card_of_a_table_contains_how_its_columns_were_chosen(rng: np.random.Generator, tmp_path: Path) -> None:
    factors = rng.integers((3, 4), size=(100, 2))
    np.savez(tmp_path / "t.npz", z=factors + 0.1 * rng.normal(size=factors.shape), y=factors)
    table = dm.Representation.from_table(tmp_path / "t.npz", codes="z", factors="y", sequential=False)
    about = dm.score(table, ["mig"], null=False, interval=None).about
    assert about["columns"] == {"codes": "z", "factors": "y"}
    assert "data_spec" not in about


def test_the_full_grid_of_a_small_set_repeats() -> None:
    images = np.arange(12 * 16, dtype=np.uint8).reshape(12, 4, 4, 1)
    data = dm.CustomDataSet(images, {"row": np.arange(12) // 4, "column": np.arange(12) % 4})
    codes = dm.encode(brightness, data, full_grid=True, cache=False)
    assert verify(dm.score(codes, ["mig"], null=False), brightness, data=data).passed


def test_another_encoder_does_not_repeat_and_is_named(card: dm.ScoreCard, shapes: DataSet) -> None:
    found = verify(card, "baseline:random", data=shapes)
    assert not found.passed
    assert found.remarks() == ["the encoder of the card is brightness-1, this one is baseline-random-10-seed-3"]
    assert found.verdict() == "2 of 2 scores do not repeat: mig, modularity"


def test_an_encoder_of_another_name_with_the_same_codes_repeats(card: dm.ScoreCard, shapes: DataSet) -> None:
    found = verify(card, partial(brightness), data=shapes)
    assert found.passed
    assert found.remarks() == ["the encoder of the card is brightness-1, this one is unknown"]


def test_another_version_is_reported(card: dm.ScoreCard, shapes: DataSet) -> None:
    older = {
        name: replace(s, signature=s.signature.replace(f"v:{dm.__version__}", "v:0.0.1")) for name, s in card.items()
    }
    found = verify(replace(card, scores=older), brightness, data=shapes)
    assert found.passed
    assert found.remarks() == [f"the card was made by version 0.0.1, this is version {dm.__version__}"]


def test_the_cache_is_not_read(card: dm.ScoreCard, shapes: DataSet) -> None:
    calls = []

    def counted(images: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        calls.append(len(images))
        return brightness(images)

    counted.fingerprint = "brightness-1"  # type: ignore[attr-defined] # as encoders have
    dm.encode(counted, shapes, n_samples=FEW, seed=3)
    before = sum(calls)
    assert verify(card, counted, data=shapes).passed
    assert sum(calls) == 2 * before


Alter = Callable[[dm.Score], dm.Score]
ALTERED: dict[str, Alter] = {
    "value": lambda s: replace(s, value=s.value + 1e-6),
    "interval.low": lambda s: replace(s, interval=replace(s.interval, low=-1.0) if s.interval else None),
    "null": lambda s: replace(s, null=0.9),
    "p_value": lambda s: replace(s, p_value=0.9),
    "per_factor.shape": lambda s: replace(s, per_factor={**s.per_factor, "shape": 0.9}),
    "replicates": lambda s: replace(s, replicates=(0.9, *s.replicates[1:])),
    "details.mutual_information": lambda s: replace(
        s, details={**s.details, "mutual_information": s.details["mutual_information"] + 1}
    ),
}


@pytest.mark.parametrize("what", ALTERED)
def test_every_altered_number_is_found(card: dm.ScoreCard, shapes: DataSet, what: str) -> None:
    altered = dm.ScoreCard({"mig": ALTERED[what](card["mig"])}, card.about)
    (found,) = verify(altered, brightness, data=shapes).repetitions
    assert found.repeats is Repeats.NOT
    assert set(found.differing) == {what}


def test_rounding_is_distinguished_from_difference(card: dm.ScoreCard, shapes: DataSet) -> None:
    nearly = replace(card["mig"], value=card["mig"].value + 1e-12)
    found = verify(dm.ScoreCard({"mig": nearly}, card.about), brightness, data=shapes)
    assert found.passed
    assert found.verdict() == "1 of 1 scores repeat within floating error"


def test_numbers_missing_from_a_card_of_an_older_version_are_not_compared(card: dm.ScoreCard, shapes: DataSet) -> None:
    older = replace(card["mig"], corrected=None, details={}, per_factor={})
    assert verify(dm.ScoreCard({"mig": older}, card.about), brightness, data=shapes).passed


def test_undefined_repeats_as_undefined(shapes: DataSet) -> None:
    codes = dm.encode(lambda images: np.zeros((len(images), 2)), shapes, n_samples=FEW)
    kept = dm.score(codes, ["higgins"], null=False)
    assert kept["higgins"].undefined
    assert verify(kept, codes).passed
    claimed = replace(kept["higgins"], value=0.5, undefined=None)
    assert not verify(replace(kept, scores={"higgins": claimed}), codes).passed


def test_tables_repeat_by_their_codes(rng: np.random.Generator) -> None:
    factors = rng.integers((3, 4), size=(200, 2))
    table = dm.Representation(factors + 0.3 * rng.normal(size=factors.shape), factors)
    kept = dm.score(table, ["mig"], null=False)
    assert verify(kept, table).passed
    assert not verify(kept, dm.Representation(table.codes * [1, 0], factors)).passed
    with pytest.raises(InvalidInputError, match="give the table with --codes"):
        verify(kept, "baseline:pca")


def test_other_rows_are_not_scored(card: dm.ScoreCard, shapes: DataSet, monkeypatch: pytest.MonkeyPatch) -> None:
    module = importlib.import_module("disentmetrics.comparison.verify")  # only the name is that of the function
    monkeypatch.setattr(module, "score_representation", lambda *_, **__: pytest.fail("scored"))
    other = dm.load_dataset("dsprites?select=x:0-7")
    for found, field in (
        (verify(card, brightness, data=other), "data is dsprites-1 on the card and "),
        (
            verify(card, dm.encode(brightness, shapes, n_samples=100, cache=False)),
            "rows is 120 on the card and 100 now",
        ),
    ):
        assert not found.passed
        assert any(line.startswith(field) for line in found.remarks())
        assert found.remarks()[-1] == "the rows differ from those of the card; nothing was scored"


@pytest.mark.parametrize(
    ("about", "signature", "message"),
    [
        ({}, "mig|draw:uniform/0", "must specify its seed"),
        ({"seed": 0, "rows": 9}, "mig|draw:uniform/0", "does not name a data set that can be loaded"),
        ({"seed": 0, "data_spec": "dsprites", "data": "dsprites-1"}, "mig|draw:uniform/0", "how many rows"),
        ({"seed": 0}, "mig|draw:rows/abc", "chosen individually"),
        ({"seed": 0}, "mig|draw:table", "give the table with --codes"),
        ({"seed": 0}, "mig|seed:0", "chosen individually (unknown)"),
    ],
)
def test_a_card_that_lacks_information_is_refused(about: dict[str, Any], signature: str, message: str) -> None:
    kept = dm.ScoreCard({"mig": dm.Score("mig", 0.5, signature)}, about)
    with pytest.raises(InvalidInputError, match=re.escape(message)):
        verify(kept, "baseline:random")


def test_a_metric_that_no_longer_exists_is_named(card: dm.ScoreCard) -> None:
    with pytest.raises(InvalidInputError, match="no metric is named 'migg'; did you mean 'mig'"):
        verify(dm.ScoreCard({"migg": card["mig"]}, card.about), brightness)


def test_an_encoder_that_fails_fails(card: dm.ScoreCard, shapes: DataSet) -> None:
    with pytest.raises(EncoderError):
        verify(card, lambda images: images.mean(axis=(1, 2)) * math.nan, data=shapes)


def test_the_order_of_scores_does_not_matter(card: dm.ScoreCard, shapes: DataSet) -> None:
    turned = replace(card, scores={name: card[name] for name in reversed(list(card))})
    assert verify(turned, brightness, data=shapes).passed
