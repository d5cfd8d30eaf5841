"""A metric: a function of a representation, and all that is true of it, said once."""

import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from types import UnionType
from typing import Any, Literal, get_args, get_origin, get_type_hints

import numpy as np
from numpy.typing import ArrayLike, NDArray

from disentmetrics._utils.random import generator
from disentmetrics._utils.threads import single_threaded_blas, suppress_sklearn_warnings
from disentmetrics._version import __version__
from disentmetrics.errors import InvalidInputError, UndefinedScoreError, did_you_mean
from disentmetrics.representation import Representation
from disentmetrics.results.questions import question_of
from disentmetrics.results.score import Score
from disentmetrics.results.signature import Signature
from disentmetrics.statistics.factor_groups import varied_factors
from disentmetrics.statistics.symbols import are_symbols

Invariance = Literal[
    "row order",
    "code order",
    "sign",
    "scale",
    "shift",
    "monotone warp",
    "outlier",
    "dead code",
    "noise code",
    "duplicated code",
    "relabelled factors",
    "factor order",
    "repeated rows",
    "rotation",
    "dependent factors",
]
INVARIANCES: tuple[Invariance, ...] = get_args(Invariance)
Defect = Literal["rotated", "packed", "rotated copy", "missing factor", "blurred", "synergy lost"]
DEFECTS: tuple[Defect, ...] = get_args(Defect)
Family = Literal["information", "predictor", "matching", "intervention", "geometry", "downstream", "unsupervised"]


@dataclass(frozen=True)
class RawScore:
    """What a metric's formula returns.

    Attributes
    ----------
    value : float
    per_factor : (n_factors,) float or None
        NaN for a factor on which the metric is undefined.
    details : mapping of name to array
    settings : mapping of str
        What was decided on these rows, for the signature: which codes were left out, say.
    notes : tuple of str
        What a reader of this score must know.
    chance : float or None
        The null in closed form, where there is one.
    parts : mapping of str to float
        Further numbers of the same metric, such as the completeness of DCI; each gets an interval
        and a null of its own. NaN where undefined.
    """

    value: float
    per_factor: NDArray[np.float64] | None = None
    details: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    settings: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    chance: float | None = None
    parts: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """A named, frozen set of a metric's settings, and what is claimed of it.

    Attributes
    ----------
    source : str
        Whose settings these are.
    options : mapping
        Keyword arguments of the metric's function.
    invariant_to : set of Invariance
        Changes of the representation that leave the score as it is (within the spread of
        its own random draws). The property suite tests every claim, and shows a counterexample
        to every change that is not claimed. ``dependent factors`` is claimed of perfect codes only.
    detects : set of Defect
        Defects that lower the score of a perfect code by more than 0.1; the suite tests that every
        other one goes unseen. ``synergy lost`` is the difference of codes that tell a factor only
        together from codes that tell nothing.
    perfect : float
        Value where each factor has its own noiseless code.
    noise : float or "chance"
        Value for codes that are independent of the factors; chance is 1 / number of factors.
    precision : float
        How exactly the formula is computed.
    costly : bool
        Whether few permutations must do for the null, and fewer rows for the property suite.
    """

    source: str
    options: Mapping[str, Any] = field(default_factory=dict)
    invariant_to: frozenset[Invariance] = frozenset()
    detects: frozenset[Defect] = frozenset()
    perfect: float = 1.0
    noise: float | Literal["chance"] = 0.0
    precision: float = 1e-9
    costly: bool = False


def all_except(*exceptions: Invariance) -> frozenset[Invariance]:
    """Return every invariance but these."""
    return frozenset(INVARIANCES) - frozenset(exceptions)


@dataclass(frozen=True, kw_only=True)
class Needs:
    """What a representation must have for the metric to be defined.

    ``symbols`` asks for codes that are whole numbers, each coming again and again.
    """

    codes: int = 1
    factors: int = 1
    rows: int = 2
    log_variance: bool = False
    symbols: bool = False


