"""Input and output conventions of encoders, independent of any framework.

Inputs differ in layout (NCHW, NHWC, flat) and range (0..1, -1..1, 0..255, standardised). Outputs are arrays, tuples,
dicts or distributions, possibly nested; mean and log-variance are separate arrays, halves of one array, interleaved, or
in reverse order. Whatever is unambiguous is inferred and logged; the roles of arrays of equal shape are never inferred.

Grammar of ``select``, by which the user names the codes in an output::

    select = codes | codes "," spread      a second term makes a posterior
    codes  = path ("+" path)*              several blocks, concatenated
    path   = step ("." step)*              index, key or attribute; "*" is every element
             the last step may be the arrangement of one array: whole, halves (mean, then
             log-variance), interleaved (alternating), log_variance_first (halves, swapped), or
             argmax (one categorical latent, the column with the largest value)

==============================================  ==========================================
the encoder returns                             select
==============================================  ==========================================
one array of codes                              whole
(mean, log-variance)                            0,1
[mean, log-variance, sample]                    0,1
(reconstruction, z, mean, log-variance)         2,3
one array: means, then log-variances            halves
one array: log-variances, then means            log_variance_first
one array: mean, log-variance, mean, ...        interleaved
{"mu": ..., "logvar": ...}                      mu,logvar
{"continuous": [mean, logvar], "discrete": [.]} continuous.0+discrete.*.argmax
{"mu": ..., "std": ...}                         mu,std with spread=std
{"a": Normal, "b": Normal}                      *.mean,*.variance with spread=variance
[{"mean": ..., "log_std": ...}, ...]            *.mean,*.log_std with spread=log_std
==============================================  ==========================================

A categorical latent has no log-variance: select codes alone where there is one. It is marked as categorical.

Without ``spread`` the second term is read as a log-variance, and must be one by its name, or have none, as in a tuple.
"""

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from disentmetrics.encoders.fixed_batch import FixedBatch, padded
from disentmetrics.encoders.protocol import Posterior
from disentmetrics.errors import DisentmetricsError, EncoderError, InvalidInputError
from disentmetrics_adapters.encoders._names import (
    IN_WORDS,
    SPREADS,
    Steps,
    distinct_name,
    named_pairs,
    or_,
    require_log_variances,
    role,
)
from disentmetrics_adapters.encoders._options import choice, log

Array = NDArray[Any]
Codes = NDArray[np.floating] | Posterior

_Block = tuple[str, str]  # a path, and the arrangement of its array

LAYOUTS = ("NCHW", "NHWC", "flat")
NAMED_RANGES = ("auto", "raw", "0..1", "-1..1", "0..255")
_HALVED = ("halves", "interleaved", "log_variance_first")
_ARGMAX = "argmax"
SPLITS = ("whole", *_HALVED, _ARGMAX)


@dataclass(frozen=True)
class InputConvention:
    """Layout and range of the observations that an encoder expects.

    Parameters
    ----------
    layout : {"auto", "NCHW", "NHWC", "flat"}
        Order of axes of images; ``auto`` tries all and uses the only one that runs.
    range : str
        ``0..1``, ``-1..1`` or ``0..255``; ``raw`` leaves values unchanged;
        ``MEAN,STD`` standardises values in [0, 1] (for several channels: all means, then
        all standard deviations). ``auto`` is ``0..1`` for uint8 images and ``raw`` otherwise.
    dtype : type
        Precision in which integers are scaled. Observations that are not integers keep theirs.

    Examples
    --------
    >>> InputConvention("NCHW", "-1..1")(np.full((2, 8, 8, 3), 255, np.uint8)).shape
    (2, 3, 8, 8)
    """

    layout: str = "auto"
    range: str = "auto"
    dtype: type[np.floating] = np.float32

    def __post_init__(self) -> None:
        choice("layout", self.layout, ("auto", *LAYOUTS))
        if self.range not in NAMED_RANGES:
            _mean_and_std(self.range)

    def __call__(self, observations: Array, layout: str = "") -> Array:
        """Scale, then permute, then make contiguous."""
        return arrange(scale(observations, self.range, self.dtype), layout or self.layout)

    def layouts(self, observations: Array) -> tuple[str, ...]:
        """Return the candidate layouts of these observations."""
        if self.layout != "auto":
            return (self.layout,)
        return LAYOUTS if observations.ndim == 4 else ("auto",)


