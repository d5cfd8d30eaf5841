"""Pytest plugin that tests the scores of a model in CI.

It is active once disentmetrics is installed, and imports nothing but pytest until a test requests a score::

    from disentmetrics_adapters.integrations.pytest_plugin import assert_no_regression, assert_score

    def test_codes_are_disentangled():
        assert_score("onnx:model.onnx", "mig", at_least=0.3, data="dsprites")

    def test_nothing_got_worse(disentmetrics_score):
        card = disentmetrics_score("onnx:model.onnx", ["mig", "sap"], data="dsprites")
        assert_no_regression(card, "baselines/model.json")

``pytest --disentmetrics-update`` writes the scores as the new baselines instead of checking them.
"""

import os
import tempfile
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from disentmetrics.comparison.regression import CheckResult
    from disentmetrics.datasets.base import DataSet
    from disentmetrics.representation import Representation
    from disentmetrics.results.card import ScoreCard
    from disentmetrics.results.score import Score

UPDATE = "--disentmetrics-update"
N_SAMPLES = 5_000
"""Default number of rows to draw from a data set that has more."""

_running: list[pytest.Config] = []  # a run of pytest may start another in the same process; the innermost is last


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option that updates baselines."""
    parser.getgroup("disentmetrics").addoption(
        UPDATE, action="store_true", help="write the scores passed to assert_no_regression as its new baselines"
    )


def pytest_configure(config: pytest.Config) -> None:
    """Store the settings of this run for the assertions."""
    _running.append(config)


def pytest_unconfigure(config: pytest.Config) -> None:
    """Remove the settings of this run."""
    if config in _running:
        _running.remove(config)


@pytest.fixture(scope="session")
def disentmetrics_score() -> "Callable[..., ScoreCard]":
    """Score an encoder or codes with intervals and nulls: ``disentmetrics_score(what, metrics, data=...)``.

    See :func:`disentmetrics_adapters.integrations.pytest_plugin.score_card`. Session-scoped, so that fixtures
    that share a card between many tests can depend on it.
    """
    return score_card


def score_card(
    what: "ScoreCard | Representation | Callable[..., Any] | Any",
    metrics: str | Sequence[str] = "default",
    *,
    factors: Any = None,
    data: "DataSet | str | None" = None,
    n_samples: int | None = None,
    seed: int = 0,
    interval: bool = True,
    null: bool = True,
    **about_codes: Any,
) -> "ScoreCard":
    """Score an encoder, codes or a representation; a score card is returned unchanged.

    Parameters
    ----------
    what : str, callable, array, Representation, ScoreCard or Path
        An encoder by name, such as ``onnx:model.onnx``, or as a callable, with ``data``; codes (n_samples,
        n_codes) with ``factors``; a representation; a score card, or the path of one.
    metrics : str or sequence of str
        As for :func:`disentmetrics.score`.
    factors : (n_samples, n_factors), optional
        Required with codes.
    data : DataSet or str, optional
        Data set to encode, such as ``dsprites``; required with an encoder.
    n_samples : int, optional
        Number of rows to draw. By default 5,000, or the full data set if it has no more.
    seed : int
        Random seed of the rows and all further draws.
    interval, null : bool
        Whether to compute intervals and nulls.
    **about_codes
        Further arguments of :class:`disentmetrics.Representation`, such as ``log_variance`` and ``kinds``.

    Returns
    -------
    ScoreCard

    Raises
    ------
    InvalidInputError
        If codes are given without factors, an encoder without data, or either with arguments that do not apply to it.
    EncoderError
        If the encoder fails.
    """
    __tracebackhide__ = True
    from disentmetrics.results.card import ScoreCard
    from disentmetrics.scoring.score import score

    if isinstance(what, Path):
        what = ScoreCard.from_json(what)
    given = {"factors": factors, "data": data, "n_samples": n_samples, **about_codes}
    if isinstance(what, ScoreCard):
        _refuse(given, "a score card is already scored")
        return what
    return score(
        _representation(what, given, seed), metrics, seed=seed, interval="jackknife" if interval else None, null=null
    )


def assert_score(
    what: "ScoreCard | Representation | Callable[..., Any] | Any",
    metric: str,
    *,
    at_least: float | None = None,
    at_most: float | None = None,
    certain: bool = False,
    factors: Any = None,
    data: "DataSet | str | None" = None,
    n_samples: int | None = None,
    seed: int = 0,
    **about_codes: Any,
) -> "Score":
    """Fail the test if a score is not within these limits, or is undefined.

    Parameters
    ----------
    what : str, callable, array, Representation, ScoreCard or Path
        As for :func:`score_card`, as are the arguments that are not listed here.
    metric : str
        ``mig``, ``mig@chen2018``, or a part: ``dci.completeness``.
    at_least, at_most : float
        One or both of the limits.
    certain : bool
        Require the entire 95 % interval to lie within the limits. By default only the value must, and the
        interval is computed only for the message of a failure.

    Returns
    -------
    Score

    Raises
    ------
    AssertionError
        With the value, the table with interval and null, notes, and the signature.
    InvalidInputError
        If no limit is given, or the metric does not exist.
    """
    __tracebackhide__ = True
    from disentmetrics.errors import InvalidInputError
    from disentmetrics.results.card import ScoreCard
    from disentmetrics_adapters.integrations._named_scores import NamedScore

    if at_least is None and at_most is None:
        raise InvalidInputError("assert_score requires a limit; give at_least, at_most or both")
    given = {"factors": factors, "data": data, "n_samples": n_samples, **about_codes}
    full_name = metric.partition(".")[0]
    if isinstance(what, ScoreCard | Path):
        card = score_card(what, **given)
    else:
        NamedScore.parse(metric)  # before the encoder runs
        what = _representation(what, given, seed)
        card = score_card(what, [full_name], seed=seed, interval=certain, null=certain)
    score = card[metric]
    violation = _violation(score, at_least, at_most, certain=certain)
    if violation is None:
        return score
    if not isinstance(what, ScoreCard | Path) and not certain:
        card = score_card(what, [full_name], seed=seed)
    name = full_name if full_name in card else metric
    shown = ScoreCard({name: card[name]}, card.about, card.notes)
    raise AssertionError(f"{violation}\n\n{shown}\n\nsignature: {score.signature}")


def assert_no_regression(
    what: "ScoreCard | Representation | Callable[..., Any] | Any",
    baseline: Path | str,
    *,
    tolerance: str | float = "interval",
    metrics: str | Sequence[str] | None = None,
    seed: int = 0,
    **given: Any,
) -> "CheckResult":
    """Fail the test if a score is worse than its baseline, cannot be compared with it, or is missing.

    Parameters
    ----------
    what : ScoreCard, path of one, str, callable, array or Representation
        As for :func:`score_card`.
    baseline : path
        Relative to the root folder of the tests, which contains the settings of pytest. Written by
        ``pytest --disentmetrics-update``, and to be committed.
    tolerance : "interval", float or text
        As for :func:`disentmetrics.comparison.regression.check`.
    metrics : str or sequence of str, optional
        Metrics to score. By default those of the baseline, or the preset ``default`` where there is none yet.
    seed, **given
        As for :func:`score_card`.

    Returns
    -------
    CheckResult

    Raises
    ------
    AssertionError
        With the regressed scores, the table of all scores with intervals, and the signatures.
    InvalidInputError, CorruptFileError
        If the baseline cannot be read.
    """
    __tracebackhide__ = True
    from disentmetrics.comparison.regression import check, read_baseline
    from disentmetrics.results.card import ScoreCard

    config = _running[-1] if _running else None
    path = Path(baseline) if config is None else config.rootpath / baseline
    if metrics is None and path.is_file():
        metrics = list(read_baseline(path))
    if isinstance(what, ScoreCard | Path):
        card = score_card(what, **given)
    else:
        card = score_card(what, metrics or "default", seed=seed, **given)
    if config is not None and config.getoption(UPDATE):
        _write(path, card)
    if not path.is_file():
        raise AssertionError(
            f"there is no baseline {baseline} yet; {_how_to_update('these scores are correct')}\n\n{card}"
        )
    result = check(card, path, tolerance)
    if result.passed:
        return result
    first, *others = result.failures
    more = f" (and {len(others)} more)" if others else ""
    signatures = "\n".join(f"signature: {one.signature}" for one in result.failures)
    raise AssertionError(
        f"{baseline}: {first}{more}\n\n{result}\n\n{signatures}\n\n{_how_to_update('the change is intended')}"
    )


def _representation(what: Any, given: dict[str, Any], seed: int) -> "Representation":
    """Return the codes of an encoder, or the given ones; an error shows the user's own line alone.

    pytest would print the source of every function in between, hundreds of lines.
    """
    __tracebackhide__ = True
    from disentmetrics.errors import DisentmetricsError

    try:
        return _built(what, given, seed)
    except DisentmetricsError as error:
        _note_origin(error)
        raise error.with_traceback(None) from None


def _note_origin(error: Exception) -> None:
    """Add the line of the user's code that failed to an error that another one caused."""
    if error.__cause__ is not None and error.__cause__.__traceback__ is not None:
        last = traceback.extract_tb(error.__cause__.__traceback__)[-1]
        error.add_note(f"{type(error.__cause__).__name__} at {last.filename}:{last.lineno}: {last.line}")


