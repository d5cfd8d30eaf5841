"""Representations in notebooks: complete, escaped, and in the colours of the page."""

import re

import numpy as np
import pytest

import disentmetrics as dm
from disentmetrics.factors import Factor, FactorSpace

EVIL = '"><script>alert(1)</script>'


@pytest.fixture
def representation(rng: np.random.Generator) -> dm.Representation:
    space = FactorSpace((Factor(EVIL, 2, "categorical", (EVIL, "b")), Factor("depth", None, "continuous")))
    factors = np.stack([np.arange(60) % 2, rng.random(60)], axis=1)
    factors[0, 1], factors[2, 0] = np.nan, -1
    return dm.Representation(rng.normal(size=(60, 2)), factors, space=space, code_names=[EVIL, "z1"])


def test_a_representation_shows_its_counts_factors_and_first_rows(representation: dm.Representation) -> None:
    html = representation._repr_html_()
    for message in ("60 rows · 2 latents", "depth (continuous)", "(categorical, 2)", "data table"):
        assert message in html
    rows = [re.findall(r"<td[^>]*>(.*?)</td>", row) for row in re.findall(r"<tr.*?</tr>", html)[1:]]
    assert [row[0] for row in rows] == ["0", "1", "2", "3", "4", "…"]
    assert rows[0][4] == "—"
    assert rows[1][3] == "b"
    assert rows[2][3] == "—"
    assert rows[1][1] == f"{representation.codes[1, 0]:.3g}"


def test_wide_and_unlabelled_representations_stay_small() -> None:
    html = dm.Representation(np.zeros((1, 5_000)), None)._repr_html_()
    assert len(html) < 6_000
    assert "factors: none" in html


def test_nothing_that_users_named_becomes_markup(representation: dm.Representation) -> None:
    html = representation._repr_html_()
    assert "<script" not in html
    assert '""' not in html
    assert "&lt;script&gt;" in html


def test_html_inherits_its_colours(representation: dm.Representation) -> None:
    colours = set(re.findall(r"(?<![a-z-])(?:color|background):([^;]+)", representation._repr_html_()))
    assert colours == {"inherit", "none"}
