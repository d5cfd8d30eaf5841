"""Scores as text."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import disentmetrics as dm
from disentmetrics._utils.tables import plain_text
from disentmetrics.results.score_text import (
    edge_note,
    factor_table,
    score_table,
    signature_lines,
    wrapped_signature,
)


@pytest.fixture(scope="module")
def card() -> dm.ScoreCard:
    rng = np.random.default_rng(0)
    factors = rng.integers((3, 4), size=(300, 2))
    codes = np.hstack([factors + 0.3 * rng.normal(size=factors.shape), rng.normal(size=(300, 1))])
    return dm.score(dm.Representation(codes, factors, factor_names=["shape", "size"]))


def score(name: str = "mig", value: float = 0.5, **changes: Any) -> dm.Score:
    return replace(dm.Score(name, value, f"{name}|protocol:default|rows:9|seed:0"), **changes)


def lines_of(*scores: dm.Score) -> list[str]:
    return plain_text(score_table({s.name: s for s in scores}).to_rich(), width=80).splitlines()


def test_scores_are_grouped_by_question_with_parts_below_their_metric(card: dm.ScoreCard) -> None:
    printed = str(card).splitlines()
    lines = printed[next(i for i, line in enumerate(printed) if line.startswith("metric ")) :]  # below the verdict
    names = [line.strip().split("  ")[0] for line in lines[1:15]]
    assert names == [
        "Does each latent follow one factor?", "modularity_adj",
        "Is each factor in one latent?", "compactness_adj", "mig",
        "Is the factor encoded at all?", "explicitness_adj",
        "Do published summaries agree?", "factorvae", "higgins", "dci", "dci.completeness", "dci.informativeness",
        names[-1],
    ]  # fmt: skip
    indents = {line.split()[0]: len(line) - len(line.lstrip()) for line in lines[1:14]}
    assert (indents["dci"], indents["dci.completeness"]) == (0, 2)


def test_the_default_preset_fits_eighty_columns(card: dm.ScoreCard) -> None:
    assert max(map(len, str(card).splitlines())) <= 80


def test_the_signature_is_one_line_and_the_full_ones_are_available(card: dm.ScoreCard) -> None:
    shared, *others = card.signature_lines()
    assert shared.startswith("shared: protocol:default|rows:300|code:mean|")
    differing = {name for line in others for name in line.partition(":")[0].split(", ")}
    assert differing <= {"factorvae", "dci", "mig", "higgins", "modularity_adj", "compactness_adj", "explicitness_adj"}
    full = card.signature_lines(full=True)
    assert full == [s.signature for s in card.values()]
    assert len("".join(full)) > 4 * len("".join([shared, *others]))


def test_fields_that_differ_follow_the_names_of_their_scores() -> None:
    first = score()
    second = score("dci", signature="dci|protocol:default|rows:9|active:3|seed:0")
    third = score("sap@x", signature="sap|protocol:x|rows:9|active:3|seed:0")
    lines = signature_lines({s.name: s for s in (first, second, third)})
    assert lines == ["shared: rows:9|seed:0", "dci, sap@x: active:3"]


def test_one_signature_or_one_that_cannot_be_parsed_is_complete() -> None:
    assert signature_lines({"mig": score()}) == ["mig|protocol:default|rows:9|seed:0"]
    broken = score("sap", signature="broken|")
    assert signature_lines({"mig": score(), "sap": broken}) == [score().signature, "broken|"]


def test_a_long_signature_is_broken_between_fields() -> None:
    line = "mig|rows:500|draw:uniform/0|encoder:pca|seed:0"
    assert wrapped_signature(line, 24) == ["mig|rows:500|", "  draw:uniform/0|", "  encoder:pca|seed:0"]
    assert wrapped_signature(line, 99) == [line]
    assert "".join(part.strip() for part in wrapped_signature(line, 5)) == line


def test_no_column_is_empty() -> None:
    assert lines_of(score()) == ["metric  value", "mig     0.500"]
    undefined = score("dci", math.nan, undefined="no factor varies")
    assert lines_of(score(null=0.1), undefined)[0].split() == ["metric", "value", "null"]
    assert lines_of(undefined)[1].split() == ["dci", "undefined"]


@pytest.mark.parametrize(
    ("p_value", "n_permutations", "shown"),
    [
        (0.05, 19, "≤ 0.05"),
        (0.01, 99, "≤ 0.01"),
        (0.1, 19, "0.100"),
        (0.05, 0, "0.050"),
        (1 / 20, 99, "0.050"),
        (0.013, 39, "≈ 0.013"),
    ],
)
def test_the_smallest_possible_p_value_is_a_bound_and_a_smaller_one_an_estimate(
    p_value: float, n_permutations: int, shown: str
) -> None:
    assert lines_of(score(p_value=p_value, n_permutations=n_permutations))[1].endswith(f"0.500  {shown}")


def test_the_number_of_permutations_is_that_of_the_null(card: dm.ScoreCard) -> None:
    assert (card["mig"].n_permutations, card["factorvae"].n_permutations) == (99, 39)
    assert card["mig"].smallest_p_value == 0.01
    assert card["dci.completeness"].n_permutations == card["dci"].n_permutations
    assert dm.score(dm.Representation([0.0, 1.0], [0, 1]), ["mig"], null=False)["mig"].smallest_p_value is None


def test_a_value_at_the_edge_of_its_bias_corrected_interval_is_pointed_out() -> None:
    interval = dm.Interval(0.4, 0.5, 0.95, "half-sampling")
    at_edge = score(interval=interval, corrected=0.45, bounds=(0.0, 1.0))
    within = replace(at_edge, value=0.45)
    at_bound = replace(at_edge, value=1.0, interval=dm.Interval(0.9, 1.0, 0.95, "half-sampling"))
    exact = replace(at_edge, interval=dm.Interval(0.5, 0.5, 0.95, "exact"))
    uncorrected = replace(at_edge, corrected=None)
    assert edge_note([within, at_bound, exact, uncorrected]) is None
    note = edge_note([at_edge, within])
    assert note == "At the edge of the interval, which is centred on the bias-corrected estimate: mig."
    assert note in " ".join(str(dm.ScoreCard({"mig": at_edge})).split())


def test_scores_of_factors_are_turned_where_they_are_too_wide() -> None:
    few = factor_table({"mig": score(per_factor={"x": 0.5, "y": math.nan})})
    assert few is not None
    assert list(few.headings) == ["by factor", "x", "y"]
    many = factor_table({"mig": score(per_factor={f"a long name {k}": 0.5 for k in range(9)})})
    assert many is not None
    assert list(many.headings) == ["by factor", "mig"]
    assert factor_table({"mig": score()}) is None


def test_no_name_adds_a_line_to_the_text() -> None:
    evil = "evil\n::error::x\x1b[31m"
    text = str(dm.ScoreCard({evil: score(evil, per_factor={evil: 0.5}, notes=(evil,))}, notes=(evil,)))
    assert not any(line.lstrip().startswith("::") for line in text.splitlines())
    assert "\x1b" not in text
