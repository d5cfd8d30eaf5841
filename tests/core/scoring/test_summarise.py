"""Summaries agree with the codes: identities, then files and hostile input."""

import json
from dataclasses import replace

import numpy as np
import pytest

import disentmetrics as dm
from disentmetrics.errors import CorruptFileError, InvalidInputError
from disentmetrics.factors import Factor, FactorSpace
from disentmetrics.results.summary import RepresentationSummary
from disentmetrics.scoring.summarise import MAX_CODES, MAX_SAMPLE, position_pairs, summarise


@pytest.fixture
def grid() -> np.ndarray:
    return np.indices((4, 5, 6)).reshape(3, -1).T.repeat(25, axis=0)


def test_perfect_codes_have_a_diagonal_of_entropies(grid: np.ndarray) -> None:
    found = summarise(dm.Representation(grid * [1.0, -3.0, 10.0], grid))
    assert np.allclose(np.maximum(found.mutual_information, 0), np.diag(np.log([4, 5, 6])), atol=0.02)
    assert np.allclose(found.factor_entropies, np.log([4, 5, 6]), atol=1e-4)
    assert found.share == pytest.approx(np.eye(3), abs=0.02)
    assert found.best_codes.tolist() == [0, 1, 2]
    assert np.allclose(found.correlation, np.eye(3), atol=1e-9)
    assert np.allclose(found.mean, [1.5, -6.0, 25.0])
    assert found.active.all()


def test_correlations_are_of_rows_from_the_entire_table() -> None:
    """The first 5,000 rows of this ordered grid have a single value of the factor that varies most slowly."""
    factors = np.indices((3, 2, 3_000)).reshape(3, -1).T
    codes = np.stack([factors[:, 0], -factors[:, 0], factors[:, 2]], axis=1)
    assert np.allclose(summarise(dm.Representation(codes, factors[:, :1])).correlation[0], [1, -1, 0], atol=0.05)


def test_a_card_carries_its_summary_through_json(grid: np.ndarray, rng: np.random.Generator) -> None:
    codes = rng.normal(size=(len(grid), 4)) + np.pad(grid, ((0, 0), (0, 1)))
    log_variance = np.full(codes.shape, -1.0)
    card = dm.score(dm.Representation(codes, grid, log_variance=log_variance), ["higgins"], interval=None, null=False)
    assert card.summary is not None
    again = dm.ScoreCard.from_json(card.to_json())
    assert again.summary is not None
    assert again.to_json() == card.to_json()
    for name, plain in card.summary.to_plain().items():
        assert again.summary.to_plain()[name] == plain, name
    assert card.summary.kl is not None
    assert len(card.summary.sample_codes) == MAX_SAMPLE


def test_a_card_without_a_summary_is_read(grid: np.ndarray) -> None:
    card = dm.score(dm.Representation(grid.astype(float), grid), ["higgins"], interval=None, null=False)
    content = json.loads(card.to_json())
    del content["summary"]
    old = dm.ScoreCard.from_json(json.dumps(content))
    assert old.summary is None
    assert "summary" not in json.loads(old.to_json())


def test_missing_labels_constants_and_extremes_leave_finite_numbers(rng: np.random.Generator) -> None:
    factors = {"x": [None, *range(9)] * 30, "flat": ["one"] * 300, "name": ["a", "b", None] * 100}
    codes = np.stack([1e300 * rng.normal(size=300), np.ones(300), 1e-300 * rng.normal(size=300)], axis=1)
    found = summarise(dm.Representation(codes, factors, weights=rng.random(300)))
    plain = json.loads(json.dumps(found.to_plain(), allow_nan=False))
    assert found.n_rows < 300
    assert not found.active[1]
    assert np.isfinite(found.histogram_edges).all()
    assert (found.histogram_counts.sum(axis=1) == found.n_rows).all()
    assert np.isnan(found.correlation[1]).all()
    assert np.isfinite(found.mutual_information).all()
    assert np.isnan(found.share[:, 1]).all()
    assert np.isnan(found.sample_factors[:, 2]).any()
    assert RepresentationSummary.from_plain(plain).to_plain() == plain


@pytest.mark.parametrize("n_rows", [1, 2, 30])
def test_few_rows_and_no_factors_are_summarised(rng: np.random.Generator, n_rows: int) -> None:
    codes = rng.normal(size=(n_rows, 2))
    for factors in (None, np.arange(n_rows) % 2):
        found = summarise(dm.Representation(codes, factors))
        assert len(found.sample_codes) == n_rows
        assert RepresentationSummary.from_plain(found.to_plain()).to_plain() == found.to_plain()


