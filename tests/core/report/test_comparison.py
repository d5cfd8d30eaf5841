import math
from dataclasses import replace

import pytest

from disentmetrics.comparison.compare import compare
from disentmetrics.report.comparison import ALL_PAIRS, compare_cards
from disentmetrics.results.card import ScoreCard
from disentmetrics.results.score import Score
from disentmetrics.scoring.declarations import declared


def cards_of(**values: tuple[float, ...]) -> list[ScoreCard]:
    n_cards = len(next(iter(values.values())))
    return [
        ScoreCard(
            {name: Score(name, numbers[i], f"{name}|seed:0", **declared(name)) for name, numbers in values.items()}
        )
        for i in range(n_cards)
    ]


def test_a_forest_puts_the_best_first_and_the_undefined_last() -> None:
    cards = cards_of(mig=(0.2, math.nan, 0.9))
    lines = compare_cards(cards, "abc").forests[0].lines
    assert [line.card for line in lines] == ["c", "a", "b"]
    assert lines[0].mark is not None
    assert lines[0].mark.point == 90.0


def test_places_are_shared_by_ties_and_ordered_by_their_mean() -> None:
    found = compare_cards(cards_of(mig=(0.2, 0.2, 0.9), sap=(0.1, 0.3, 0.2)), "abc")
    by_card = {line.card: line for line in found.ranks}
    assert [place for place, _ in by_card["a"].ranks] == [2.5, 3.0]
    assert by_card["c"].mean == 1.5
    assert [line.card for line in found.ranks] == ["c", "b", "a"]


def test_lower_is_better_where_the_metric_declares_it() -> None:
    found = compare_cards(cards_of(gaussian_total_correlation=(3.0, 1.0, 2.0)), "abc")
    assert [line.card for line in found.forests[0].lines] == ["b", "c", "a"]
    assert [line.card for line in found.ranks] == ["b", "c", "a"]


def test_metrics_that_order_alike_agree_fully_and_those_that_order_inversely_not_at_all() -> None:
    found = compare_cards(
        cards_of(mig=(0.1, 0.2, 0.3, 0.4), sap=(0.0, 0.5, 0.6, 0.7), mcc=(0.4, 0.3, 0.2, 0.1)), "abcd"
    )
    assert found.agreement is not None
    assert [text for _, text in found.agreement.cells[0]] == ["1.00", "1.00", "-1.00"]
    assert found.agreement.cells[0][2][0] == -20


def test_agreement_of_metrics_is_not_shown_for_fewer_than_four_cards() -> None:
    assert compare_cards(cards_of(mig=(0.1, 0.2, 0.3), sap=(0.0, 0.5, 0.6)), "abc").agreement is None


def test_differences_are_those_of_compare(four_cards: list[ScoreCard]) -> None:
    names = ["a", "b", "c", "d"]
    found = compare_cards(four_cards, names)
    expected = compare(*four_cards, names=names).differences
    assert {id_of(line.difference) for line in found.differences} == {id_of(one) for one in expected}
    assert found.all_pairs
    assert any(line.is_significant for line in found.differences)


def id_of(one: object) -> tuple[object, ...]:
    return tuple(getattr(one, field) for field in ("metric", "names", "difference", "p_holm"))


def test_of_many_cards_each_is_listed_next_to_the_best(fifty: list[ScoreCard]) -> None:
    names = [str(i) for i in range(len(fifty))]
    found = compare_cards(fifty, names)
    assert len(fifty) > ALL_PAIRS
    mig = [line.difference for line in found.differences if line.difference.metric == "mig"]
    best = max(range(len(fifty)), key=lambda i: fifty[i]["mig"].value)
    assert len(mig) == len(fifty) - 1
    assert all(str(best) in one.names for one in mig)


def test_cards_of_other_rows_have_values_but_no_differences(four_cards: list[ScoreCard]) -> None:
    first, second = four_cards[:2]
    other = ScoreCard(
        {
            name: replace(score, signature=score.signature.replace("rows:600", "rows:601"))
            for name, score in second.scores.items()
        },
        {**second.about, "row_key": "other", "rows": 601},
    )
    found = compare_cards([first, other], ["a", "b"])
    assert not found.differences
    assert "rows" in found.refusal
    assert len(found.forests[0].lines) == 2


def test_a_score_that_one_card_lacks_is_reported_as_missing() -> None:
    first, second = cards_of(mig=(0.1, 0.2))
    second = replace(second, scores={**second.scores, "sap": Score("sap", 0.5, "sap|seed:0")})
    found = compare_cards([first, second], "ab")
    sap = next(forest for forest in found.forests if forest.metric == "sap")
    assert [line.score is None for line in sap.lines] == [False, True]
    assert found.metrics == ("mig",)


@pytest.mark.parametrize("name", ["mig@chen2018", "dci.completeness"])
def test_protocols_and_parts_are_explained_by_their_metric(name: str) -> None:
    found = compare_cards(cards_of(**{name: (0.1, 0.2)}), "ab")
    assert found.forests[0].explanation.higher_is_better is True
