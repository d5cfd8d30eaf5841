"""Cards for the report: small and real, large and synthetic, and hostile."""

import shutil
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

import disentmetrics as dm
from disentmetrics.factors import Factor, FactorSpace
from disentmetrics.report import report
from disentmetrics.results.card import ScoreCard
from disentmetrics.results.score import Interval, Score
from disentmetrics.scoring.declarations import declared
from disentmetrics.scoring.summarise import summarise

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
METRICS = ("mig", "factorvae", "higgins", "sap", "modularity", "mcc", "irs", "explicitness")


@pytest.fixture(scope="session")
def executable() -> str:
    found = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    if found is None:
        pytest.skip(f"there is no browser: none of {', '.join(BROWSERS)} is installed")
    return found


@pytest.fixture(scope="session")
def card() -> ScoreCard:
    """A card of one clean, one mixed, one dead and one noise latent, with posterior variances."""
    return scored(0)


def scored(seed: int) -> ScoreCard:
    rng = np.random.default_rng(0)
    factors = np.stack([rng.integers(3, size=600), rng.integers(6, size=600), rng.integers(8, size=600)], axis=1)
    noise = np.random.default_rng(seed + 1).normal(size=(600, 4))
    codes = np.stack([factors[:, 1], factors[:, 2] + factors[:, 1], np.zeros(600), np.zeros(600)], axis=1)
    codes = codes + [0.3 + seed / 2, 0.5, 0.0, 1.0] * noise
    space = FactorSpace(
        (
            Factor("shape", 3, "categorical", ("square", "ellipse", "heart")),
            Factor("x", 6, "ordinal"),
            Factor("y", 8, "ordinal"),
        )
    )
    variance = np.tile([-2.0, -2.0, 0.0, -1.0], (600, 1))
    representation = dm.Representation(codes, factors, space=space, log_variance=variance)
    return dm.score(representation, ["mig", "compactness_adj"], seed=0)


@pytest.fixture(scope="session")
def wide() -> ScoreCard:
    """A card of 200 latents and 20 factors."""
    rng = np.random.default_rng(0)
    factors = rng.integers(4, size=(300, 20))
    codes = np.tile(factors, (1, 10)) + rng.normal(size=(300, 200)) * np.linspace(0.1, 3, 200)
    space = FactorSpace(tuple(Factor(f"factor {k}", 4, "ordinal") for k in range(20)))
    summary = summarise(dm.Representation(codes, factors, space=space, log_variance=np.full(codes.shape, -1.0)))
    names = list(space.names)
    scores = {name: made_up(name, rng, names) for name in METRICS}
    importance = np.abs(summary.mutual_information)
    scores["dci"] = replace(made_up("dci", rng, names), details={"importance": importance})
    about = {"data": "toy-1", "encoder": "wide", "rows": 300, "codes": 200, "factors": names, "row_key": "0", "seed": 0}
    return ScoreCard(scores, about, ("a remark",), summary)


def made_up(name: str, rng: np.random.Generator, factors: list[str]) -> Score:
    value = float(rng.uniform(0.2, 0.8))
    return Score(
        name,
        value,
        f"{name}|protocol:default|rows:300|data:toy-1|seed:0|v:0.1.0",
        interval=Interval(value - 0.05, value + 0.05, 0.95, "jackknife"),
        null=0.1,
        adjusted=(value - 0.1) / 0.9,
        p_value=0.01,
        per_factor={factor: float(rng.uniform()) for factor in factors},
        replicates=tuple(value + 0.01 * rng.normal(size=20)),
        **declared(name),
    )


@pytest.fixture(scope="session")
def fifty(wide: ScoreCard) -> list[ScoreCard]:
    rng = np.random.default_rng(1)
    names = list(wide.about["factors"])
    return [
        replace(
            wide,
            scores={name: replace(made_up(name, rng, names), details=wide[name].details) for name in wide},
            about={**wide.about, "encoder": f"encoder-{i}"},
        )
        for i in range(50)
    ]


@pytest.fixture(scope="session")
def fifty_page(fifty: list[ScoreCard]) -> str:
    pytest.importorskip("jinja2", reason="reports need jinja2")
    return report(fifty, explorer=False)


@pytest.fixture(scope="session")
def four_cards(card: ScoreCard) -> list[ScoreCard]:
    return [card, *(scored(seed) for seed in (1, 2, 3))]


@pytest.fixture(scope="session")
def hostile(card: ScoreCard) -> Callable[[str], ScoreCard]:
    """A card in which every external string is the given one."""

    def made(evil: str) -> ScoreCard:
        summary = card.summary
        assert summary is not None
        factors = [f"{evil}{k}" for k in range(3)]
        values = (evil, f"{evil} b", f"{evil} c")
        spoiled = replace(
            summary,
            code_names=tuple(f"{evil} z{j}" for j in range(4)),
            factors=tuple(
                replace(factor, name=name, values=values if factor.kind == "categorical" else ())
                for factor, name in zip(summary.factors, factors, strict=True)
            ),
        )
        scores = {
            f"{name}{evil}": replace(
                score,
                name=f"{name}{evil}",
                signature=f"{name}|encoder:{evil}",
                notes=(evil,),
                per_factor=dict(zip(factors, score.per_factor.values(), strict=False)),
            )
            for name, score in card.scores.items()
        }
        scores["undefined"] = Score(evil, float("nan"), evil, undefined=evil)
        about = {**card.about, "encoder": evil, "data": evil, "factors": factors, "version": evil, evil: evil}
        return ScoreCard(scores, about, (evil,), spoiled)

    return made