@dataclass(frozen=True, kw_only=True, eq=False)
class Metric:
    """A metric with its declaration; call it with arrays.

    Attributes
    ----------
    name : str
    family : Family
        By what the metric looks at.
    bounds : pair of float
    higher_is_better : bool
    paper : str
        Where the metric is defined.
    known_failure : str
        The representation that it mistakes, in one sentence.
    needs : Needs
    protocols : mapping of name to Protocol
        ``default`` is our recommendation; the bare name means it.
    randomised : bool
        Whether the score depends on the seed; the formula then takes ``rng``, or ``seed`` if it shares
        draws with other metrics.
    parts : mapping of str to pair of float
        Further numbers that the formula returns, with their bounds.
    lower_is_better : collection of str
        The parts that are better the lower they are, though the metric is not.
    least : mapping of option to int
        The smallest value of a whole-numbered option, where it is not 1; of a real one, where it need not be above 0.
    """

    name: str
    family: Family
    formula: Callable[..., RawScore]
    bounds: tuple[float, float]
    higher_is_better: bool
    paper: str
    known_failure: str
    protocols: Mapping[str, Protocol]
    needs: Needs = Needs()
    needs_of: Mapping[str, Needs] = field(default_factory=dict)
    randomised: bool = False
    parts: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    lower_is_better: Collection[str] = ()
    least: Mapping[str, int] = field(default_factory=dict)

    def higher_is_better_for(self, part: str = "") -> bool:
        """Tell whether a higher value of the metric, or of one of its parts, is the better one."""
        return self.higher_is_better and part not in self.lower_is_better

    def __call__(
        self,
        codes: ArrayLike,
        factors: Any,
        *,
        log_variance: ArrayLike | None = None,
        protocol: str = "default",
        seed: int = 0,
        **options: Any,
    ) -> Score:
        """Score arrays: ``codes`` (n_samples, n_codes) against ``factors`` (n_samples, n_factors).

        Options of the formula override the protocol's and are written into the signature.
        Without interval and null, which :func:`disentmetrics.score` adds.
        """
        representation = Representation(codes, factors, log_variance=log_variance)
        return self.score(representation, protocol, seed=seed, **options)

    def score(
        self, representation: Representation, protocol: str = "default", *, seed: int = 0, **options: Any
    ) -> Score:
        """Score a representation; undefined, with the reason, where the metric has no value."""
        name = self.name if protocol == "default" else f"{self.name}@{protocol}"
        representation = representation.resampled_by_weight(generator(seed, "weights"))
        try:
            with single_threaded_blas(), suppress_sklearn_warnings():
                outcome = self.evaluate(representation, protocol, seed=seed, **options)
        except UndefinedScoreError as reason:
            signature = self._signature(representation, protocol, seed, options, {})
            return Score(name, math.nan, signature, undefined=str(reason), **self.declared())
        per_factor = {}
        if outcome.per_factor is not None:
            per_factor = dict(zip(representation.space.names, map(float, outcome.per_factor), strict=True))
        signature = self._signature(representation, protocol, seed, options, outcome.settings)
        return Score(
            name,
            float(outcome.value),
            signature,
            per_factor=per_factor,
            details=outcome.details,
            notes=outcome.notes,
            null=outcome.chance,
            parts={part: self._part(name, part, outcome.parts[part], signature) for part in self.parts},
            **self.declared(),
        )

    def _part(self, name: str, part: str, value: float, signature: str) -> Score:
        undefined = "it has no value on these rows" if math.isnan(value) else None
        return Score(f"{name}.{part}", float(value), signature, undefined=undefined, **self.declared(part))

    def declared(self, part: str = "") -> dict[str, Any]:
        """Return what every score of the metric, or of one of its parts, carries of this declaration."""
        return {
            "bounds": self.parts.get(part, self.bounds),
            "higher_is_better": self.higher_is_better_for(part),
            "randomised": self.randomised,
            "question": question_of(self.name, self.family),
        }

    def evaluate(
        self,
        representation: Representation,
        protocol: str = "default",
        *,
        seed: int | tuple[int, ...] = 0,
        **options: Any,
    ) -> RawScore:
        """Run the formula.

        Raises
        ------
        UndefinedScoreError
            If the metric has no value on these rows; the message says why.
        InvalidInputError
            If protocol or option do not exist.
        """
        settings = {**self.protocol(protocol).options, **self.check_options(options)}
        reason = self.refusal(representation, protocol)
        if reason:
            raise UndefinedScoreError(reason)
        if "seed" in self.formula.__annotations__:
            settings["seed"] = seed
        elif self.randomised:
            settings["rng"] = generator(seed, self.name)
        return self.formula(representation, **settings)

    def protocol(self, name: str) -> Protocol:
        """Return the protocol of this name."""
        if name not in self.protocols:
            raise InvalidInputError(
                f"{self.name} has no protocol {name!r}{did_you_mean(name, self.protocols)}; "
                f"it has {', '.join(self.protocols)}"
            )
        return self.protocols[name]

    def refusal(self, representation: Representation, protocol: str = "default") -> str | None:
        """Return why the metric cannot score this representation, or None if it can."""
        needs = self.needs_of.get(protocol, self.needs)
        name = self.name if protocol == "default" else f"{self.name}@{protocol}"
        if needs.factors and not representation.n_factors:
            return f"{name} compares codes with known factors; there are none here"
        varied = int(representation.cached(varied_factors).sum())
        for what, least, came in (
            ("codes", needs.codes, representation.n_codes),
            ("factors that take two values", needs.factors, varied),
            ("rows", needs.rows, representation.n_samples),
        ):
            if came < least:
                return f"{name} needs {least} or more {what}; got {came}"
        if needs.log_variance and representation.log_variance is None:
            return f"{name} needs posterior variances (log_variance); the encoder gave codes alone"
        if needs.symbols and not are_symbols(representation):
            return f"{name} needs codes that are symbols: whole numbers, each of which recurs"
        return None

    def check_options(self, options: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return options of the formula; raise InvalidInputError if one does not exist or has an unfit value."""
        known = self.formula.__kwdefaults__ or {}
        for name in options:
            if name not in known:
                raise InvalidInputError(
                    f"{self.name} has no option {name!r}{did_you_mean(name, known)}; "
                    f"its options: {', '.join(known) or 'none'}"
                )
        hints = get_type_hints(self.formula)
        for name, value in options.items():
            kinds = get_args(hints[name]) if isinstance(hints[name], UnionType) else (hints[name],)
            if value is None and type(None) in kinds:
                continue
            reason = self._unfit(name, value, kinds[0])
            if reason:
                raise InvalidInputError(f"{name} must be {reason}; got {value!r}")
        return options

    def _unfit(self, name: str, value: Any, kind: Any) -> str | None:
        """Say what an option must be, if this value is not it."""
        if get_origin(kind) is Literal and value not in get_args(kind):
            return f"one of {', '.join(map(repr, get_args(kind)))}"
        least = self.least.get(name, 1)
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if kind is int and (not number or not isinstance(value, int) or value < least):
            return f"a whole number of at least {least}"
        if kind is float and (not number or not math.isfinite(value) or value < self.least.get(name, 5e-324)):
            return (
                f"a finite number of at least {self.least[name]}" if name in self.least else "a finite number above 0"
            )
        return "true or false" if kind is bool and not isinstance(value, bool) else None

    def _signature(
        self,
        representation: Representation,
        protocol: str,
        seed: int,
        options: Mapping[str, Any],
        settings: Mapping[str, str],
    ) -> str:
        origin = representation.provenance
        fields = {
            "protocol": protocol,
            **{key: str(value) for key, value in options.items()},
            "rows": str(representation.n_samples),
            "code": "mean",
            **settings,
            "data": origin.data if origin.data != "table" else f"table/{representation.row_key[:8]}",
            "draw": origin.rows,
            "encoder": origin.encoder,
            "seed": str(seed),
            "v": __version__,
        }
        return str(Signature(self.name, fields))


_REGISTRY: dict[str, Metric] = {}


def metric(**declaration: Any) -> Callable[[Callable[..., RawScore]], Metric]:
    """Register a formula as a metric; its name is the function's.

    Parameters
    ----------
    **declaration
        The attributes of :class:`Metric` other than ``name`` and ``formula``.

    Returns
    -------
    Callable
        Turns the function ``(representation, *, options) -> RawScore`` into a :class:`Metric`.
        A randomised metric also takes ``rng`` or ``seed``.
    """

    def register(formula: Callable[..., RawScore]) -> Metric:
        registered = Metric(name=formula.__name__, formula=formula, **declaration)
        for attribute in ("__doc__", "__module__", "__name__", "__qualname__", "__wrapped__"):
            value = formula if attribute == "__wrapped__" else getattr(formula, attribute)
            object.__setattr__(registered, attribute, value)
        _REGISTRY[registered.name] = registered
        return registered

    return register


def registered_metrics() -> dict[str, Metric]:
    """Return the metrics registered so far, by name."""
    return dict(sorted(_REGISTRY.items()))


def mean_over_factors(values: NDArray[np.float64]) -> float:
    """Average over the factors on which a metric is defined; raise if there is none."""
    defined = values[~np.isnan(values)]
    if not len(defined):
        raise UndefinedScoreError("no factor takes two values on these rows")
    return float(defined.mean())
