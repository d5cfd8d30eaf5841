"""The contract of a metric: what it declares, how it is called, and how a formula becomes one.

A metric is written as a formula, a function of a :class:`~disentmetrics.Representation` that returns a
:class:`RawScore`, under the decorator :func:`metric`, which declares the range, the source, the published settings
and the claims that the property suite tests. The result is a :class:`Metric`, which is called with arrays.
"""

import inspect
import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from numbers import Integral, Real
from types import UnionType
from typing import Any, Literal, get_args, get_origin, get_type_hints

import numpy as np
from numpy.typing import ArrayLike, NDArray

from disentmetrics._utils.random import generator
from disentmetrics._utils.threads import single_threaded_blas, suppress_sklearn_warnings
from disentmetrics._version import __version__
from disentmetrics.errors import InvalidInputError, UndefinedScoreError, did_you_mean
from disentmetrics.metrics.documentation import call_docstring, call_signature, merged_docstring, options_of
from disentmetrics.representation import Representation
from disentmetrics.representation.resampling import number_of_units
from disentmetrics.results.questions import question_of
from disentmetrics.results.score import Score
from disentmetrics.results.signature import Signature
from disentmetrics.statistics.resolution import sampled
from disentmetrics.statistics.symbols import are_symbols
from disentmetrics.statistics.targets import varied_factors

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
    "determined factors",
]
INVARIANCES: tuple[Invariance, ...] = get_args(Invariance)
Defect = Literal["rotated", "packed", "rotated copy", "missing factor", "blurred", "synergy lost"]
DEFECTS: tuple[Defect, ...] = get_args(Defect)
Family = Literal["information", "predictor", "matching", "intervention", "geometry", "downstream", "unsupervised"]
Reads = Literal["mean", "sample"]
"""Codes that a formula receives where posterior variances are known."""
Noise = float | Literal["chance"]


def all_except(*exceptions: Invariance) -> frozenset[Invariance]:
    """Return every invariance but these; without ``dependent factors`` also without ``determined factors``.

    Examples
    --------
    >>> "rotation" in all_except("rotation"), "scale" in all_except("rotation")
    (False, True)
    """
    # a factor that determines another is an extreme case of dependence
    implied = {"determined factors"} if "dependent factors" in exceptions else set()
    return frozenset(INVARIANCES) - frozenset(exceptions) - implied


@dataclass(frozen=True)
class RawScore:
    """What a formula returns: the value and its decomposition, before name, signature and interval are added.

    Attributes
    ----------
    value : float
    per_factor : (n_factors,) float or None
        Value for each factor, in the order of the representation's factors; NaN where the metric is undefined.
        None if the metric has no value per factor.
    details : mapping of name to array
        Intermediate quantities, such as the matrix of mutual information (n_codes, n_factors).
    settings : mapping of str
        Choices that depend on the rows, such as the latents that were excluded; they become part of the signature.
    notes : tuple of str
        Caveats that apply to these rows.
    chance : float or None
        Expected value for uninformative latents, where it has a closed form.
    parts : mapping of str to float
        Further numbers of the metric, such as the completeness of DCI, under the names that it declares. Each has
        its own interval and null. NaN where undefined.
    """

    value: float
    per_factor: NDArray[np.float64] | None = None
    details: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    settings: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    chance: float | None = None
    parts: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Needs:
    """Requirements of a metric; on a representation that fails one, the score is undefined and gives the reason.

    Attributes
    ----------
    codes, factors, rows : int
        Minimum numbers of latents, of factors that take at least two values, and of rows. A metric that needs no
        factors is unsupervised.
    groups : int
        Minimum number of groups, of rows that are grouped; short sequences count as blocks.
    log_variance : bool
        Whether posterior variances are required.
    symbols : bool
        Whether codes must be symbols: integers, each of which recurs.
    circular : bool
        Whether every factor must be circular.
    """

    codes: int = 1
    factors: int = 1
    rows: int = 2
    groups: int = 1
    log_variance: bool = False
    symbols: bool = False
    circular: bool = False


