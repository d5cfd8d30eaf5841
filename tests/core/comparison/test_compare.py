import json
import math
import re
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, strategies as st

import disentmetrics as dm
from disentmetrics._utils.tables import plain_text
from disentmetrics.comparison.compare import Comparison, Difference, _conflicts, _holm
from disentmetrics.errors import InvalidInputError
from disentmetrics.results.score import Score
from disentmetrics.scoring.declarations import declared


def card(blur: float, *, rows: int = 800, seed: int = 0, noise_seed: int = 1) -> dm.ScoreCard:
    factors = np.random.default_rng(0).integers((4, 5), size=(rows, 2))
    codes = factors + blur * np.random.default_rng(noise_seed).normal(size=factors.shape)
    return dm.score(dm.Representation(codes, factors), ["mig", "factorvae"], seed=seed, null=False)


def test_a_clear_difference_is_found_and_has_the_right_sign() -> None:
    found = {d.metric: d for d in dm.compare(card(1.0), card(0.2)).differences}
    assert found["mig"].difference > 0.2
    assert found["mig"].interval.low > 0  # type: ignore[union-attr] # the cards hold replicates
    assert found["mig"].p_holm < 0.001  # type: ignore[operator] # idem


def test_a_card_does_not_differ_from_itself() -> None:
    for d in dm.compare(card(0.5), card(0.5)).differences:
        assert (d.difference, d.p_value) == (0.0, 1.0)


def test_the_paired_test_has_about_its_nominal_size() -> None:
    """Two encoders with equal blur and independent noise: 5 % of p-values below 0.05."""
    p_values = []
    for run in range(60):
        rng = np.random.default_rng(run)
        factors = rng.integers((4, 5), size=(500, 2))
        cards = [
            dm.score(dm.Representation(factors + 0.7 * rng.normal(size=factors.shape), factors), ["mig"], null=False)
            for _ in range(2)
        ]
        p_values.append(dm.compare(*cards).differences[0].p_value)
    assert sum(p < 0.05 for p in p_values if p is not None) <= 9  # probability 0.999 if it has


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (lambda: card(0.5, rows=700), r"card 1 and card 2 differ in rows \(800 and 700\), data \(table/"),
        (lambda: card(0.5, seed=1), r"card 1 and card 2 differ in seed \(0 and 1\);"),
    ],
)
def test_cards_of_other_rows_or_seeds_are_not_compared(other, message: str) -> None:  # type: ignore[no-untyped-def] # a maker of cards
    with pytest.raises(InvalidInputError, match=message):
        dm.compare(card(0.5), other())


def test_metrics_that_only_one_card_contains_are_named() -> None:
    first = card(0.5)
    second = dm.ScoreCard({"mig": first["mig"]}, first.about)
    comparison = dm.compare(first, second)
    assert comparison.skipped == ("factorvae: not in card 2",)
    with pytest.raises(InvalidInputError, match="have no metric in common"):
        dm.compare(second, dm.ScoreCard({"factorvae": first["factorvae"]}, first.about))


def test_holm_is_the_step_down_of_bonferroni() -> None:
    assert _holm([0.01, 0.04, 0.03, None]) == [0.03, 0.06, 0.06, None]


def test_two_ways_of_resampling_are_not_mixed() -> None:
    factors = np.random.default_rng(0).integers((4, 5), size=(300, 2))
    table = dm.Representation(factors + 0.5 * np.random.default_rng(1).normal(size=factors.shape), factors)
    cards = [dm.score(table, ["mig"], interval=way, null=False) for way in ("jackknife", "half-sampling")]
    assert dm.compare(*cards).skipped == (
        "mig: card 1 and card 2: no test: rows were resampled in two ways: jackknife and half-sampling",
    )


def made(name: str = "mig", value: float = 0.5, *, draws: int = 0, **fields: Any) -> dm.Score:
    """Return a score with twenty jackknife replicates."""
    fields = {"rows": "500", "data": "squares-1", "draw": "uniform/0", "seed": "0", "v": "1", **fields}
    noise = 0.01 * np.random.default_rng(draws).normal(size=20)
    return dm.Score(
        name,
        value,
        str(dm.Signature(name, fields)),
        interval=dm.Interval(value - 0.1, value + 0.1, 0.95, "jackknife"),
        replicates=tuple(value + noise - noise.mean()),
        adjusted=(value - 0.2) / 0.8,
        **declared(name),
    )


