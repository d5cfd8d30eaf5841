"""The contract of a metric: how it is called, what its signature and docstring show, what protocols inherit."""

import copy
import inspect
import math
import pickle
import pydoc
from collections.abc import Iterator
from typing import Any, Literal, get_args
from unittest.mock import patch

import numpy as np
import pytest

import disentmetrics as dm
from disentmetrics.errors import InvalidInputError
from disentmetrics.metrics import registered_metrics
from disentmetrics.metrics.base import (
    INVARIANCES,
    REGISTERED,
    Metric,
    Needs,
    Protocol,
    RawScore,
    alias,
    all_except,
    metric,
)
from disentmetrics.metrics.documentation import PROVIDED

FACTORS = np.indices((4, 5)).reshape(2, -1).T.repeat(30, axis=0)
CODES = FACTORS + 0.3 * np.random.default_rng(0).normal(size=FACTORS.shape)
TABLE = dm.Representation(CODES, FACTORS)
every = pytest.mark.parametrize("declared", registered_metrics().values(), ids=lambda m: m.name)


@pytest.fixture(autouse=True)
def _registry() -> Iterator[None]:
    with patch.dict(REGISTERED):
        yield


def spread(representation: dm.Representation, *, rng: np.random.Generator, power: float = 2.0) -> RawScore:
    """Spread of the codes.

    ``mean of |z|^p``.

    Parameters
    ----------
    representation : Representation
        At least one latent.
    rng : numpy.random.Generator
        Draws nothing.
    power : float
        The exponent p.

    Returns
    -------
    RawScore
        At least 0.

    Raises
    ------
    UndefinedScoreError
        If there is no row.

    Notes
    -----
    None.
    """
    del rng
    return RawScore(float((np.abs(representation.codes) ** power).mean()))


def declare(**changes: object) -> Metric:
    declaration = {
        "family": "unsupervised",
        "bounds": (0.0, math.inf),
        "higher_is_better": True,
        "paper": "none",
        "known_failure": "All.",
        "needs": Needs(factors=0),
        "randomised": True,
        "protocols": {"default": Protocol(source="ours"), "cubic": Protocol(source="theirs", options={"power": 3.0})},
    }
    return metric(**{**declaration, **changes})(spread)  # type: ignore[arg-type] # a declaration with one change


def test_a_metric_is_called_with_arrays_or_with_a_representation() -> None:
    from_arrays, from_table = dm.metrics.mig(CODES, FACTORS), dm.metrics.mig(TABLE)
    assert isinstance(from_arrays, dm.Score)
    assert (from_arrays.value, from_arrays.signature) == (from_table.value, from_table.signature)
    assert dm.metrics.mig(TABLE, protocol="locatello2019", n_bins=10).signature == (
        dm.metrics.mig(CODES, FACTORS, protocol="locatello2019", n_bins=10).signature
    )
    log_variance = np.full(CODES.shape, -3.0)
    with_posterior = dm.Representation(CODES, FACTORS, log_variance=log_variance)
    assert dm.metrics.mig(with_posterior, protocol="chen2018").value == pytest.approx(
        dm.metrics.mig(CODES, FACTORS, log_variance=log_variance, protocol="chen2018").value, abs=0
    )


@pytest.mark.parametrize("given", [{"factors": FACTORS}, {"log_variance": np.zeros_like(CODES)}], ids=str)
def test_a_representation_is_given_alone(given: dict[str, np.ndarray]) -> None:
    with pytest.raises(InvalidInputError, match=r"^a Representation already contains factors and log_variance: call "):
        dm.metrics.mig(TABLE, **given)  # type: ignore[arg-type] # one of the two


def test_codes_alone_suffice_where_no_factors_are_needed() -> None:
    assert dm.metrics.active_units(CODES).value == 2
    with pytest.raises(InvalidInputError, match=r"^dci compares codes with known factors: call dci\(codes, factors\)"):
        dm.metrics.dci(CODES)


@every
def test_the_signature_is_that_of_the_call(declared: Metric) -> None:
    signature = inspect.signature(declared)
    common = ["codes", "factors", "log_variance", "protocol", "seed"]
    assert list(signature.parameters)[:5] == common
    assert signature.return_annotation is dm.Score
    formula = inspect.signature(declared.formula).parameters
    own = [name for name, p in formula.items() if p.kind is p.KEYWORD_ONLY and name not in PROVIDED]
    assert list(signature.parameters)[5:] == own
    for name in own:
        shown = signature.parameters[name]
        assert shown.kind is shown.KEYWORD_ONLY
        assert (shown.default, shown.annotation) == (formula[name].default, formula[name].annotation)