def arrange(observations: Array, layout: str) -> Array:
    """Convert (n, height, width, channels) to a layout, as a contiguous array; ``auto`` keeps the axes."""
    if layout == "flat":
        return np.ascontiguousarray(observations).reshape(len(observations), -1)
    if layout in {"NCHW", "NHWC"} and observations.ndim != 4:
        raise InvalidInputError(
            f"layout={layout} is for images (n, height, width, channels); the observations have shape "
            f"{observations.shape}: use layout=flat, or omit it"
        )
    return np.ascontiguousarray(observations.transpose(0, 3, 1, 2) if layout == "NCHW" else observations)


def scale(observations: Array, range_: str, dtype: type[np.floating] = np.float32) -> Array:
    """Scale observations to a range; the last axis contains the channels."""
    if range_ == "auto":
        range_ = "0..1" if observations.dtype in {np.dtype(np.uint8), np.dtype(bool)} else "raw"
    if range_ == "raw":
        return observations
    if range_ == "0..255":
        # Exact for uint8: 255 * (k / 255) is not always k.
        return (
            observations.astype(dtype) if observations.dtype == np.uint8 else _unit(observations, range_, dtype) * 255
        )
    unit = _unit(observations, range_, dtype)
    if range_ == "0..1":
        return unit
    if range_ == "-1..1":
        return unit * 2 - 1
    mean, std = (numbers.astype(dtype) for numbers in _mean_and_std(range_))
    if len(mean) not in {1, unit.shape[-1]}:
        raise InvalidInputError(
            f"range={range_} names {len(mean)} means and {len(mean)} standard deviations; the observations, "
            f"of shape {observations.shape}, have {unit.shape[-1]} channels: give one pair, or one per channel"
        )
    return (unit - mean) / std


def _unit(observations: Array, range_: str, dtype: type[np.floating]) -> Array:
    if observations.dtype == np.uint8:
        return np.divide(observations, dtype(255), dtype=dtype)
    if observations.dtype == bool:
        return observations.astype(dtype)
    low, high = observations.min(), observations.max()
    if not (np.issubdtype(observations.dtype, np.floating) and low >= 0 and high <= 1):
        raise InvalidInputError(
            f"range={range_} is for uint8 images or floating-point values within 0..1; got "
            f"{observations.dtype} values from {low:.4g} to {high:.4g}: scale them first, or use range=raw"
        )
    return observations


def _mean_and_std(range_: str) -> tuple[Array, Array]:
    try:
        numbers = np.array([float(number) for number in range_.split(",")])
        mean, std = np.split(numbers, 2)
    except ValueError:
        mean = std = np.zeros(1)
    if not (np.isfinite(mean).all() and np.isfinite(std).all() and (std > 0).all()):
        raise InvalidInputError(
            f"range must be one of {', '.join(NAMED_RANGES)}, or MEAN,STD such as 0.13,0.31 (for 3 channels: "
            f"three means, then three positive standard deviations); got {range_!r}"
        )
    return mean, std