def test_of_many_latents_the_most_informative_are_shown(rng: np.random.Generator) -> None:
    factors = rng.integers(5, size=(600, 2))
    codes = rng.normal(size=(600, 1_000))
    codes[:, [700, 900]] = factors
    representation = dm.Representation(codes, factors)
    found = summarise(representation)
    assert (found.n_left_out, len(found.code_names)) == (1_000 - MAX_CODES, MAX_CODES)
    assert {"z700", "z900"} <= set(found.code_names)
    assert [found.code_names[j] for j in found.best_codes] == ["z700", "z900"]
    assert found.code_positions[found.best_codes].tolist() == [700, 900]
    assert len(found.sample_codes) < MAX_SAMPLE
    assert summarise(representation).to_plain() == found.to_plain()


def test_a_summary_of_ten_codes_is_small(rng: np.random.Generator) -> None:
    factors = rng.integers((3, 6, 40, 32, 32), size=(25_000, 5))
    space = FactorSpace(
        [Factor(name, size, "ordinal") for name, size in {"shape": 3, "scale": 6, "tilt": 40, "x": 32, "y": 32}.items()]
    )
    found = summarise(dm.Representation(rng.normal(size=(25_000, 10)), factors, space=space))
    assert len(json.dumps(found.to_plain(), separators=(",", ":"))) < 120_000


def test_a_map_shows_the_mean_of_a_code_in_each_cell_and_the_larger_value_at_the_end() -> None:
    factors = np.indices((32, 8)).reshape(2, -1).T.repeat(3, axis=0)
    space = FactorSpace(
        (Factor("posX", 32, "ordinal"), Factor("posY", 8, "ordinal", tuple(float(10 * v) for v in range(8))))
    )
    codes = np.stack([factors[:, 1] * 2.0, factors[:, 0]], axis=1)
    (found,) = summarise(dm.Representation(codes, factors, space=space)).tuning_maps
    assert found.factors == (0, 1)
    assert found.means.shape == (2, 16, 8)
    assert (found.counts == 6).all()
    assert found.second.tolist() == [10.0 * v for v in range(8)]
    assert np.allclose(found.first, np.arange(16) * 2 + 0.5)
    by_code = dict(zip(found.codes.tolist(), found.means, strict=True))
    assert np.allclose(by_code[0], 2 * np.arange(8)[None, :])
    assert np.allclose(by_code[1], found.first[:, None])


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["x", "y", "size"], [(0, 1)]),
        (["pos_y", "pos_x"], [(1, 0)]),
        (["position x", "position y", "position z"], [(0, 1), (0, 2), (1, 2)]),
        (["horizontal axis", "vertical axis"], [(0, 1)]),
        (["hue", "size", "shade"], [(1, 2)]),
        (["alone"], []),
        ([], []),
    ],
)
def test_pairs_of_positions_are_found_by_names_or_by_size(names: list[str], expected: list[tuple[int, int]]) -> None:
    sizes = {"hue": 4, "size": 9, "shade": 7}
    assert position_pairs([Factor(name, sizes.get(name, 5), "ordinal") for name in names]) == expected
    assert position_pairs([Factor(name, 5, "categorical") for name in names]) == []


@pytest.mark.parametrize(
    ("part", "value"),
    [
        ("mean", [1.0]),
        ("mean", ["one", "two", "three"]),
        ("best_codes", [0, 1, 7]),
        ("best_codes", [0.5, 1, 2]),
        ("histogram_counts", "many"),
        ("factors", [["x"]]),
        ("factors", [["x", "5", "ordinal", []]] * 3),
        ("correlation", [[10**400] * 3] * 3),
        ("tuning_maps", [{"factors": [0, 9]}]),
        ("sample_codes", None),
    ],
)
def test_a_damaged_summary_is_refused(grid: np.ndarray, part: str, value: object) -> None:
    card = dm.ScoreCard({}, summary=summarise(dm.Representation(grid.astype(float), grid)))
    content = json.loads(card.to_json())
    content["summary"][part] = value
    with pytest.raises(CorruptFileError, match="must be a complete score card"):
        dm.ScoreCard.from_json(json.dumps(content))


def test_shapes_that_disagree_are_refused(grid: np.ndarray) -> None:
    found = summarise(dm.Representation(grid.astype(float), grid))
    with pytest.raises(InvalidInputError, match=r"mean of a summary must have shape \(3,\)"):
        replace(found, mean=np.zeros(4))
