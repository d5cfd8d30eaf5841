"""The questions that metrics answer, by which scores are grouped in text."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class Question:
    """A question about a representation.

    Attributes
    ----------
    text : str
    headline : tuple of str
        Metrics that are listed first, in this order.
    """

    text: str
    headline: tuple[str, ...] = ()


QUESTIONS = {
    "modularity": Question("Does each latent follow one factor?", ("modularity_adj",)),
    "compactness": Question("Is each factor in one latent?", ("compactness_adj", "mig")),
    "explicitness": Question("Is the factor encoded at all?", ("explicitness_adj",)),
    "summary": Question("Do published summaries agree?", ("factorvae", "higgins", "dci")),
    "geometry": Question("Are factors encoded along straight, parallel directions?"),
    "downstream": Question("Are the latents useful for downstream tasks?"),
    "unsupervised": Question("How are the latents distributed?"),
}
"""In the order in which they are printed."""

OTHER = "Other metrics"

_OF_METRICS = {
    "modularity_adj": "modularity",
    "modularity": "modularity",
    "mig_sup": "modularity",
    "dmig": "modularity",
    "explicitness_adj": "explicitness",
    "sufficiency": "explicitness",
    "sap": "compactness",
    "dci": "summary",
    "dci_es": "summary",
}
_OF_FAMILIES = {
    "information": "compactness",
    "predictor": "explicitness",
    "matching": "summary",
    "intervention": "summary",
    "geometry": "geometry",
    "downstream": "downstream",
    "unsupervised": "unsupervised",
}


@dataclass(frozen=True)
class Purpose:
    """What a metric rates, and what it is the metric to prefer for, as parts of a sentence."""

    rates: str
    prefer: str


PURPOSES = {
    "modularity_adj": Purpose("all that each latent carries by itself", "whether each latent follows one factor"),
    "compactness_adj": Purpose("how evenly latents share each factor", "whether each factor is in one latent"),
    "mig": Purpose("the lead of each factor's best latent over the second best", "whether that latent is the only one"),
    "explicitness_adj": Purpose("each factor's best latent", "how much of each factor one latent carries"),
    "dci": Purpose("which latents a predictor of all of them uses", "what a downstream predictor relies on"),
    "factorvae": Purpose("which latent varies least while a factor is fixed", "comparison with published numbers"),
    "higgins": Purpose("whether a classifier recognises the fixed factor", "comparison with published numbers"),
}
"""Of the metrics of the default preset."""


def question_of(metric: str, family: str) -> str:
    """Return the key of the question that a metric answers: its own, or by default that of its family.

    Examples
    --------
    >>> question_of("modularity_adj", "information"), question_of("mig", "information")
    ('modularity', 'compactness')
    """
    return _OF_METRICS.get(metric, _OF_FAMILIES.get(family, ""))


def by_question(scores: Iterable[tuple[str, str, T]]) -> list[tuple[str, list[T]]]:
    """Group items by the question of their metric, the headline metrics of each question first.

    Parameters
    ----------
    scores : iterable of (name of the score, key of its question, item)

    Returns
    -------
    list of (text of the question, items)
        Questions in the order of :data:`QUESTIONS`; scores without a question come last.

    Examples
    --------
    >>> by_question([("sap", "compactness", 1), ("mig@chen2018", "compactness", 2), ("mine", "", 3)])
    [('Is each factor in one latent?', [2, 1]), ('Other metrics', [3])]
    """
    groups: dict[str, list[tuple[str, T]]] = {key: [] for key in (*QUESTIONS, "")}
    for name, key, item in scores:
        groups[key if key in QUESTIONS else ""].append((name.partition("@")[0], item))
    grouped = []
    for key, members in groups.items():
        question = QUESTIONS.get(key, Question(OTHER))
        last = len(question.headline)
        place = {metric: position for position, metric in enumerate(question.headline)}
        ordered = sorted(members, key=lambda member: place.get(member[0], last))
        if ordered:
            grouped.append((question.text, [item for _, item in ordered]))
    return grouped