_AT_LEAST_A_CODE_AND_A_FACTOR = Needs()


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """Declaration of a protocol: a named, frozen set of a metric's options.

    Attributes that are None are inherited from the metric; :func:`metric` documents them.

    Attributes
    ----------
    source : str
        Origin of the settings.
    options : mapping
        Keyword arguments of the formula.
    reads : {"mean", "sample"}, optional
        Which codes the formula receives where posterior variances are known: the posterior means, or one sample
        per posterior, as :func:`disentmetrics.statistics.resolution.sampled` draws it. By default the sample for the
        protocol ``default``, unless it needs the variances or symbols, and the mean for all others, as published.
    needs, invariant_to, detects, perfect, noise, precision, costly, slow, unsettled, enough_rows
        Overrides.
    """

    source: str
    options: Mapping[str, Any] = field(default_factory=dict)
    reads: Reads | None = None
    needs: Needs | None = None
    invariant_to: Collection[Invariance] | None = None
    detects: Collection[Defect] | None = None
    perfect: float | None = None
    noise: Noise | None = None
    precision: float | None = None
    costly: bool | None = None
    slow: bool | None = None
    unsettled: Collection[Invariance] | None = None
    enough_rows: int | None = None


@dataclass(frozen=True, kw_only=True)
class ResolvedProtocol:
    """A protocol of a registered metric, together with what the metric needs and claims under it.

    The attributes are those of :class:`Protocol`, none of them None except ``enough_rows``.
    """

    source: str
    options: Mapping[str, Any]
    reads: Reads
    needs: Needs
    invariant_to: Collection[Invariance]
    detects: Collection[Defect]
    perfect: float
    noise: Noise
    precision: float
    costly: bool
    slow: bool
    unsettled: Collection[Invariance]
    enough_rows: int | None = None


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Metric:
    """A metric with its declaration, called with arrays or with a Representation.

    Attributes
    ----------
    name : str
    family : Family
        Kind of quantity on which the metric is based.
    formula : callable
        ``(representation, *, options) -> RawScore``, as it is written in the metric's file.
    bounds : pair of float
        Smallest and largest value.
    higher_is_better : bool
    paper : str
        Paper that defines the metric.
    known_failure : str
        A representation that the metric misjudges, in one sentence.
    protocols : mapping of name to ResolvedProtocol
        ``default`` is the recommended one, which the bare name refers to; the others are published settings.
    randomised : bool
        Whether the score depends on the seed.
    parts : mapping of str to pair of float
        Further numbers that the formula returns, with their bounds.
    lower_is_better : collection of str
        Parts for which lower is better although higher is better for the metric.
    least : mapping of option to int
        Smallest valid value of an integer option, where that is not 1, or of a real one, where 0 is valid too.
    documentation : str
        Docstring of the formula in the sections of numpydoc, from which that of the call is generated.

    Examples
    --------
    >>> import disentmetrics as dm
    >>> factors = np.indices((4, 5)).reshape(2, -1).T.repeat(30, axis=0)
    >>> codes = factors.astype(float)
    >>> dm.metrics.mig(codes, factors).value, dm.metrics.mig(dm.Representation(codes, factors)).value
    (1.0, 1.0)
    >>> dm.metrics.mig
    <Metric mig(codes, factors, ...) -> Score>
    """

    name: str
    family: Family
    formula: Callable[..., RawScore]
    bounds: tuple[float, float]
    higher_is_better: bool
    paper: str
    known_failure: str
    protocols: Mapping[str, ResolvedProtocol]
    randomised: bool = False
    parts: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    lower_is_better: Collection[str] = ()
    least: Mapping[str, int] = field(default_factory=dict)
    documentation: str = ""

    def __post_init__(self) -> None:
        # inspect, help and completion are to show the call, not the formula nor this class.
        documentation = call_docstring(
            self.documentation,
            protocols=self.protocols,
            options=self.options,
            uses_factors=self.needs.factors > 0,
            higher_is_better=self.higher_is_better,
            randomised=self.randomised,
        )
        for attribute, value in (
            ("__name__", self.name),
            ("__qualname__", self.name),
            ("__doc__", documentation),
            ("__signature__", call_signature(self.options.values())),
        ):
            object.__setattr__(self, attribute, value)

    def __repr__(self) -> str:
        return f"<Metric {self.name}(codes, factors, ...) -> Score>"

    def __reduce__(self) -> str:
        # Pickled and copied by reference, as the function in whose place it is defined would be.
        return self.name

    @cached_property
    def options(self) -> Mapping[str, inspect.Parameter]:
        """Options of the metric by name, with their defaults and annotations."""
        return options_of(self.formula)

    @property
    def needs(self) -> Needs:
        """Requirements under the default protocol."""
        return self.protocol("default").needs

    def bounds_for(self, part: str = "") -> tuple[float, float]:
        """Return the smallest and largest value of the metric, or of one of its parts."""
        return self.parts[part] if part else self.bounds

    def higher_is_better_for(self, part: str = "") -> bool:
        """Return whether higher is better for the metric, or for one of its parts."""
        return self.higher_is_better and part not in self.lower_is_better

    def __call__(
        self,
        codes: ArrayLike | Representation,
        factors: Any = None,
        *,
        log_variance: ArrayLike | None = None,
        protocol: str = "default",
        seed: int = 0,
        **options: Any,
    ) -> Score:
        """Score codes against factors, or a Representation that contains both.

        Parameters
        ----------
        codes : (n_samples, n_codes) array or Representation
        factors : (n_samples, n_factors) array, mapping of columns or data frame, optional
            Omitted with a Representation, and for unsupervised metrics.
        log_variance : (n_samples, n_codes) array, optional
            Natural logarithm of the posterior variances. Omitted with a Representation.
        protocol : str
            Named set of options.
        seed : int
            Random seed.
        **options
            Options of the metric, which take precedence over those of the protocol and are part of the signature.

        Returns
        -------
        Score
            Without interval and null, which :func:`disentmetrics.score` estimates.

        Raises
        ------
        InvalidInputError
            If arrays do not match in shape, factors are missing or given twice, or the protocol or an option does
            not exist or has an invalid value.
        """
        if isinstance(codes, Representation):
            if factors is not None or log_variance is not None:
                raise InvalidInputError(
                    f"a Representation already contains factors and log_variance: call {self.name}(representation), "
                    f"or {self.name}(codes, factors, log_variance=...) with arrays"
                )
            representation = codes
        else:
            if isinstance(factors, Representation):
                raise InvalidInputError(
                    f"a Representation contains codes as well as factors: call {self.name}(representation), "
                    f"or {self.name}(codes, representation.factors)"
                )
            if factors is None and self.protocol(protocol).needs.factors:
                raise InvalidInputError(
                    f"{self.name} compares codes with known factors: call {self.name}(codes, factors), "
                    f"or {self.name}(representation)"
                )
            representation = Representation(codes, factors, log_variance=log_variance)
        return self.score(representation, protocol, seed=seed, **options)

    def score(
        self, representation: Representation, protocol: str = "default", *, seed: int = 0, **options: Any
    ) -> Score:
        """Score a representation; the score is undefined, with the reason, where the metric has no value."""
        name = self.full_name(protocol)
        representation = representation.resampled_by_weight(generator(seed, "weights"))
        try:
            with single_threaded_blas(), suppress_sklearn_warnings():
                raw = self.evaluate(representation, protocol, seed=seed, **options)
        except UndefinedScoreError as reason:
            signature = self._signature(representation, protocol, seed, options, {})
            return Score(name, math.nan, signature, undefined=str(reason), **self.declared())
        per_factor = {}
        if raw.per_factor is not None:
            per_factor = dict(zip(representation.space.names, map(float, raw.per_factor), strict=True))
        signature = self._signature(representation, protocol, seed, options, raw.settings)
        return Score(
            name,
            float(raw.value),
            signature,
            per_factor=per_factor,
            details=raw.details,
            notes=raw.notes,
            null=raw.chance,
            parts={part: self._part(name, part, raw.parts[part], signature) for part in self.parts},
            **self.declared(),
        )

    def _part(self, name: str, part: str, value: float, signature: str) -> Score:
        undefined = "it has no value on these rows" if math.isnan(value) else None
        return Score(f"{name}.{part}", float(value), signature, undefined=undefined, **self.declared(part))

    def declared(self, part: str = "") -> dict[str, Any]:
        """Return the part of the declaration that every score of the metric, or of one of its parts, carries."""
        return {
            "bounds": self.bounds_for(part),
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
        """Evaluate the formula.

        Raises
        ------
        UndefinedScoreError
            If the metric has no value on these rows; the message gives the reason.
        InvalidInputError
            If the protocol or an option does not exist, or an option has an invalid value.
        """
        settings = {**self.protocol(protocol).options, **self.check_options(options)}
        reason = self.refusal(representation, protocol)
        if reason:
            raise UndefinedScoreError(reason)
        parameters = inspect.signature(self.formula).parameters
        if "name" in parameters:
            settings["name"] = self.name
        if "seed" in parameters:
            settings["seed"] = seed
        elif self.randomised:
            settings["rng"] = generator(seed, self.name)
        if self.protocol(protocol).reads == "mean":
            return self.formula(representation, **settings)
        raw = self.formula(sampled(representation), **settings)
        if representation.log_variance is None or "code" in raw.settings:
            return raw
        return replace(raw, settings={"code": "sample", "resolution": "posterior", **raw.settings})

    def protocol(self, name: str) -> ResolvedProtocol:
        """Return the protocol of this name, with everything that the metric claims under it."""
        if name not in self.protocols:
            raise InvalidInputError(
                f"{self.name} has no protocol {name!r}{did_you_mean(name, self.protocols)}; "
                f"it has {', '.join(self.protocols)}"
            )
        return self.protocols[name]

    def full_name(self, protocol: str = "default") -> str:
        """Return ``name`` or ``name@protocol``, as score cards and the command line write it.

        Examples
        --------
        >>> import disentmetrics as dm
        >>> dm.metrics.mig.full_name(), dm.metrics.mig.full_name("chen2018")
        ('mig', 'mig@chen2018')
        """
        return self.name if protocol == "default" else f"{self.name}@{protocol}"

    def refusal(self, representation: Representation, protocol: str = "default") -> str | None:
        """Return why the metric cannot score this representation, or None if it can."""
        needs = self.protocol(protocol).needs
        name = self.full_name(protocol)
        if needs.factors and not representation.n_factors:
            return f"{name} compares codes with known factors; there are none here"
        varied = int(representation.cached(varied_factors).sum())
        for what, least, came, advice in (
            ("latents", needs.codes, representation.n_codes, ""),
            ("factors that take two values", needs.factors, varied, ""),
            ("rows", needs.rows, representation.n_samples, ""),
            (
                "groups of rows, because it trains on some and tests on others",
                needs.groups,
                number_of_units(representation),
                ": add groups, or omit them if the rows are independent",
            ),
        ):
            if came < least:
                return f"{name} needs {least} or more {what}; got {came}{advice}"
        if needs.log_variance and representation.log_variance is None:
            return f"{name} needs posterior variances (log_variance); the encoder returned codes only"
        if needs.symbols and not are_symbols(representation):
            return f"{name} needs codes that are symbols: whole numbers, each of which recurs"
        others = [factor.name for factor in representation.space if factor.kind != "circular"]
        if needs.circular and others:
            return f"{name} is defined for circular factors only; these are not circular: {', '.join(others)}"
        return None

    def check_options(self, options: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the options unchanged; raise InvalidInputError if one does not exist or has an invalid value."""
        for name in options:
            if name not in self.options:
                raise InvalidInputError(
                    f"{self.name} has no option {name!r}{did_you_mean(name, self.options)}; "
                    f"its options: {', '.join(self.options) or 'none'}"
                )
        hints = get_type_hints(self.formula) if options else {}  # takes as long as some formulas
        for name, value in options.items():
            kinds = get_args(hints[name]) if isinstance(hints[name], UnionType) else (hints[name],)
            if value is None and type(None) in kinds:
                continue
            valid = self._valid_values(name, value, kinds[0])
            if valid:
                raise InvalidInputError(f"{name} must be {valid}; got {value!r}")
        return options

    def _valid_values(self, name: str, value: Any, kind: Any) -> str | None:
        """Describe the values that an option can have, if this is none of them."""
        if get_origin(kind) is Literal and value not in get_args(kind):
            return f"one of {', '.join(map(repr, get_args(kind)))}"
        least = self.least.get(name, 1)
        number = isinstance(value, Real) and not isinstance(value, bool)
        if kind is int and (not number or not isinstance(value, Integral) or value < least):
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
        entries = {
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
        return str(Signature(self.name, entries))


REGISTERED: dict[str, Metric] = {}


def metric(
    *,
    family: Family,
    bounds: tuple[float, float],
    higher_is_better: bool,
    paper: str,
    known_failure: str,
    protocols: Mapping[str, Protocol],
    needs: Needs = _AT_LEAST_A_CODE_AND_A_FACTOR,
    randomised: bool = False,
    parts: Mapping[str, tuple[float, float]] | None = None,
    lower_is_better: Collection[str] = (),
    least: Mapping[str, int] | None = None,
    invariant_to: Collection[Invariance] = frozenset(),
    detects: Collection[Defect] = frozenset(),
    perfect: float = 1.0,
    noise: Noise = 0.0,
    precision: float = 1e-9,
    costly: bool = False,
    slow: bool = False,
    unsettled: Collection[Invariance] = frozenset(),
    enough_rows: int | None = None,
) -> Callable[[Callable[..., RawScore]], Metric]:
    """Register a formula as a metric under the name of the function.

    The formula is a function ``(representation, *, options) -> RawScore`` with a numpydoc docstring. Its keyword-only
    parameters are the options of the metric, except ``rng`` (a numpy Generator), ``seed`` (for draws that several
    metrics share) and ``name`` (the name it is called under, see :func:`alias`), which are provided.

    Parameters
    ----------
    family : Family
        Kind of quantity on which the metric is based.
    bounds : pair of float
        Smallest and largest value.
    higher_is_better : bool
    paper : str
        Paper that defines the metric.
    known_failure : str
        A representation that the metric misjudges, in one sentence.
    protocols : mapping of name to Protocol
        ``default`` is the recommended one. Each inherits the attributes below, unless it overrides them.
    needs : Needs
        Requirements.
    randomised : bool
        Whether the score depends on the seed; the formula then has a parameter ``rng`` or ``seed``.
    parts : mapping of str to pair of float, optional
        Further numbers that the formula returns, with their bounds.
    lower_is_better : collection of str
        Parts for which lower is better although higher is better for the metric.
    least : mapping of option to int, optional
        Smallest valid value of an integer option, where that is not 1, or of a real one, where 0 is valid too.
    invariant_to : collection of Invariance
        Changes of the representation that do not change the score, beyond the spread of its own random draws. The
        property suite tests every claim, and finds a counterexample to every change that is not claimed.
        ``dependent factors`` and ``determined factors`` are claimed for perfect codes only.
    detects : collection of Defect
        Defects that lower the score of a perfect code by more than 0.1; the suite tests that all others do not.
        ``synergy lost`` compares latents that carry a factor only jointly with uninformative latents.
    perfect : float
        Value where each factor has a noiseless latent of its own. NaN claims nothing.
    noise : float or "chance"
        Value for codes that are independent of the factors; ``chance`` is 1 / number of factors. NaN claims nothing.
    precision : float
        Numerical accuracy of the formula, within which an invariance must hold.
    costly : bool
        Whether scores are expensive, so that the null uses fewer permutations and the property suite fewer rows.
    slow : bool
        Whether a score takes more than a quarter of a second on the examples of the property suite, whose tests of
        this metric then run among the slow ones.
    unsettled : collection of Invariance
        Changes that are not claimed although the suite finds no counterexample: the invariance holds on the many
        rows of its examples and fails on few.
    enough_rows : int, optional
        For a score that more rows keep changing: the number beyond which they do not. Its bias is assumed to fall with
        the square root of the number of rows. Intervals of fewer rows allow for twice that bias, and below a quarter of
        the number there are none.

    Returns
    -------
    Callable
        Turns the formula into a :class:`Metric` and registers it.

    Raises
    ------
    InvalidInputError
        If a metric of another module has this name.
    """
    inherited = ResolvedProtocol(
        source="",
        options={},
        reads="mean",
        needs=needs,
        invariant_to=frozenset(invariant_to),
        detects=frozenset(detects),
        perfect=perfect,
        noise=noise,
        precision=precision,
        costly=costly,
        slow=slow,
        unsettled=frozenset(unsettled),
        enough_rows=enough_rows,
    )

    def decorate(formula: Callable[..., RawScore]) -> Metric:
        return register(
            Metric(
                name=formula.__name__,
                family=family,
                formula=formula,
                bounds=bounds,
                higher_is_better=higher_is_better,
                paper=paper,
                known_failure=known_failure,
                protocols={name: _resolved(name, protocol, inherited) for name, protocol in protocols.items()},
                randomised=randomised,
                parts=parts or {},
                lower_is_better=lower_is_better,
                least=least or {},
                documentation=inspect.getdoc(formula) or "",
            ),
            formula,
        )

    return decorate


def alias(
    of: Metric, *, paper: str, known_failure: str, protocols: Mapping[str, Protocol], slow: bool | None = None
) -> Callable[[Callable[[], None]], Metric]:
    """Register the formula of another metric under a second name, that of the function.

    The function has no parameters and no body but its docstring, whose sections replace those of the other metric.
    A formula whose two names differ in a detail has a parameter ``name``.

    Parameters
    ----------
    of : Metric
        The metric whose formula, bounds and options are used.
    paper : str
        Paper that defines the metric under this name.
    known_failure : str
        A representation that the metric misjudges, in one sentence.
    protocols : mapping of name to Protocol
        Those of this name. The claims of the other metric's default protocol are inherited, as is that protocol
        itself if there is no ``default`` among these.
    slow : bool, optional
        Overrides what is inherited, as for :func:`metric`.

    Returns
    -------
    Callable
        Turns the function into a :class:`Metric` and registers it.
    """
    default = replace(of.protocol("default"), slow=of.protocol("default").slow if slow is None else slow)

    def decorate(description: Callable[[], None]) -> Metric:
        return register(
            replace(
                of,
                name=description.__name__,
                paper=paper,
                known_failure=known_failure,
                protocols={"default": default, **{n: _resolved(n, p, default) for n, p in protocols.items()}},
                documentation=merged_docstring(inspect.getdoc(description) or "", of.documentation),
            ),
            description,
        )

    return decorate


def _resolved(name: str, protocol: Protocol, inherited: ResolvedProtocol) -> ResolvedProtocol:
    """Return a protocol in which None is replaced by the inherited value."""
    stated = {item.name: getattr(protocol, item.name) for item in fields(protocol)}
    stated |= {
        name: frozenset(stated[name]) for name in ("invariant_to", "detects", "unsettled") if stated[name] is not None
    }
    needs = protocol.needs or inherited.needs
    if protocol.reads is None:
        stated["reads"] = "sample" if name == "default" and not (needs.log_variance or needs.symbols) else "mean"
    return replace(inherited, **{name: value for name, value in stated.items() if value is not None})


def register(metric: Metric, definition: Callable[..., Any] | None = None) -> Metric:
    """Make a metric known by its name.

    Parameters
    ----------
    metric : Metric
    definition : callable, optional
        The function in whose place it is defined, where its source and doctests are found; by default its formula.

    Returns
    -------
    Metric
        The same.

    Raises
    ------
    InvalidInputError
        If a metric of another module has its name.
    """
    definition = definition or metric.formula
    taken = REGISTERED.get(metric.name)
    if taken is not None and taken.__module__ != definition.__module__:
        raise InvalidInputError(
            f"the name {metric.name!r} is taken by a metric of {taken.__module__}; "
            f"choose another name for that of {definition.__module__}"
        )
    object.__setattr__(metric, "__module__", definition.__module__)
    object.__setattr__(metric, "__wrapped__", definition)
    REGISTERED[metric.name] = metric
    return metric


def mean_over_factors(values: NDArray[np.float64]) -> float:
    """Return the mean over the factors for which a metric is defined; raise UndefinedScoreError if there is none."""
    defined = values[~np.isnan(values)]
    if not len(defined):
        raise UndefinedScoreError("no factor takes two values on these rows")
    return float(defined.mean())