def of(*scores: dm.Score, row_key: str = "k") -> dm.ScoreCard:
    return dm.ScoreCard({score.name: score for score in scores}, {"row_key": row_key})


values = st.floats(0, 1)


@given(values, values)
def test_exchanging_two_cards_changes_signs_alone(a: float, b: float) -> None:
    cards = of(made(value=a)), of(made(value=b, draws=1))
    (there,), (back,) = dm.compare(*cards).differences, dm.compare(*cards[::-1]).differences
    assert there.interval is not None
    assert back.interval is not None
    assert there.effect is not None
    assert (there.difference, there.effect) == (-back.difference, -(back.effect or 0.0))
    np.testing.assert_allclose([there.interval.low, there.interval.high], [-back.interval.high, -back.interval.low])
    assert there.p_value == pytest.approx(back.p_value, rel=1e-9)


@given(st.permutations(["mig", "higgins", "dci"]), st.lists(values, min_size=3, max_size=3))
def test_the_order_of_metrics_does_not_matter(order: list[str], of_first: list[float]) -> None:
    first, second = dict(zip(["mig", "higgins", "dci"], of_first, strict=True)), 0.5
    cards = [of(*(made(n, v) for n, v in first.items())), of(*(made(n, second, draws=1) for n in order))]
    turned = [of(*(made(n, first[n]) for n in order)), cards[1]]
    found, again = ({d.metric: d for d in dm.compare(*some).differences} for some in (cards, turned))
    assert found == again


def test_the_effect_is_the_difference_on_the_way_from_chance_to_the_best() -> None:
    (found,) = dm.compare(of(made(value=0.4)), of(made(value=0.6))).differences
    assert found.effect == pytest.approx(0.2 / 0.8)
    (unknown,) = dm.compare(of(replace(made(), adjusted=None)), of(made())).differences
    assert unknown.effect is None


def test_all_pairs_are_tested_and_corrected_together() -> None:
    cards = [of(made(value=0.5 + 0.002 * k, draws=k), made("dci", 0.5, draws=9 + k)) for k in range(4)]
    comparison = dm.compare(*cards, names=["a", "b", "c", "d"])
    assert len(comparison.differences) == 2 * 6
    assert [d.names for d in comparison.differences[:3]] == [("a", "b"), ("a", "c"), ("a", "d")]
    p_values = [d.p_value for d in comparison.differences]
    assert [d.p_holm for d in comparison.differences] == _holm(p_values)
    smallest = min(range(12), key=lambda k: p_values[k] or 0.0)
    assert comparison.differences[smallest].p_holm == pytest.approx(min(1, 12 * (p_values[smallest] or 0.0)))
    by_pair = {d.names: d.difference for d in comparison.differences if d.metric == "mig"}
    assert by_pair["a", "d"] == pytest.approx(sum(by_pair[pair] for pair in pairwise("abcd")))


@pytest.mark.parametrize("field", ["rows", "data", "draw", "seed", "v"])
def test_differences_of_the_rows_are_named_and_force_shows_the_values(field: str) -> None:
    other: dict[str, Any] = {field: "other"}
    cards = of(made()), of(made(value=0.6, **other), row_key="x" if field in {"rows", "data"} else "k")
    with pytest.raises(InvalidInputError, match=rf"card 1 and card 2 differ in {field} \(.* and other\); score them"):
        dm.compare(*cards)
    comparison = dm.compare(*cards, force=True)
    assert comparison.warnings[0].startswith(f"mig: card 1 and card 2 differ in {field} (")
    (found,) = comparison.differences
    assert found.difference == pytest.approx(0.1)
    assert (found.p_value is None) == (field != "v")  # versions may differ in how they score, but the rows are paired


def test_rows_that_differ_in_their_key_alone_are_refused() -> None:
    with pytest.raises(InvalidInputError, match=r"differ in labels \(k and x\)"):
        dm.compare(of(made()), of(made(), row_key="x"))


