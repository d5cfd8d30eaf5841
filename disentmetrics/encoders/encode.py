"""Encode a data set and cache the codes."""

import contextlib
import hashlib
import logging
import sys
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from disentmetrics._utils.arrays import as_array
from disentmetrics._utils.cache import cache_folder, locked
from disentmetrics._utils.progress import progress_bar
from disentmetrics._utils.random import generator
from disentmetrics.datasets.base import DataSet, Draws
from disentmetrics.encoders._partial_store import PartialStore
from disentmetrics.encoders.protocol import Encoder, Posterior
from disentmetrics.encoders.registry import open_encoder
from disentmetrics.errors import CorruptFileError, DisentmetricsError, EncoderError, InvalidInputError, StorageError
from disentmetrics.representation import Provenance, Representation

logger = logging.getLogger("disentmetrics")

DEFAULT_SAMPLES = 20_000
"""Rows that are drawn unless the caller chooses."""
_WRAPPERS = {
    "torch.nn.Module": "disentmetrics_adapters.encoders.torch.TorchEncoder(model)",
    "sklearn.base.TransformerMixin": "disentmetrics_adapters.encoders.sklearn.SklearnEncoder(model)",
    "onnxruntime.InferenceSession": "disentmetrics_adapters.encoders.onnx.OnnxEncoder(model)",
}
"""Classes of models, and what makes an encoder of one."""
_CHECKED_ROWS = 16
"""Rows of the first batch that are encoded a second time."""
_LAYOUT = "1"
"""Version of the cache's file layout, part of every cache key."""


def encode(
    encoder: Encoder | Callable[..., Any] | str,
    data: DataSet,
    *,
    n_samples: int | None = None,
    full_grid: bool = False,
    indices: ArrayLike | None = None,
    seed: int = 0,
    batch_size: int = 256,
    cache: bool = True,
    progress: bool = False,
) -> Representation:
    """Encode rows of a data set, each distinct observation once.

    Parameters
    ----------
    encoder : Encoder or str
        A callable from a batch of observations to codes or a posterior, or the name of one, such
        as ``onnx:model.onnx``.
    data : DataSet
        Source of the observations.
    n_samples : int, optional
        Number of rows to draw: distinct combinations of factors, uniformly; independent draws where the
        data set has another distribution of its factors. By default 20,000, or all rows if there are no more.
    full_grid : bool
        Encode every combination of factors; every row of a table.
    indices : (n, n_factors) integer, optional
        Encode exactly these combinations. At most one of the three may be given.
    seed : int
        Random seed of the draw, and of an encoder that is fitted when it is loaded by name.
    batch_size : int
        Number of observations per call of the encoder.
    cache : bool
        Cache the codes of an encoder that has a ``fingerprint``. A second call then needs no forward pass,
        and an interrupted one resumes where it stopped.
    progress : bool
        Show a progress bar.

    Returns
    -------
    Representation
        Codes with the factors of the data set; the full grid is marked as the entire population.

    Raises
    ------
    EncoderError
        If the encoder raises, returns no codes of shape (batch, n_codes), returns NaN, gives two different
        codes for one observation (it is stochastic), or gives codes that depend on the other observations
        of the batch.
    InvalidInputError
        If rows are chosen in several of the three ways, there are fewer rows than requested, or a model of a framework
        is given instead of an encoder that wraps it.

    Examples
    --------
    >>> import disentmetrics as dm
    >>> def brightness(images):
    ...     return images.mean(axis=(1, 2))
    >>> dm.encode(brightness, dm.load_dataset("dsprites"), n_samples=100)
    Representation(100 rows, 1 latent, factors: shape (categorical, 3), scale (ordinal, 6),
        orientation (circular, 40, period 2pi), x (ordinal, 32), y (ordinal, 32))
    """
    if not isinstance(data, DataSet):
        raise InvalidInputError(f"data must be a data set, such as load_dataset('dsprites'); got {data!r}")
    if batch_size < 1:
        raise InvalidInputError(f"batch_size must be at least 1; got {batch_size}")
    _refuse_model(encoder)
    if n_samples is None and indices is None and not full_grid:
        full_grid = data.has_full_grid and len(data) <= DEFAULT_SAMPLES
        n_samples = None if full_grid else DEFAULT_SAMPLES
        if full_grid:
            logger.info("%s has %d rows: all are encoded", data.spec, len(data))
    draws, sampling = _draws(data, n_samples, indices, seed, full_grid=full_grid)
    # The full grid contains each observation once; duplicates of a draw are encoded once and expanded afterwards.
    distinct, back = (draws, None) if full_grid else _distinct(draws, data)
    with open_encoder(encoder, data=data, seed=seed) as opened:
        if getattr(opened, "reads_factors", False) and not len(data.space):
            raise InvalidInputError(f"this encoder reads factors, but {data.name} has none; use another encoder")
        fingerprint = _fingerprint(opened)
        provenance = Provenance(
            data.fingerprint,
            fingerprint or "unknown",
            sampling,
            population=full_grid and not data.nuisances,
            data_spec=data.spec,
        )
        run = _Run(opened, data, distinct, batch_size, provenance, progress=progress)
        encoded = run.cached() if cache and fingerprint else run.in_memory()
    encoded = encoded.with_notes(data.notes).with_provenance(
        provenance
    )  # cached codes may be of the same data by another name
    return encoded if back is None else encoded.take(back)


