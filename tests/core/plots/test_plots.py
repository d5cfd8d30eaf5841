"""Figures show the content of the card in a legible order, and leave nothing behind but their file."""

import re
import sys
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import disentmetrics as dm
from disentmetrics._utils.installation import install_command
from disentmetrics.errors import InvalidInputError, MissingExtraError
from disentmetrics.factors import Factor, FactorSpace
from disentmetrics.plots import draw, kinds, save_figure
from disentmetrics.plots._style import MAX_SHOWN, code_order
from disentmetrics.results.score import Interval, Score
from disentmetrics.scoring.summarise import summarise

mpl = pytest.importorskip("matplotlib", reason="figures need the extra plots")

HOSTILE = ("$x_1^2$", "\\frac{1}{", "<script>alert(1)</script>", "a" * 200, "line\nbreak\x00", "_hidden", "日本 % &")
EXPECTED = {"best-pairs", "correlation", "dci-matrix", "histograms", "mi-matrix", "per-factor", "scores", "tuning-maps"}


def card_of(representation: dm.Representation, **more: Score) -> dm.ScoreCard:
    names = representation.space.names
    scores = {
        "mig": Score("mig", 0.5, "s", Interval(0.4, 0.6, 0.95, "jackknife"), 0.1, per_factor=dict.fromkeys(names, 0.5)),
        "odd": Score("odd", 7.0, "s", Interval(5.0, 9.0, 0.95, "jackknife"), 1.0),
        "not": Score("not", float("nan"), "s", undefined="it has no value"),
        "dci": Score(
            "dci",
            0.5,
            "s",
            details={"importance": np.ones((representation.n_codes, len(names)))},
        ),
    }
    return dm.ScoreCard({**scores, **more}, {"factors": list(names)}, (), summarise(representation))


@pytest.fixture
def representation() -> dm.Representation:
    factors = np.indices((3, 6, 7)).reshape(3, -1).T.repeat(4, axis=0)
    space = FactorSpace(
        (Factor("shape", 3, "categorical", ("a", "b", "c")), Factor("x", 6, "ordinal"), Factor("y", 7, "ordinal"))
    )
    codes = factors[:, [2, 0, 1]] * [1.0, -1.0, 2.0]
    return dm.Representation(codes, factors, space=space, log_variance=np.full(codes.shape, -8.0))


@pytest.fixture
def card(representation: dm.Representation) -> dm.ScoreCard:
    return card_of(representation)


def texts(figure: Any) -> list[str]:
    return [text.get_text() for text in figure.findobj(mpl.text.Text) if text.get_visible()]


def test_every_kind_is_found_and_described() -> None:
    assert set(kinds()) >= EXPECTED
    assert all(about.endswith(".") for about in kinds().values())


@pytest.mark.parametrize("kind", sorted(EXPECTED))
def test_every_kind_is_written_as_text_with_fonts_and_leaves_no_setting_changed(
    card: dm.ScoreCard, tmp_path: Path, kind: str
) -> None:
    from matplotlib._pylab_helpers import Gcf

    before = dict(mpl.rcParams)
    for name in ("a.svg", "a.pdf"):
        save_figure(card.plot(kind), tmp_path / name)
    assert "<text" in (tmp_path / "a.svg").read_text()
    pdf = (tmp_path / "a.pdf").read_bytes()
    assert b"/FontFile2" in pdf
    assert b"/Type3" not in pdf
    assert dict(mpl.rcParams) == before
    assert not Gcf.figs  # pyplot keeps no figure alive


@pytest.mark.parametrize("suffix", ["svg", "pdf"])
def test_the_same_card_makes_the_same_file(card: dm.ScoreCard, tmp_path: Path, suffix: str) -> None:
    for name in ("a", "b"):
        save_figure(card.plot("best-pairs"), tmp_path / f"{name}.{suffix}")
    assert (tmp_path / f"a.{suffix}").read_bytes() == (tmp_path / f"b.{suffix}").read_bytes()


def test_settings_of_others_change_no_figure(card: dm.ScoreCard, tmp_path: Path) -> None:
    save_figure(card.plot("mi-matrix"), tmp_path / "a.svg")
    with mpl.rc_context({"font.size": 30, "svg.fonttype": "path", "axes.facecolor": "red"}):
        save_figure(card.plot("mi-matrix"), tmp_path / "b.svg")
        assert mpl.rcParams["font.size"] == 30
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()


def test_perfect_codes_make_a_diagonal(card: dm.ScoreCard) -> None:
    shown = card.plot("mi-matrix").axes[0]
    assert [label.get_text() for label in shown.get_xticklabels()] == ["z1", "z2", "z0"]
    assert np.asarray(shown.collections[0].get_array()) == pytest.approx(np.eye(3), abs=0.02)
    assert shown.get_yticklabels()[0].get_text() == "shape (1.10 nats)"


def test_latents_are_ordered_by_assigned_factors_and_then_by_informativeness() -> None:
    share = np.array([[0.1, 0.0], [0.0, 0.9], [0.8, 0.7], [0.2, 0.3]])
    assert code_order(share).tolist() == [2, 1, 3, 0]
    assert code_order(np.zeros((3, 0))).tolist() == [0, 1, 2]
    assert len(code_order(np.zeros((200, 20)))) == MAX_SHOWN


def test_pairs_maps_and_histograms_name_codes_with_numbers(card: dm.ScoreCard) -> None:
    assert {"z1: 100% of entropy", "z2: 100% of entropy", "z0: 100% of entropy"} <= set(texts(card.plot("best-pairs")))
    assert "Mean of latents over x and y" in texts(card.plot("tuning-maps"))
    assert any("N(0, 1)" in text for text in texts(card.plot("histograms")))
    assert card.summary is not None
    without = dm.ScoreCard(card.scores, card.about, (), replace(card.summary, kl=None))
    assert any("same mean and spread" in text for text in texts(without.plot("histograms")))


