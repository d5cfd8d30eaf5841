import math
from dataclasses import replace

import numpy as np
import pytest

from disentmetrics.report.figures import axis_of, histograms, pairs, whisker
from disentmetrics.results.card import ScoreCard
from disentmetrics.results.score import Interval, Score


def test_a_whisker_places_value_interval_and_null_in_percent_of_the_bounds() -> None:
    score = Score("mig", 0.5, "mig", interval=Interval(0.25, 0.75, 0.95, "jackknife"), null=0.0)
    mark = whisker(score, (0.0, 1.0))
    assert (mark.point, mark.low, mark.high, mark.null) == (50.0, 25.0, 75.0, 0.0)


@pytest.mark.parametrize(("value", "expected"), [(-1.0, 0.0), (2.0, 100.0), (math.nan, None)])
def test_a_whisker_stays_on_its_axis(value: float, expected: float | None) -> None:
    assert whisker(Score("mig", value, "mig"), (0.0, 1.0)).point == expected


def test_an_axis_without_bounds_spans_the_values_and_their_intervals() -> None:
    scores = [Score("a", 2.0, "a", interval=Interval(1.0, 3.0, 0.95, "jackknife")), Score("a", 5.0, "a")]
    assert axis_of(scores, (-math.inf, math.inf)) == (1.0, 5.0)
    assert axis_of(scores, (0.0, math.inf)) == (0.0, 5.0)
    low, high = axis_of([Score("a", 2.0, "a")], (-math.inf, math.inf))
    assert low < 2.0 < high


def test_a_histogram_draws_every_bin_and_the_prior(card: ScoreCard) -> None:
    summary = card.summary
    assert summary is not None
    assert summary.kl is not None
    drawn = list(histograms(summary, [0, 2]))
    assert [one.code for one in drawn] == ["z0", "z2"]
    assert [one.active for one in drawn] == [True, False]
    assert all(one.bars.count("h1") == summary.histogram_counts.shape[1] for one in drawn)
    assert drawn[0].note == f"KL {summary.kl[0]:.2f} nats"
    assert drawn[0].curve.startswith("M0 ")


def test_a_histogram_of_extreme_values_contains_finite_numbers(card: ScoreCard) -> None:
    summary = card.summary
    assert summary is not None
    edges = 1.7e308 * np.linspace(-1, 1, summary.histogram_edges.shape[1])
    extreme = replace(summary, histogram_edges=np.tile(edges, (4, 1)), kl=None, std=np.full(4, 1e308))
    assert all("nan" not in one.bars + one.curve for one in histograms(extreme, range(4)))


def test_each_factor_is_drawn_against_its_most_informative_latent_best_encoded_first(card: ScoreCard) -> None:
    assert card.summary is not None
    drawn = list(pairs(card.summary))
    assert (drawn[0].factor, drawn[0].code) == ("x", "z0")
    shares = [pair.share for pair in drawn]
    assert shares == sorted(shares, reverse=True)


def test_groups_are_drawn_for_few_values_with_their_names_and_medians(card: ScoreCard) -> None:
    summary = card.summary
    assert summary is not None
    changed = replace(summary, best_codes=np.array([0, 0, 1]))
    shape = next(pair for pair in pairs(changed) if pair.factor == "shape")
    assert [group.label for group in shape.groups] == ["square", "ellipse", "heart"]
    assert all(group.median is not None and group.points.startswith("M") for group in shape.groups)
    n_points = sum(group.points.count("M") for group in shape.groups)
    assert n_points == len(summary.sample_codes)