@every
def test_help_documents_the_call(declared: Metric) -> None:
    shown = pydoc.plain(pydoc.render_doc(declared))
    assert f"<Metric {declared.name}(codes, factors, ...) -> Score>" in shown
    text = inspect.getdoc(declared) or ""
    assert "RawScore" not in text
    assert "representation : Representation" not in text
    assert "\nReturns\n-------\nScore\n    " in text
    parameters = text.partition("Parameters\n")[2].partition("\nReturns\n")[0]
    documented = [
        name
        for line in parameters.splitlines()[1:]
        if line and not line.startswith(" ")
        for name in line.partition(" :")[0].split(", ")
    ]
    assert documented == list(inspect.signature(declared).parameters)


def test_the_docstring_keeps_what_the_formula_documents() -> None:
    text = inspect.getdoc(declare()) or ""
    assert text.startswith("Spread of the codes.\n\n``mean of |z|^p``.\n\nParameters\n----------\ncodes : ")
    assert "At least one latent." in text
    assert "power : float\n    The exponent p." in text
    assert "Score\n    At least 0. Higher is better." in text
    assert "with ``value`` NaN and the reason in ``undefined``, if there is no row." in " ".join(text.split())
    assert "rng" not in text


def test_the_formula_stays_callable() -> None:
    raw = dm.metrics.mig.formula(TABLE, n_bins=10)
    assert isinstance(raw, RawScore)
    assert raw.value == dm.metrics.mig(TABLE).value


def test_completion_lists_metrics_and_their_attributes() -> None:
    assert {"mig", "dci", "find_metric"} <= set(dir(dm.metrics))
    assert {"formula", "score", "protocols", "options", "bounds", "needs"} <= set(dir(dm.metrics.mig))
    assert list(dm.metrics.mig.options) == ["estimator", "n_bins"]
    with pytest.raises(AttributeError, match="no metric is named 'migg'; did you mean 'mig'"):
        _ = dm.metrics.migg


def test_protocols_inherit_what_they_do_not_override() -> None:
    declared = declare(
        invariant_to=all_except("scale"),
        detects={"rotated"},
        perfect=math.nan,
        noise=0.5,
        precision=1e-3,
        costly=True,
        slow=True,
        protocols={
            "default": Protocol(source="ours"),
            "other": Protocol(source="theirs", invariant_to={"scale"}, noise="chance", slow=False, needs=Needs(rows=7)),
        },
    )
    default, other = declared.protocol("default"), declared.protocol("other")
    assert default.invariant_to == set(INVARIANCES) - {"scale"}
    assert (default.noise, default.slow, default.needs.rows) == (0.5, True, 2)
    assert (other.invariant_to, other.detects) == ({"scale"}, {"rotated"})
    assert (other.noise, other.precision, other.costly, other.slow) == ("chance", 1e-3, True, False)
    assert math.isnan(other.perfect)
    assert (other.needs.rows, declared.needs) == (7, Needs(factors=0))


def test_an_alias_shares_the_formula_under_a_name_of_its_own() -> None:
    original = declare(invariant_to={"sign"})

    @alias(of=original, paper="another", known_failure="None.", protocols={"flat": Protocol(source="flat")}, slow=True)
    def width() -> None:
        """Width of the codes.

        Notes
        -----
        Another name.
        """

    assert dm.metrics.width is width
    assert width.formula is original.formula
    assert (width.name, width.paper, list(width.protocols)) == ("width", "another", ["default", "flat"])
    assert width.protocol("flat").invariant_to == {"sign"}
    assert [p.slow for p in width.protocols.values()] == [True, True]
    text = inspect.getdoc(width) or ""
    assert text.startswith("Width of the codes.\n\nParameters\n")
    assert "power : float" in text
    assert text.endswith("Notes\n-----\nAnother name.")
    assert width(CODES).value == original(CODES).value
    assert width(CODES).signature.startswith("width|")


@pytest.mark.parametrize(("name", "of"), [("wsepin", "windin"), ("sufficiency", "average_maximal_mi")])
def test_published_pairs_share_one_formula(name: str, of: str) -> None:
    metrics = registered_metrics()
    assert metrics[name].formula is metrics[of].formula
    assert metrics[name].protocol("default").options == metrics[of].protocol("default").options