def test_scores_show_values_intervals_nulls_and_what_is_undefined(card: dm.ScoreCard) -> None:
    figure = card.plot()
    lines = [np.asarray(line.get_xdata()).tolist() for axes in figure.axes for line in axes.lines]
    assert [0.4, 0.6] in lines
    assert [0.1, 0.1] in lines
    assert [5.0, 9.0] in lines
    assert len(figure.axes) == 2  # values beyond 0 and 1 have a separate axis
    assert "undefined" in texts(figure)


@pytest.mark.parametrize("n_cards", [2, 8, 9, 50])
def test_several_cards_are_identified_by_name(card: dm.ScoreCard, tmp_path: Path, n_cards: int) -> None:
    figure = draw({f"model {i}": card for i in range(n_cards)})
    assert {f"model {i}" for i in range(n_cards)} <= set(texts(figure))
    save_figure(figure, tmp_path / "a.svg")
    with pytest.raises(InvalidInputError, match=f"mi-matrix shows a single score card; got {n_cards}"):
        draw({f"model {i}": card for i in range(n_cards)}, "mi-matrix")


def test_hostile_names_are_shown_literally(tmp_path: Path) -> None:
    factors = np.random.default_rng(0).integers(6, size=(300, len(HOSTILE)))
    space = FactorSpace([Factor(name, 6, "ordinal") for name in HOSTILE])
    card = card_of(dm.Representation(factors * 1.0, factors, space=space, code_names=HOSTILE))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for kind in kinds():
            save_figure(draw({HOSTILE[0]: card}, kind), tmp_path / f"{kind}.svg")
    assert not caught
    svg = (tmp_path / "mi-matrix.svg").read_text()
    assert "<script>" not in svg
    assert "&lt;script" in svg
    assert re.search(r"<text[^>]*>\$x_1\^2\$", svg)  # a formula would be split into glyphs
    assert "a" * 60 not in svg


@pytest.mark.parametrize(
    ("n_codes", "n_factors"), [(1, 1), (1, 3), (7, 1), (200, 20)], ids=["one", "one code", "one factor", "many"]
)
def test_extreme_numbers_of_codes_and_factors_are_drawn(n_codes: int, n_factors: int) -> None:
    rng = np.random.default_rng(0)
    factors = rng.integers(5, size=(200, n_factors))
    codes = rng.normal(size=(200, n_codes)) * 10.0 ** rng.integers(-200, 200, size=n_codes)
    codes[:, -1] = 1e300
    representation = dm.Representation(codes, {f"f{k}": factors[:, k] for k in range(n_factors)})
    card = card_of(representation)
    for kind in set(kinds()) - ({"tuning-maps"} if n_factors == 1 else set()):
        figure = card.plot(kind)
        figure.draw_without_rendering()
        assert all(axes.get_window_extent().width > 3 for axes in figure.axes if axes.get_visible())


def test_what_a_card_lacks_is_reported(card: dm.ScoreCard) -> None:
    old = dm.ScoreCard({"mig": replace(card["mig"], per_factor={})}, card.about)
    for kind in sorted(EXPECTED - {"scores", "dci-matrix", "per-factor"}):
        with pytest.raises(InvalidInputError, match=f"{kind} needs a card with a summary.*score again"):
            old.plot(kind)
    with pytest.raises(InvalidInputError, match="dci-matrix needs a card with a dci score; score with --metrics dci"):
        old.plot("dci-matrix")
    with pytest.raises(InvalidInputError, match="per-factor needs a score with a value for each factor"):
        old.plot("per-factor")
    with pytest.raises(InvalidInputError, match="contains a score; this one is empty"):
        dm.ScoreCard({}).plot()
    unlabelled = dm.ScoreCard({}, summary=summarise(dm.Representation(np.eye(4), None)))
    with pytest.raises(InvalidInputError, match="mi-matrix needs factors"):
        unlabelled.plot("mi-matrix")
    alone = dm.ScoreCard({}, summary=summarise(dm.Representation(np.eye(4), {"kind": list("abab")})))
    with pytest.raises(InvalidInputError, match="two ordinal or continuous factors.*kind \\(categorical\\)"):
        alone.plot("tuning-maps")


def test_unknown_kinds_and_suffixes_are_refused_with_the_nearest(card: dm.ScoreCard, tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="did you mean 'mi-matrix'"):
        card.plot("mi_matrix")
    with pytest.raises(InvalidInputError, match="must end in .pdf, .svg, .png; got 'a.jpeg'"):
        save_figure(card.plot(), tmp_path / "a.jpeg")
    with pytest.raises(InvalidInputError, match="got none"):
        draw({})


def test_a_failed_drawing_leaves_the_old_file(
    card: dm.ScoreCard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.svg"
    path.write_text("old")
    figure = card.plot()

    def fail(target: Path, **options: object) -> None:
        Path(target).write_text("half")
        raise ZeroDivisionError

    monkeypatch.setattr(figure, "savefig", fail)
    with pytest.raises(ZeroDivisionError):
        save_figure(figure, path)
    assert path.read_text() == "old"
    assert [found.name for found in tmp_path.iterdir()] == ["a.svg"]


def test_without_matplotlib_one_sentence_names_the_package_to_install(
    card: dm.ScoreCard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(MissingExtraError, match=re.escape(install_command("plots")) + "$"):
        card.plot()