@dataclass(frozen=True)
class OutputConvention:
    """Location of the codes in the output of an encoder.

    Parameters
    ----------
    select : str, optional
        See the grammar in the docstring of this module; inferred by default where unambiguous.
    spread : {"log_variance", "log_std", "std", "variance"}, optional
        Meaning of the second term of ``select``, or of the second half. ``log_variance`` by default, which is refused
        where the output has another name.
    flatten : bool
        Whether each position of a feature map (n, channels, height, width) is a separate latent.

    Examples
    --------
    >>> OutputConvention("interleaved").read(np.arange(8.0).reshape(2, 4), 2).mean
    array([[0., 2.], [4., 6.]])
    """

    select: str | None = None
    spread: str | None = None
    flatten: bool = False

    def __post_init__(self) -> None:
        if self.spread is not None:
            choice("spread", self.spread, SPREADS)
        if self.select is not None:
            _parse(self.select)

    def read(
        self,
        output: Any,
        n: int,
        *,
        to_array: Callable[[Any], Array] = np.asarray,
        channel_axis: int = 1,
    ) -> Codes:
        """Return the codes, or the posterior, of ``n`` observations.

        Parameters
        ----------
        output : any
            Output of the encoder; any object with a shape and a dtype is an array.
        n : int
            Number of observations.
        to_array : callable
            Converts arrays of the framework to numpy.
        channel_axis : int
            Axis along which an array is split into halves.
        """
        if self.select is None:
            return self.resolved(output, n).read(output, n, to_array=to_array, channel_axis=channel_axis)
        chosen = self._chosen(output, self.select)
        if len(chosen) == 2 and self.spread is None:
            means, spreads = ([steps for steps, _, _ in term] for term in chosen)
            require_log_variances(means, spreads, self.select)
        terms = [
            [_split(_array(leaf, n, path, output, to_array), split, channel_axis) for _, leaf, (path, split) in term]
            for term in chosen
        ]
        if len(terms) == 1 and all(len(part) == 2 for part in terms[0]):
            mean, spread = ([part[side] for part in terms[0]] for side in (0, 1))
            return self._posterior(mean, spread)
        columns = [[part[0] for part in term] for term in terms]
        return self._posterior(*columns) if len(columns) == 2 else self._concatenated(columns[0])

    def _chosen(self, output: Any, select: str) -> list[list[tuple[Steps, Any, _Block]]]:
        """Return the leaves of each term, with their paths and blocks."""
        return [
            [(steps, leaf, block) for block in blocks for steps, leaf in _resolve(output, block[0], select, output)]
            for blocks in _parse(select)
        ]

    def categorical(self, output: Any, n: int, *, to_array: Callable[[Any], Array] = np.asarray) -> tuple[bool, ...]:
        """Return whether each latent is categorical; empty if none is.

        Examples
        --------
        >>> OutputConvention("0+1.argmax").categorical((np.zeros((4, 2)), np.zeros((4, 3))), 4)
        (False, False, True)
        """
        if self.select is None or not any(split == _ARGMAX for term in _parse(self.select) for _, split in term):
            return ()
        flags: list[bool] = []
        for _, leaf, (path, split) in self._chosen(output, self.select)[0]:
            array = _array(leaf, n, path, output, to_array)
            flags += [True] if split == _ARGMAX else [False] * self._columns(array).shape[1]
        return tuple(flags)

    def resolved(self, output: Any, n: int) -> "OutputConvention":
        """Return the convention of this output, inferred if ``select`` was not given."""
        if self.select is not None:
            return self
        select, spread, reason = _infer(output, n, self.spread)
        log.info("select=%s inferred: %s", select, reason)
        return dataclasses.replace(self, select=select, spread=spread)

    def _posterior(self, mean: list[Array], spread: list[Array]) -> Posterior:
        measure = self.spread or "log_variance"
        means, spreads = self._concatenated(mean), self._concatenated(spread)
        if means.shape != spreads.shape:
            raise InvalidInputError(
                f"mean and {measure} must have the same shape; select={self.select} gives {means.shape} and "
                f"{spreads.shape}"
            )
        if measure in {"std", "variance"} and not (spreads > 0).all():
            raise EncoderError(
                f"a {measure} must be positive; the encoder returned {spreads.min():.4g}. "
                f"If it is a logarithm, use spread=log_{measure}"
            )
        factor = 2 if measure in {"log_std", "std"} else 1
        return Posterior(means, factor * (np.log(spreads) if measure in {"std", "variance"} else spreads))

    def _concatenated(self, arrays: list[Array]) -> NDArray[np.floating]:
        columns = [self._columns(array) for array in arrays]
        joined = columns[0] if len(columns) == 1 else np.concatenate(columns, axis=1)
        return joined if np.issubdtype(joined.dtype, np.floating) else joined.astype(np.float64)

    def _columns(self, array: Array) -> Array:
        if array.ndim > 2 and not self.flatten and max(array.shape[2:]) > 1:
            raise InvalidInputError(
                f"codes must have shape (n, n_codes); the encoder returned maps of shape {array.shape}: "
                "use flatten=yes to make each position a separate latent, or name another output by select="
            )
        return array.reshape(len(array), -1)