def test_a_formula_of_two_names_receives_the_name_it_is_called_under() -> None:
    log_variance = np.full(CODES.shape, -3.0)
    for name, detail in (("windin", "indin"), ("wsepin", "sepin")):
        score = registered_metrics()[name](CODES, log_variance=log_variance)
        assert set(score.details) == {detail, "information", "weights"}


def test_a_name_of_another_module_is_refused() -> None:
    def mig(representation: dm.Representation) -> RawScore:
        return RawScore(float(representation.n_codes))

    register = metric(
        family="information",
        bounds=(0.0, 1.0),
        higher_is_better=True,
        paper="none",
        known_failure="All.",
        protocols={"default": Protocol(source="ours")},
    )
    with pytest.raises(InvalidInputError, match=r"'mig' is taken by a metric of disentmetrics\.metrics\._mig; choose"):
        register(mig)
    assert dm.metrics.mig.__module__ == "disentmetrics.metrics._mig"


def test_a_metric_may_be_defined_again_in_its_module() -> None:
    declare()
    again = declare(paper="a later edition")
    assert dm.metrics.spread is again


@every
def test_bounds_and_direction_of_parts(declared: Metric) -> None:
    assert declared.bounds_for() == declared.bounds
    assert declared.higher_is_better_for() == declared.higher_is_better
    for part, bounds in declared.parts.items():
        assert declared.bounds_for(part) == bounds
        assert declared.higher_is_better_for(part) == (
            declared.higher_is_better and part not in declared.lower_is_better
        )


def test_a_part_may_be_better_the_lower_it_is() -> None:
    assert not dm.metrics.block_identifiability.higher_is_better_for("leakage")


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"powr": 2.0}, "spread has no option 'powr'; did you mean 'power'?; its options: power"),
        ({"power": -1.0}, "power must be a finite number above 0; got -1.0"),
        ({"rng": 0}, "spread has no option 'rng'; its options: power"),
        ({"protocol": None}, "spread has no protocol None; it has default, cubic"),
    ],
)
def test_unfit_options_are_refused(options: dict[str, Any], reason: str) -> None:
    with pytest.raises(InvalidInputError) as refused:
        declare()(CODES, **options)
    assert str(refused.value) == reason


def test_options_may_be_numbers_of_numpy() -> None:
    expected = dm.metrics.mig(TABLE, estimator="quantile", n_bins=7)
    score = dm.metrics.mig(TABLE, estimator="quantile", n_bins=np.int64(7))
    assert (score.value, score.signature) == (expected.value, expected.signature)
    with pytest.raises(InvalidInputError, match="n_bins must be a whole number of at least 1; got "):
        dm.metrics.mig(TABLE, n_bins=np.float64(7))
    assert declare()(CODES, power=np.float32(2)).value == declare()(CODES, power=2).value


def test_a_representation_in_the_place_of_factors_is_refused() -> None:
    with pytest.raises(InvalidInputError, match=r"call mig\(representation\), or mig\(codes, representation.factors\)"):
        dm.metrics.mig(CODES, TABLE)


def test_needs_are_checked_before_the_formula() -> None:
    declared = declare(needs=Needs(codes=3, factors=0, circular=True))
    assert declared(CODES).undefined == "spread needs 3 or more latents; got 2"
    circular = declare(needs=Needs(circular=True))
    assert circular(TABLE).undefined == (
        "spread is defined for circular factors only; these are not circular: factor_0, factor_1"
    )


def test_the_docstring_of_an_undocumented_formula_is_empty() -> None:
    def plain(representation: dm.Representation, *, rule: Literal["a", "b"] = "a") -> RawScore:
        return RawScore(float(len(rule)) * representation.n_codes)

    registered = metric(
        family="geometry",
        bounds=(0.0, 9.0),
        higher_is_better=True,
        paper="none",
        known_failure="All.",
        protocols={"default": Protocol(source="ours")},
    )(plain)
    assert not inspect.getdoc(registered)
    assert get_args(inspect.signature(registered).parameters["rule"].annotation) == ("a", "b")


@every
def test_a_metric_is_pickled_and_copied_by_reference(declared: Metric) -> None:
    assert pickle.loads(pickle.dumps(declared)) is declared
    assert copy.copy(declared) is declared
    assert copy.deepcopy(declared) is declared