def _refuse_model(encoder: Any) -> None:
    """Raise InvalidInputError for a model of a framework, which expects other arrays than observations."""
    for path, wrapper in _WRAPPERS.items():
        module, _, name = path.rpartition(".")
        kind = getattr(sys.modules.get(module), name, None)
        if kind is not None and isinstance(encoder, kind) and not hasattr(encoder, "fingerprint"):
            raise InvalidInputError(
                f"an encoder must be a function from observations to codes; got a {path}, which expects its own type, "
                f"layout and range of numbers: wrap it, as in encode({wrapper}, data); if it takes arrays of "
                "numpy, pass a function that calls it"
            )


def _fingerprint(encoder: Encoder) -> str | None:
    fingerprint = getattr(encoder, "fingerprint", None)
    if fingerprint is None or (isinstance(fingerprint, str) and fingerprint):
        return fingerprint
    raise InvalidInputError(
        f"an encoder's fingerprint must be non-empty text that identifies exactly this encoder; got {fingerprint!r}"
    )


def _draws(
    data: DataSet, n_samples: int | None, indices: ArrayLike | None, seed: int, *, full_grid: bool
) -> tuple[Draws, str]:
    """Return the rows to encode, and how they were sampled, as the signature of a score records it."""
    n_ways = (n_samples is not None) + full_grid + (indices is not None)
    if n_ways != 1:
        raise InvalidInputError(
            f"rows must be chosen in exactly one way, by n_samples, full_grid or indices; got {n_ways} of them"
        )
    if indices is not None:
        draws = data.draws(indices)
        if not len(draws):
            raise InvalidInputError("at least one row must be encoded; indices is empty")
        return draws, f"rows/{hashlib.sha256(_content(draws, data)).hexdigest()[:12]}"
    if full_grid:
        return data.full_grid(), "all" if data.is_observed else "grid"
    if not isinstance(n_samples, int | np.integer) or n_samples < 1:
        raise InvalidInputError(f"n_samples must be a whole number of at least 1; got {n_samples!r}")
    return data.sample(n_samples, generator(seed, "draw")), f"{data.sampling}/{seed}"


def _content(draws: Draws, data: DataSet) -> bytes:
    """Return bytes that identify these draws."""
    if data.space.is_grid and not data.nuisances:
        return draws.nuisance.astype("<i8").tobytes()  # without nuisances it contains the row of the grid
    return draws.nuisance.astype("<u8").tobytes() + np.ascontiguousarray(draws.factors).tobytes()