def _built(what: Any, given: dict[str, Any], seed: int) -> "Representation":
    from disentmetrics.errors import InvalidInputError
    from disentmetrics.representation import Representation

    given = dict(given)
    if isinstance(what, Representation):
        _refuse(given, "a representation contains its rows and factors")
        return what
    if isinstance(what, str) or callable(what):
        data, n_samples = given.pop("data"), given.pop("n_samples")
        if data is None:
            raise InvalidInputError(f"the encoder {what!r} requires data to encode; give data, such as data='dsprites'")
        _refuse(given, "an encoder encodes a data set, whose factors are known")
        return _encoded(what, data, n_samples, seed)
    factors = given.pop("factors")
    _refuse({name: given.pop(name) for name in ("data", "n_samples")}, "codes are already computed")
    return Representation(what, factors, **given)


def _encoded(encoder: Any, data: "DataSet | str", n_samples: int | None, seed: int) -> "Representation":
    from disentmetrics.datasets import load_dataset
    from disentmetrics.encoders.encode import encode

    loaded = load_dataset(data) if isinstance(data, str) else data
    if n_samples is None and loaded.has_full_grid and len(loaded) <= N_SAMPLES:
        return encode(encoder, loaded, full_grid=True, seed=seed)
    return encode(encoder, loaded, n_samples=N_SAMPLES if n_samples is None else n_samples, seed=seed)