def _parse(select: str) -> list[list[_Block]]:
    terms = [[_parse_path(path) for path in term.split("+")] for term in select.split(",")]
    splits = [split for term in terms for _, split in term if split in _HALVED]
    if len(splits) + len(terms) > 1 and any(split == _ARGMAX for term in terms for _, split in term):
        raise InvalidInputError(
            "a categorical latent has no log-variance: select codes alone where one is argmax, such as "
            f"select=0+1.argmax; got {select!r}"
        )
    halved = len(splits) not in {0, len(terms[0])} or (splits and len(terms) == 2)
    if len(terms) > 2 or halved or not all(path.strip() for path in select.replace("+", ",").split(",")):
        raise InvalidInputError(
            "select names the codes, or mean and log-variance, as select=0 or select=0,1 or select=halves "
            f"(blocks are joined by '+', steps by '.'); got {select!r}"
        )
    return terms


def _parse_path(text: str) -> _Block:
    path, _, last = text.rpartition(".")
    return (path, last) if last in SPLITS else (text, "whole")


def _is_array(node: Any) -> bool:
    if isinstance(node, Mapping | list | tuple):  # attributes of a dict may be its keys, whatever they are
        return False
    return hasattr(node, "shape") and hasattr(node, "dtype")


def _children(node: Any) -> dict[str, Any]:
    if isinstance(node, Mapping):
        return {str(key): value for key, value in node.items()}
    if isinstance(node, tuple) and hasattr(node, "_fields"):
        return dict(zip(node._fields, node, strict=True))
    if isinstance(node, list | tuple):
        return {str(index): value for index, value in enumerate(node)}
    if dataclasses.is_dataclass(node):
        return {f.name: getattr(node, f.name) for f in dataclasses.fields(node)}
    return {}


def _resolve(node: Any, path: str, select: str, output: Any, at: Steps = ()) -> list[tuple[Steps, Any]]:
    """Return what a path denotes, with the steps that lead to it."""
    if not path:
        leaves = list(_walk(node, at))
        return leaves if len(leaves) == 1 else [(at, node)]  # a tuple or dict with a single array denotes that array
    children = {} if _is_array(node) else _children(node)
    # Output names may contain dots, so the longest matching key is the step.
    for key in sorted(children, key=len, reverse=True):
        if path == key or path.startswith(f"{key}."):
            return _resolve(children[key], path[len(key) + 1 :], select, output, (*at, key))
    step, _, rest = path.partition(".")
    if step == "*" and children:
        return [one for key, child in children.items() for one in _resolve(child, rest, select, output, (*at, key))]
    if isinstance(node, tuple | list) and step.lstrip("-").isdigit() and -len(node) <= int(step) < len(node):
        key = list(children)[int(step)]  # in a named tuple, the name of the position
        return _resolve(node[int(step)], rest, select, output, (*at, key))
    if not children and not _is_array(node) and not step.startswith("_") and hasattr(node, step):
        return _resolve(getattr(node, step), rest, select, output, (*at, step))
    raise InvalidInputError(f"select={select}: there is no {step!r} in the output of the encoder: {describe(output)}")


def _array(leaf: Any, n: int, path: str, output: Any, to_array: Callable[[Any], Array]) -> Array:
    if not _is_array(leaf):
        raise InvalidInputError(
            f"select={path or 'whole'} must name an array; it names {describe(leaf)} "
            f"in the output of the encoder: {describe(output)}"
        )
    array = to_array(leaf)
    if array.ndim == 0 or len(array) != n:
        raise EncoderError(
            f"an encoder must return one row per observation; for {n} observations it returned shape {array.shape}"
        )
    array = array.astype(np.float32) if array.dtype == np.float16 else array  # logarithms would be rounded
    return array[:, None] if array.ndim == 1 else array


def _split(array: Array, split: str, axis: int) -> tuple[Array, ...]:
    if split == "whole":
        return (array,)
    if split == _ARGMAX:
        if array.ndim != 2 or array.shape[1] < 2:
            raise InvalidInputError(
                f"select=argmax requires an array (n, categories) of at least 2 categories; got shape {array.shape}"
            )
        if not np.isfinite(array).all():
            raise EncoderError("codes must be finite; the encoder returned NaN or infinity for a categorical latent")
        return (array.argmax(axis=1)[:, None].astype(np.float32),)
    if array.shape[axis] % 2:
        raise InvalidInputError(
            f"select={split} requires an even number of columns; the encoder returned shape {array.shape}"
        )
    if split == "interleaved":
        columns = np.moveaxis(array, axis, 1)
        return np.moveaxis(columns[:, 0::2], 1, axis), np.moveaxis(columns[:, 1::2], 1, axis)
    first, second = np.split(array, 2, axis)
    return (first, second) if split == "halves" else (second, first)