def _distinct(draws: Draws, data: DataSet) -> tuple[Draws, NDArray[np.int64] | None]:
    """Return the distinct observations in order, and the position of each draw among them; None if all are distinct."""
    if not data.space.is_grid:
        return draws, None  # continuous values almost never repeat
    if not data.nuisances:
        _, first, back = np.unique(draws.nuisance, return_index=True, return_inverse=True)
    else:
        observations = np.column_stack([draws.factors, draws.nuisance.view(np.int64)])
        _, first, back = np.unique(observations, axis=0, return_index=True, return_inverse=True)
    back = back.ravel()
    if np.array_equal(back, np.arange(len(draws))):
        return draws, None
    return draws[first], back


class _Run:
    """One pass of one encoder over distinct rows."""

    def __init__(
        self,
        encoder: Callable[..., Any],
        data: DataSet,
        rows: Draws,
        batch_size: int,
        provenance: Provenance,
        *,
        progress: bool,
    ) -> None:
        self.encoder, self.data, self.rows, self.batch_size = encoder, data, rows, batch_size
        self.provenance, self.progress = provenance, progress
        self.reads_factors = bool(getattr(encoder, "reads_factors", False))

    def in_memory(self) -> Representation:
        return self.representation(np.concatenate(list(self.encoded_from(0))))

    def cached(self) -> Representation:
        path = cache_folder() / "representations" / f"{self.key()}.h5"
        representation = self.read_cache(path)  # without the lock, so that a read-only cache can be read
        if representation is not None:
            return representation
        try:
            with locked(path):
                return self.load_or_encode(path)
        except StorageError as error:
            logger.warning("codes are not cached: %s", error)
            return self.in_memory()

    def key(self) -> str:
        digest = hashlib.sha256(
            f"{_LAYOUT}\n{self.data.fingerprint}\n{self.provenance.encoder}\n{self.provenance.rows}".encode()
        )
        digest.update(_content(self.rows, self.data))
        return digest.hexdigest()[:32]

    def categorical_codes(self) -> tuple[bool, ...]:
        """Return the flags that the encoder declares; empty if it declares none, or not yet."""
        return tuple(bool(flag) for flag in getattr(self.encoder, "categorical_codes", ()))

    def load_or_encode(self, path: Path) -> Representation:
        representation = self.read_cache(path)  # another process may have written it in the meantime
        if representation is not None:
            return representation
        store = PartialStore(path.with_suffix(".partial"), len(self.rows))
        try:
            return self.encode_into(store, path)
        finally:
            store.close()

    def encode_into(self, store: PartialStore, path: Path) -> Representation:
        if store.n_rows:
            logger.info("resuming an interrupted run at row %d of %d", store.n_rows, len(self.rows))
        try:
            for part in self.encoded_from(store.n_rows):
                store.append(part)
        finally:
            store.flush()
        representation = self.representation(store.read())
        if store.failure is not None:
            return representation
        try:
            representation.save(path)
        except StorageError as error:
            logger.warning("codes are not cached: %s", error)
            return representation
        del representation  # it maps the file that is removed now
        store.remove()
        return Representation.load(path)

    def read_cache(self, path: Path) -> Representation | None:
        """Return the cached representation; None if there is none, or it was altered and is removed."""
        if not path.is_file():
            return None
        try:
            representation = Representation.load(path)
        except CorruptFileError as error:
            reason = str(error)
        else:
            expected = (self.provenance, self.data.space, len(self.rows))
            declared = self.categorical_codes()
            if declared and declared != tuple(representation.categorical_codes):
                reason = f"{path} has other categorical latents than the encoder"
            elif (representation.provenance, representation.space, len(representation)) == expected:
                return representation
            else:
                reason = f"{path} contains other rows than its name specifies"
        logger.warning("encoding again: %s", reason)
        with contextlib.suppress(OSError):
            path.unlink()
        return None

    def representation(self, stacked: NDArray[np.floating]) -> Representation:
        """Build the table from (n, n_codes) codes, or posteriors (n, 2 or 3, n_codes): mean, log-variance, KL."""
        codes, *posterior = np.moveaxis(stacked, 1, 0) if stacked.ndim == 3 else [stacked]
        log_variance, kl = [*map(np.ascontiguousarray, posterior), None, None][:2]
        return Representation(
            np.ascontiguousarray(codes),
            self.rows.factors,
            groups=self.rows.groups,
            space=self.data.space,
            categorical_codes=self.categorical_codes() or None,
            log_variance=log_variance,
            kl=kl,
            provenance=self.provenance,
        )

    def encoded_from(self, start: int) -> Iterator[NDArray[np.floating]]:
        """Yield the codes batch by batch; the next batch is generated while the encoder runs."""
        if start >= len(self.rows):
            # All rows were encoded before an interruption; the encoder must still declare its categorical latents.
            self.call(self.batch(0), 0)
        starts = range(start, len(self.rows), self.batch_size)
        kind = ""
        with ThreadPoolExecutor(1) as ahead, progress_bar(shown=self.progress) as bar:
            task = bar.add_task("encoding", total=len(self.rows), completed=start)
            upcoming = ahead.submit(self.batch, start) if start < len(self.rows) else None
            for first in starts:
                assert upcoming is not None  # noqa: S101 # one batch is always being generated here
                batch = upcoming.result()
                if first + self.batch_size < len(self.rows):
                    upcoming = ahead.submit(self.batch, first + self.batch_size)
                codes = self.call(batch, first) if kind else self.call_first(batch, first)
                if kind and _kind(codes) != kind:
                    raise EncoderError(
                        f"codes must have the same shape and type in every batch; {self.where(first, len(batch))} gave "
                        f"{_kind(codes)} after {kind}"
                    )
                kind = _kind(codes)
                bar.advance(task, len(batch))
                yield codes

    def batch(self, first: int) -> NDArray[Any]:
        rows = self.rows[first : first + self.batch_size]
        return rows.factors if self.reads_factors else self.data.observations(rows.factors, rows.nuisance)

    def where(self, first: int, n: int) -> str:
        return f"batch {first // self.batch_size} (rows {first} to {first + n - 1})"

    def call(self, batch: NDArray[Any], first: int) -> NDArray[np.floating]:
        try:
            answer = self.encoder(batch)
        except EncoderError as error:
            raise EncoderError(f"{self.where(first, len(batch))}: {error}") from error
        except DisentmetricsError:
            raise  # wrong settings rather than a failing encoder
        except (Exception, SystemExit) as error:
            message = f": {error}" if str(error) else ""
            raise EncoderError(
                f"the encoder failed with {type(error).__name__} in {self.where(first, len(batch))}{message}"
            ) from error
        return self.check(answer, batch, first)

    def check(self, answer: Any, batch: NDArray[Any], first: int) -> NDArray[np.floating]:
        where = self.where(first, len(batch))
        if isinstance(answer, Posterior):
            named = {"posterior mean": answer.mean, "log-variance": answer.log_variance}
            if answer.kl is not None:
                named["KL divergence"] = answer.kl
            parts = [_as_codes(part, len(batch), f"the {name} of {where}") for name, part in named.items()]
            if len({part.shape for part in parts}) > 1:
                raise EncoderError(
                    f"{' and '.join(('mean', 'log_variance', 'kl')[: len(parts)])} must have the same shape; "
                    f"{where} gave {' and '.join(str(part.shape) for part in parts)}"
                )
            return np.stack(parts, axis=1)
        return _as_codes(answer, len(batch), where)

    def call_first(self, batch: NDArray[Any], first: int) -> NDArray[np.floating]:
        """Encode the first batch, and its last rows again to detect stochastic and batch-dependent encoders."""
        n_few = min(_CHECKED_ROWS, max(1, len(batch) // 2))
        few = batch[-n_few:].copy()  # an encoder may write into its input
        summary = (batch.dtype, batch.shape, batch.min(), batch.max())
        codes = self.call(batch, first)
        logger.info(
            "first batch: %s %s %s from %s to %s; codes %s from %.3g to %.3g",
            "factors" if self.reads_factors else "observations", *summary, codes.shape, codes.min(), codes.max(),
        )  # fmt: skip
        again = self.call(few.copy(), first)
        expected = codes[-n_few:]
        if not _differ(again, expected):
            if len(self.rows) > len(batch) and len(self.rows) % self.batch_size == 1:
                self.call(few[-1:].copy(), first)  # as the last batch, which is found to fail before all are encoded
            return codes
        once_more = self.call(few.copy(), first)
        if _differ(again, once_more):
            raise EncoderError(
                "an encoder must always give the same codes for an observation; this one is stochastic: "
                f"encoding a batch twice gave codes {_difference(again, once_more)}; switch it to "
                "evaluation mode, or return the posterior mean instead of a sample"
            )
        raise EncoderError(
            "an encoder must encode each observation independently; this one depends on the batch: "
            f"{n_few} observations encoded alone and among {len(batch)} gave codes {_difference(again, expected)}; "
            "switch batch normalisation to evaluation mode"
        )


def _as_codes(values: Any, n_rows: int, where: str) -> NDArray[np.floating]:
    if isinstance(values, tuple | list | Mapping):
        kind, parts = type(values).__name__, list(values) if isinstance(values, Mapping) else range(len(values))
        raise EncoderError(
            f"an encoder must return an array (batch, n_codes) or Posterior(mean, log_variance); {where} gave a "
            f"{kind} of {len(values)}; return one of its parts or disentmetrics.Posterior(mean, log_variance) "
            f"(for a network the option select= of its scheme does so: select={','.join(map(str, parts[:2])) or '0'})"
        )
    if values is None:
        raise EncoderError(f"an encoder must return its codes; {where} gave None")
    try:
        array = np.array(as_array("codes", values))  # a copy, since some encoders reuse one output buffer
    except InvalidInputError as error:
        raise EncoderError(f"an encoder must return an array: in {where} {error}") from error
    if array.ndim != 2 or len(array) != n_rows or not array.shape[1]:
        raise EncoderError(
            f"an encoder must return codes of shape ({n_rows}, n_codes) for {n_rows} observations; "
            f"{where} gave shape {array.shape}"
        )
    if array.dtype.kind not in "fiub":
        raise EncoderError(f"codes must be real numbers; {where} gave dtype {array.dtype}")
    if array.dtype not in (np.float32, np.float64):
        array = array.astype(np.float32 if array.dtype == np.float16 else np.float64)
    if not np.isfinite(array).all():
        bad = int((~np.isfinite(array)).any(axis=1).sum())
        raise EncoderError(f"codes must be finite; {where} gave NaN or infinity in {bad} of {n_rows} rows")
    return array


def _kind(codes: NDArray[np.floating]) -> str:
    shape = f"(batch, {codes.shape[-1]})"
    what = ("mean and log-variance", "mean, log-variance and KL")[codes.shape[1] - 2] if codes.ndim == 3 else "codes"
    return f"{what} {shape} {codes.dtype}"


def _differ(a: NDArray[np.floating], b: NDArray[np.floating]) -> bool:
    scale = max(float(np.abs(a).max()), float(np.abs(b).max()), 1e-30)
    return a.shape != b.shape or float(np.abs(a - b).max()) > 1e-4 * scale


def _difference(a: NDArray[np.floating], b: NDArray[np.floating]) -> str:
    if a.shape != b.shape:
        return f"of shape {a.shape} and {b.shape}"
    return f"that differ by up to {float(np.abs(a - b).max()):.2g}"