def _refuse(given: dict[str, Any], reason: str) -> None:
    from disentmetrics.errors import InvalidInputError

    surplus = [name for name, value in given.items() if value is not None]
    if surplus:
        raise InvalidInputError(f"{reason}; omit {', '.join(surplus)}")


def _violation(score: "Score", at_least: float | None, at_most: float | None, *, certain: bool) -> str | None:
    """Return why a score is not within its limits; None if it is."""
    if score.undefined:
        return f"{score.name} is undefined: {score.undefined}"
    low = high = score.value
    what = f"{score.name} = {score.value:.4g}"
    if certain:
        if score.interval is None:
            return f"{what} has no 95 % interval, so it is not certain"
        low, high = score.interval.low, score.interval.high
        what = f"the 95 % interval of {what}, [{low:.4g}, {high:.4g}],"
    if at_least is not None and not low >= at_least:
        return f"{what} must be at least {at_least:g}; it is {at_least - low:.2g} below"
    if at_most is not None and not high <= at_most:
        return f"{what} must be at most {at_most:g}; it is {high - at_most:.2g} above"
    return None


def _write(path: Path, card: "ScoreCard") -> None:
    from disentmetrics.comparison.regression import write_baseline

    with _locked(path):
        write_baseline(path, card)


def _locked(path: Path) -> Any:
    """Return a lock between processes for a file, stored in the temporary folder."""
    import hashlib

    from filelock import FileLock

    name = hashlib.sha256(os.fsencode(path.resolve())).hexdigest()[:16]
    owner = os.getuid() if hasattr(os, "getuid") else 0
    return FileLock(Path(tempfile.gettempdir()) / f"disentmetrics-{owner}-{name}.lock")


def _how_to_update(condition: str) -> str:
    test = os.environ.get("PYTEST_CURRENT_TEST", "").rpartition(" ")[0]
    return f"if {condition}: pytest {UPDATE}{f' {test!r}' if test else ''}, and commit the baseline"