def test_two_tables_of_the_same_labels_are_compared() -> None:
    cards = [of(made(draw="table", data=f"file-{n}")) for n in (1, 2)]
    assert dm.compare(*cards).differences[0].p_value == 1


def test_a_setting_that_differs_leaves_out_one_metric_and_not_the_others() -> None:
    cards = of(made(), made("dci")), of(made(protocol="x"), made("dci"))
    comparison = dm.compare(*cards)
    assert [d.metric for d in comparison.differences] == ["dci"]
    assert comparison.skipped == ("mig: card 1 and card 2 differ in protocol (- and x)",)
    with pytest.raises(
        InvalidInputError, match=r"no metric was scored the same way on both cards: .* protocol \(- and x\)"
    ):
        dm.compare(of(made()), of(made(protocol="x")))


def test_encoders_read_at_different_resolutions_are_compared_with_a_warning() -> None:
    rng = np.random.default_rng(0)
    factors = rng.integers((4, 5), size=(400, 2))
    codes = factors + 0.3 * rng.normal(size=factors.shape)
    with_posterior, without = (
        dm.score(dm.Representation(codes, factors, log_variance=spread), ["mig"], null=False)
        for spread in (np.full(codes.shape, -2.0), None)
    )
    comparison = dm.compare(with_posterior, without, names=["vae", "pca"])
    assert comparison.differences[0].p_value is not None
    (warning,) = comparison.warnings
    assert "vae and pca are read at different resolutions (posterior and step)" in warning
    assert "pca has none" in warning
    assert dm.compare(without, without).warnings == ()


def test_undefined_scores_are_shown_and_left_out() -> None:
    lost = replace(made(), value=math.nan, undefined="every code is constant")
    comparison = dm.compare(of(made(), made("dci")), of(lost, made("dci")), of(made(), made("dci")))
    assert comparison.skipped == (
        "mig: card 1 and card 2: undefined in card 2: every code is constant",
        "mig: card 2 and card 3: undefined in card 2: every code is constant",
    )
    assert [d.metric for d in comparison.differences] == ["mig", "dci", "dci", "dci"]
    assert "undefined" in str(comparison)
    assert json.loads(comparison.to_json())["scores"]["mig"]["card 2"]["value"] is None


@pytest.mark.parametrize(("name", "best"), [("mig", "b"), ("gaussian_total_correlation", "a")])
def test_the_best_value_is_marked_by_the_direction_of_the_metric(name: str, best: str) -> None:
    comparison = dm.compare(of(made(name, 0.2)), of(made(name, 0.4)), names=["a", "b"])
    value = {"a": "0.200", "b": "0.400"}[best]
    other = {"a": "0.400", "b": "0.200"}[best]
    assert f"**{value} " in comparison.to_markdown()
    assert f"**{other} " not in comparison.to_markdown()
    assert rf"\textbf{{{value} " in comparison.to_latex()
    assert plain_text(*comparison.tables()).count("*") == 1


def cells(comparison: Comparison) -> list[str]:
    """Return the marked values of the first metric."""
    return re.findall(r"\*\*(0\.\d+)", comparison.to_markdown().splitlines()[2])


def test_values_not_significantly_worse_than_the_best_are_marked() -> None:
    cards = [of(made(value=0.5)), of(made(value=0.499, draws=1)), of(made(value=0.2, draws=2))]
    comparison = dm.compare(*cards, names=["a", "b", "c"])
    p_holm = {d.names: d.p_holm or 0.0 for d in comparison.differences}
    assert p_holm["a", "b"] >= 0.05 > p_holm["a", "c"]
    assert cells(comparison) == ["0.500", "0.499"]


def test_without_a_test_the_best_value_alone_is_marked() -> None:
    first, second = (replace(made(value=value), interval=None, replicates=()) for value in (0.5, 0.499))
    assert cells(dm.compare(of(first), of(second))) == ["0.500"]


