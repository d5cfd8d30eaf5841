"""Importance of each latent for predicting each factor, as measured by DCI."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from disentmetrics.errors import InvalidInputError
from disentmetrics.plots._style import WIDTH, code_order, figure, left_out, matrix, only_card, room_below
from disentmetrics.results.card import ScoreCard

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def draw(cards: Mapping[str, ScoreCard]) -> "Figure":
    """Draw the importance matrix of the first DCI score of the card, normalised to sum to 1 for each factor."""
    card = only_card(cards, "dci-matrix")
    held = [score for score in card.values() if score.name.partition("@")[0] == "dci" and "importance" in score.details]
    if not held:
        reason = next((f": {s.undefined}" for s in card.values() if s.name.startswith("dci") and s.undefined), "")
        raise InvalidInputError(f"dci-matrix needs a card with a dci score{reason or '; score with --metrics dci'}")
    score = held[0]
    importance = np.atleast_2d(np.asarray(score.details["importance"], dtype=np.float64))
    names = _names(card, *importance.shape)
    total = importance.sum(axis=0)
    relative = importance / np.where(total > 0, total, np.nan)
    order = code_order(relative)
    codes = [names[0][j] for j in order]
    drawn = figure(WIDTH, 0.5 + room_below(codes) + max(1.1, 0.24 * importance.shape[1]))
    axes = drawn.subplots()
    cells = matrix(axes, relative[order].T, names[1], codes, span=(0.0, 1.0), colours="Blues")
    axes.set_title(f"Importance of latents for factors, {score.name}{left_out(len(order), len(importance))}")
    drawn.colorbar(cells, ax=axes, label="share of importance", fraction=0.04, pad=0.01)
    return drawn


def _names(card: ScoreCard, n_codes: int, n_factors: int) -> tuple[list[str], list[str]]:
    codes = [f"z{j}" for j in range(n_codes)]
    if card.summary:
        for position, name in zip(card.summary.code_positions.tolist(), card.summary.code_names, strict=True):
            if 0 <= position < n_codes:
                codes[position] = name
    factors = [str(name) for name in card.about.get("factors", ())]
    return codes, factors if len(factors) == n_factors else [f"factor_{k}" for k in range(n_factors)]
