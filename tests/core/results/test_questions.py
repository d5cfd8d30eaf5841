"""Questions that metrics answer."""

import pytest

from disentmetrics.metrics import registered_metrics
from disentmetrics.results.questions import OTHER, QUESTIONS, by_question, question_of


def test_every_metric_answers_a_question_and_headlines_exist() -> None:
    metrics = registered_metrics()
    assert {question_of(name, metric.family) for name, metric in metrics.items()} == set(QUESTIONS)
    headline = [name for question in QUESTIONS.values() for name in question.headline]
    assert set(headline) <= set(metrics)
    for key, question in QUESTIONS.items():
        assert all(question_of(name, metrics[name].family) == key for name in question.headline)


@pytest.mark.parametrize(
    ("name", "question"),
    [
        ("modularity_adj", "Does each latent follow one factor?"),
        ("compactness_adj", "Is each factor in one latent?"),
        ("mig", "Is each factor in one latent?"),
        ("explicitness_adj", "Is the factor encoded at all?"),
        ("factorvae", "Do published summaries agree?"),
        ("higgins", "Do published summaries agree?"),
        ("dci", "Do published summaries agree?"),
    ],
)
def test_metrics_of_the_default_preset(name: str, question: str) -> None:
    assert QUESTIONS[question_of(name, registered_metrics()[name].family)].text == question


def test_headlines_come_first_and_scores_without_a_question_last() -> None:
    scores = [("mine", "", 0), ("sap", "compactness", 1), ("mig@chen2018", "compactness", 2)]
    scores += [("compactness_adj", "compactness", 3), ("new", "unknown question", 4)]
    assert by_question(scores) == [("Is each factor in one latent?", [3, 2, 1]), (OTHER, [0, 4])]