def _walk(node: Any, at: Steps = ()) -> Iterator[tuple[Steps, Any]]:
    children = {} if _is_array(node) else _children(node)
    if not children:
        yield at, node
    for key, child in children.items():
        yield from _walk(child, (*at, key))


def describe(output: Any) -> str:
    """Return a one-line description of the output of an encoder, with shapes.

    Examples
    --------
    >>> describe((np.zeros((2, 3)), {"loss": np.zeros(()), "kind": "vae"}))
    'tuple of 0: array (2, 3), 1.loss: array (), 1.kind: str'
    """
    leaves = [
        (steps, f"array {tuple(leaf.shape)}" if _is_array(leaf) else type(leaf).__name__)
        for steps, leaf in _walk(output)
    ]
    if len(leaves) == 1 and not leaves[0][0]:
        return leaves[0][1]
    return f"{type(output).__name__} of " + ", ".join(f"{_path(steps)}: {what}" for steps, what in leaves)


def _path(*places: Steps) -> str:
    return ",".join(".".join(steps) for steps in places)


def _is_normal(node: Any) -> bool:
    # Only a diagonal Gaussian; recognised by name, since no framework is imported here.
    base = getattr(node, "base_dist", node) if type(node).__name__ == "Independent" else node
    return type(base).__name__ == "Normal" and hasattr(base, "variance")


def _infer(output: Any, n: int, spread: str | None) -> tuple[str, str | None, str]:
    """Return select, spread and the reason; raise if the output is ambiguous."""
    leaves = list(_walk(output))
    shapes = {steps: tuple(leaf.shape) for steps, leaf in leaves if _is_array(leaf)}
    normals = [steps for steps, leaf in leaves if _is_normal(leaf)]
    what = describe(output)
    if len(leaves) == 1 and normals:
        mean, variance = ((*normals[0], name) for name in ("mean", "variance"))
        return _path(mean, variance), "variance", "it returned one Normal distribution"
    if len(leaves) == 1 and shapes:
        steps, shape = next(iter(shapes.items()))
        if len(shape) == 2 and shape[1] % 2 == 0:
            log.warning(
                "the encoder returned one array of shape %s, which is used as %d latents; confirm by select=whole, "
                "or, if it contains mean and log-variance, use select=halves, interleaved or log_variance_first "
                "(with spread=std, variance or log_std for another measure of spread)",
                shape, shape[1],
            )  # fmt: skip
        return _path(steps) or "whole", spread, f"it returned one array of shape {shape}"
    pairs = named_pairs(shapes)
    measure = spread or "log_variance"
    inferred = [pair for pair, kind in pairs.items() if kind == measure and not role(pair[0][-1]).owner]
    if len(inferred) == 1:
        return _path(*inferred[0]), measure, f"by the names in {what}"
    rows = [steps for steps, shape in shapes.items() if len(shape) == 2 and shape[0] == n]
    if len(rows) == 1 and not pairs and not normals:
        return _path(rows[0]), spread, f"the only array of shape (n, n_codes) in {what}"
    ways = _ways(rows, shapes)
    ways += ["select=*.mean,*.variance&spread=variance for distributions"] if normals else []
    raise InvalidInputError(
        f"the encoder returned {what}; specify the codes by select=, such as {', or '.join(ways or ['select=0'])}"
    )


def _ways(rows: list[Steps], shapes: Mapping[Steps, tuple[int, ...]]) -> list[str]:
    """Return what the user may specify, as far as the names and shapes of the outputs suggest it."""
    pairs = named_pairs(shapes)
    means = [mean for mean, _ in pairs] or [steps for steps in rows if role(steps[-1]).kind == "mean"]
    ways = [f"select={_path((means or rows)[0])} for codes"] if means or rows else []
    for pair, kind in pairs.items():
        option = "" if kind == "log_variance" else f"&spread={kind}"
        ways.append(f"select={_path(*pair)}{option} for mean and {IN_WORDS[kind]}")
    first = (means or rows or [()])[0]
    second = next((steps for steps in rows if steps != first and shapes[steps] == shapes[first]), None)
    if not pairs and second is not None:
        selected = f"select={_path(first, second)}"
        ways.append(
            f"{selected}&spread=SPREAD for mean and spread, where SPREAD is {or_(SPREADS)}"
            if distinct_name(second, first)
            else f"{selected} for mean and log-variance (with spread={or_(SPREADS[1:])} for another measure of spread)"
        )
    return ways