def test_a_metric_of_unknown_direction_has_no_mark_and_no_legend() -> None:
    cards = [of(made("house_metric", value), made("mig")) for value in (0.2, 0.4)]
    comparison = dm.compare(*(dm.ScoreCard({"house_metric": c["house_metric"]}, c.about) for c in cards))
    assert cells(comparison) == []
    assert not any("significantly" in line for line in comparison.legend())


def test_every_format_has_the_legend() -> None:
    comparison = dm.compare(of(made(value=0.2)), of(made(value=0.4)))
    mark, effect = "not significantly worse than the best", "effect: difference of the adjusted scores"
    for text in (str(comparison), comparison.to_markdown(), comparison.to_latex(), comparison._repr_html_()):
        flat = " ".join(text.split())
        assert mark in flat
        assert effect in flat
    bare = [replace(made(value=value), adjusted=None) for value in (0.2, 0.4)]
    assert effect not in str(dm.compare(*map(of, bare)))


def test_columns_without_a_value_are_not_shown() -> None:
    def headings(*changed: Score) -> list[str]:
        lines = dm.compare(*map(of, changed)).to_markdown().splitlines()
        return next(line for line in lines if "difference" in line).strip("| ").split(" | ")

    scores = [made(value=value) for value in (0.2, 0.4)]
    tested = ["metric", "second − first", "difference", "95 % interval", "effect", "p", "p (Holm)"]
    assert headings(*scores) == tested
    assert headings(*(replace(s, adjusted=None) for s in scores)) == [h for h in tested if h != "effect"]
    bare = (replace(s, adjusted=None, interval=None, replicates=()) for s in scores)
    assert headings(*bare) == ["metric", "second − first", "difference"]


def test_names_are_escaped_in_html() -> None:
    html = dm.compare(of(made(value=0.2)), of(made(value=0.4)), names=["<script>", "b"])._repr_html_()
    assert "<script>" not in html
    assert "&lt;script&gt;" in html


@pytest.mark.parametrize(
    ("cards", "names", "message"),
    [
        ([of(made())], None, "takes two score cards or more; got 1"),
        ([of(made()), "card.json"], None, "takes score cards; got str"),
        ([of(made()), of(made())], ["a", "a"], "names must be 2 different ones"),
        ([of(made()), of(made())], ["a"], "names must be 2 different ones"),
    ],
)
def test_incomparable_cards_are_refused(cards: list[Any], names: list[str] | None, message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        dm.compare(*cards, names=names)


def test_the_verdict_of_each_encoder_is_listed() -> None:
    comparison = dm.compare(card(0.1), card(5.0), names=["clean", "noisy"])
    assert "clean: All 2 factors are disentangled." in comparison.remarks()
    assert "noisy: None of 2 factors is disentangled; factor_0 and factor_1 are not captured." in comparison.remarks()
    assert json.loads(comparison.to_json())["verdicts"]["clean"]["factors"][0]["status"] == "captured"


def difference(metric: str, names: tuple[str, str], effect: float, p_holm: float = 0.001) -> Difference:
    return Difference(metric, names, 0.5, 0.5 + effect, effect, effect, None, p_holm, p_holm)


def test_metrics_that_rank_encoders_in_opposite_order_are_explained() -> None:
    names = ("vae", "betah")
    conflicts = _conflicts(
        [difference("modularity_adj", names, -0.04), difference("dci", names, 0.1), difference("mig", names, 0.1)]
    )
    assert conflicts[0] == (
        "vae and betah are ranked in opposite order: vae is better by modularity_adj, betah by dci and mig"
    )
    assert "modularity_adj rates all that each latent carries by itself (prefer it for " in conflicts[1]
    assert "dci rates which latents a predictor of all of them uses" in conflicts[1]
    assert "compactness_adj" not in conflicts[1]


def test_agreement_chance_and_other_metrics_are_no_conflict() -> None:
    names = ("a", "b")
    assert not _conflicts([difference("mig", names, 0.1), difference("dci", names, 0.2)])
    assert not _conflicts([difference("mig", names, -0.1, 0.2), difference("dci", names, 0.2)])
    assert not _conflicts([difference("sap", names, -0.1), difference("dci", names, 0.2)])
    assert not _conflicts([difference("mig", names, -0.1), difference("dci", ("a", "c"), 0.2)])