@dataclass
class Pipeline:
    """Encoding of observations with the forward pass of a framework.

    Parameters
    ----------
    run : callable
        The forward pass, from a contiguous array to the output of the framework.
    inputs, outputs : InputConvention, OutputConvention
        Whatever they leave open is inferred from the first batch, logged, and used for all batches.
    to_array : callable
        Converts arrays of the framework to numpy.
    batch_size : int, optional
        Fixed batch size of the encoder: batches are padded and trimmed.
    """

    run: Callable[[Array], Any]
    inputs: InputConvention
    outputs: OutputConvention
    to_array: Callable[[Any], Array] = np.asarray
    batch_size: int | None = None
    categorical_codes: tuple[bool, ...] = field(default=(), init=False)  # known after the first batch
    _layout: str = field(default="", init=False)

    def __call__(self, observations: Array) -> Codes:
        """Encode a batch."""
        observations = np.asarray(observations)
        if observations.ndim < 2 or len(observations) == 0:
            raise InvalidInputError(f"observations must have shape (n, ...) with n >= 1; got {observations.shape}")
        size = self.batch_size
        if not self._layout:
            self._infer_conventions(padded(observations[:size], size) if size else observations[:2])
        encode = FixedBatch(self._encode, size) if size else self._encode
        return cast("Codes", encode(observations))

    def _infer_conventions(self, observations: Array) -> None:
        layouts = self.inputs.layouts(observations)
        results: dict[str, Any] = {}
        failures: dict[str, str] = {}
        for layout in layouts:
            try:
                results[layout] = self._forward(observations, layout)
            except EncoderError as error:
                if len(layouts) == 1:
                    raise
                failures[layout] = str(error.__cause__ or error).partition("\n")[0]
        if not results:
            raise EncoderError(
                f"the encoder accepts observations of shape {observations.shape} in none of the layouts; "
                + "; ".join(f"{layout}: {failure}" for layout, failure in failures.items())
            )
        layout, *others = results
        rows = len(observations)
        outputs = self.outputs.resolved(results[layout], rows)
        if others:
            self._check_same(results, outputs, rows)
        elif failures:
            log.info("layout=%s inferred: the encoder runs with no other", layout)
        batch = self.inputs(observations, layout)
        log.info(
            "batches have shape (n, %s); range of the first batch: %.4g to %.4g (see layout= and range=)",
            ", ".join(map(str, batch.shape[1:])), batch.min(), batch.max(),
        )  # fmt: skip
        self._layout, self.outputs = layout, outputs
        self.categorical_codes = outputs.categorical(results[layout], rows, to_array=self.to_array)

    def _check_same(self, results: dict[str, Any], outputs: OutputConvention, rows: int) -> None:
        first, *others = (self._read(output, rows, layout, outputs) for layout, output in results.items())
        if not all(_equal(first, other) for other in others):
            raise InvalidInputError(
                f"the encoder runs with the layouts {', '.join(results)} and gives different codes; "
                f"specify the one that it was trained with, such as layout={next(iter(results))}"
            )

    def _encode(self, observations: Array) -> Codes:
        return self._read(self._forward(observations, self._layout), len(observations), self._layout, self.outputs)

    def _forward(self, observations: Array, layout: str) -> Any:
        batch = self.inputs(observations, layout)
        try:
            return self.run(batch)
        except DisentmetricsError:
            raise
        except Exception as error:
            raise EncoderError(
                f"the encoder failed on a batch of shape {batch.shape} ({batch.dtype}): "
                f"{type(error).__name__}: {str(error).strip()}"
            ) from error

    def _read(self, output: Any, rows: int, layout: str, outputs: OutputConvention) -> Codes:
        axis = -1 if layout == "NHWC" else 1
        return outputs.read(output, rows, to_array=self.to_array, channel_axis=axis)


def _equal(one: Codes, other: Codes) -> bool:
    if isinstance(one, Posterior) and isinstance(other, Posterior):
        return _equal(one.mean, other.mean) and _equal(one.log_variance, other.log_variance)
    return np.array_equal(np.asarray(one), np.asarray(other), equal_nan=True)
