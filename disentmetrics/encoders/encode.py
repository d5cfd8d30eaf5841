"""Run an encoder once over the rows of a data set; later runs read what it said."""

import contextlib
import hashlib
import logging
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

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

_CHECKED_ROWS = 16
_LAYOUT = "1"  # part of every cache key: what is stored under it


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
        Where observations come from.
    n_samples : int, optional
        Draw so many distinct combinations of factors uniformly; from data with another distribution of
        its factors, so many independent ones.
    full_grid : bool
        Encode every combination of factors; of a table, every row.
    indices : (n, n_factors) integer, optional
        Encode exactly these combinations. Exactly one of the three must be given.
    seed : int
        Decides the draw, and whatever a named encoder draws when it is fitted.
    batch_size : int
        Observations in a call of the encoder.
    cache : bool
        Whether codes of an encoder with a ``fingerprint`` are kept under the cache folder. Then a second
        call needs no forward pass, and an interrupted one goes on where it stopped.
    progress : bool
        Whether to show a progress bar.

    Returns
    -------
    Representation
        With the data set's factors; the full grid is marked as the whole population.

    Raises
    ------
    EncoderError
        If the encoder raises, returns no codes of shape (batch, n_codes), returns NaN, gives two answers
        for one observation (it is stochastic) or lets other observations of the batch change one
        (it depends on the batch).
    InvalidInputError
        If rows are chosen in none or several of the ways, or there are fewer than asked for.

    Examples
    --------
    >>> import disentmetrics as dm
    >>> def brightness(images):
    ...     return images.mean(axis=(1, 2))
    >>> dm.encode(brightness, dm.load_dataset("dsprites"), n_samples=100)
    Representation(100 rows, 1 code, factors: shape (categorical, 3), scale (ordinal, 6),
        orientation (circular, 40), x (ordinal, 32), y (ordinal, 32))
    """
    if not isinstance(data, DataSet):
        raise InvalidInputError(f"encode takes a data set, such as load_dataset('dsprites'); got {data!r}")
    if batch_size < 1:
        raise InvalidInputError(f"batch_size must be at least 1; got {batch_size}")
    draws, named = _draws(data, n_samples, indices, seed, full_grid=full_grid)
    if isinstance(encoder, str):
        with open_encoder(encoder, data=data, seed=seed) as loaded:
            return encode(
                loaded,
                data,
                indices=indices,
                n_samples=n_samples,
                full_grid=full_grid,
                seed=seed,
                batch_size=batch_size,
                cache=cache,
                progress=progress,
            )
    distinct, back = (draws, None) if full_grid else _distinct(draws, data)  # all there is comes once
    if getattr(encoder, "reads_factors", False) and not len(data.space):
        raise InvalidInputError(f"this encoder reads factors, and none of {data.name} is known; take another encoder")
    fingerprint = getattr(encoder, "fingerprint", None)
    if fingerprint is not None and not (isinstance(fingerprint, str) and fingerprint):
        raise InvalidInputError(
            f"an encoder's fingerprint must be text that names exactly this encoder; got {fingerprint!r}"
        )
    population = full_grid and not data.nuisances
    provenance = Provenance(data.fingerprint, fingerprint or "unknown", named, population=population)
    run = _Run(encoder, data, distinct, batch_size, provenance, progress=progress)
    encoded = run.cached() if cache and fingerprint else run.in_memory()
    return encoded if back is None else encoded.take(back)


def _draws(
    data: DataSet, n_samples: int | None, indices: ArrayLike | None, seed: int, *, full_grid: bool
) -> tuple[Draws, str]:
    ways = (n_samples is not None) + full_grid + (indices is not None)
    if ways != 1:
        raise InvalidInputError(
            f"rows must be chosen in exactly one way, by n_samples, full_grid or indices; got {ways} of them"
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
    """Return bytes that tell these draws from all others."""
    if data.space.is_grid and not data.nuisances:
        return draws.nuisance.astype("<i8").tobytes()  # the row of the grid
    return draws.nuisance.astype("<u8").tobytes() + np.ascontiguousarray(draws.factors).tobytes()


def _distinct(draws: Draws, data: DataSet) -> tuple[Draws, NDArray[np.int64] | None]:
    """Return each different observation once, in order, and where each draw stands there; None if they are these."""
    if not data.space.is_grid:
        return draws, None  # real values hardly ever come twice
    if not data.nuisances:
        _, first, back = np.unique(draws.nuisance, return_index=True, return_inverse=True)
    else:
        whole = np.column_stack([draws.factors, draws.nuisance.view(np.int64)])
        _, first, back = np.unique(whole, axis=0, return_index=True, return_inverse=True)
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
        kept = self.kept(path)  # without the lock, so that a cache that is read-only serves too
        if kept is not None:
            return kept
        try:
            with locked(path):
                return self.load_or_make(path)
        except StorageError as error:
            logger.warning("codes are not cached: %s", error)
            return self.in_memory()

    def key(self) -> str:
        digest = hashlib.sha256(
            f"{_LAYOUT}\n{self.data.fingerprint}\n{self.provenance.encoder}\n{self.provenance.rows}".encode()
        )
        digest.update(_content(self.rows, self.data))
        return digest.hexdigest()[:32]

    def load_or_make(self, path: Path) -> Representation:
        kept = self.kept(path)  # by another process, meanwhile
        if kept is not None:
            return kept
        store = PartialStore(path.with_suffix(".partial"), len(self.rows))
        try:
            return self.make(store, path)
        finally:
            store.close()

    def make(self, store: PartialStore, path: Path) -> Representation:
        if store.n_rows:
            logger.info("an interrupted run left %d of %d rows; going on from there", store.n_rows, len(self.rows))
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
        del representation  # it keeps the rows open that are removed
        store.remove()
        return Representation.load(path)

    def kept(self, path: Path) -> Representation | None:
        """Return what an earlier run kept; None if there is nothing, or it was altered and is removed."""
        if not path.is_file():
            return None
        try:
            found = Representation.load(path)
        except CorruptFileError as error:
            why = str(error)
        else:
            if (found.provenance, found.space, len(found)) == (self.provenance, self.data.space, len(self.rows)):
                return found
            why = f"{path} holds other rows than its name says"
        logger.warning("encoding again: %s", why)
        with contextlib.suppress(OSError):
            path.unlink()
        return None

    def representation(self, stacked: NDArray[np.floating]) -> Representation:
        """Build the table from (n, n_codes) codes or (n, 2, n_codes) posteriors."""
        codes, log_variance = (stacked[:, 0], stacked[:, 1]) if stacked.ndim == 3 else (stacked, None)
        return Representation(
            np.ascontiguousarray(codes),
            self.rows.factors,
            groups=self.rows.groups,
            space=self.data.space,
            log_variance=None if log_variance is None else np.ascontiguousarray(log_variance),
            provenance=self.provenance,
        )

    def encoded_from(self, start: int) -> Iterator[NDArray[np.floating]]:
        """Yield the codes batch by batch; the next batch is made while the encoder works."""
        starts = range(start, len(self.rows), self.batch_size)
        kind = ""
        with ThreadPoolExecutor(1) as ahead, progress_bar(shown=self.progress) as bar:
            task = bar.add_task("encoding", total=len(self.rows), completed=start)
            coming = ahead.submit(self.batch, start) if start < len(self.rows) else None
            for first in starts:
                assert coming is not None  # noqa: S101 # one batch is always under way here
                batch = coming.result()
                if first + self.batch_size < len(self.rows):
                    coming = ahead.submit(self.batch, first + self.batch_size)
                codes = self.call(batch, first) if kind else self.call_first(batch, first)
                if kind and _kind(codes) != kind:
                    raise EncoderError(
                        f"every batch must give codes of one shape and type; {self.where(first, len(batch))} gave "
                        f"{_kind(codes)} after {kind}"
                    )
                kind = _kind(codes)
                bar.advance(task, len(batch))
                yield codes

    def batch(self, first: int) -> NDArray[Any]:
        some = self.rows[first : first + self.batch_size]
        return some.factors if self.reads_factors else self.data.observations(some.factors, some.nuisance)

    def where(self, first: int, n: int) -> str:
        return f"batch {first // self.batch_size} (rows {first} to {first + n - 1})"

    def call(self, batch: NDArray[Any], first: int) -> NDArray[np.floating]:
        try:
            answer = self.encoder(batch)
        except EncoderError as error:
            raise EncoderError(f"{self.where(first, len(batch))}: {error}") from error
        except DisentmetricsError:
            raise  # the encoder's settings are wrong, not the encoder
        except (Exception, SystemExit) as error:
            said = f": {error}" if str(error) else ""
            raise EncoderError(
                f"the encoder raised {type(error).__name__} at {self.where(first, len(batch))}{said}"
            ) from error
        return self.check(answer, batch, first)

    def check(self, answer: Any, batch: NDArray[Any], first: int) -> NDArray[np.floating]:
        where = self.where(first, len(batch))
        if isinstance(answer, Posterior):
            mean = _as_codes(answer.mean, len(batch), f"the posterior mean of {where}")
            log_variance = _as_codes(answer.log_variance, len(batch), f"the log-variance of {where}")
            if mean.shape != log_variance.shape:
                raise EncoderError(
                    f"mean and log_variance must have one shape; {where} gave {mean.shape} and {log_variance.shape}"
                )
            return np.stack([mean, log_variance], axis=1)
        return _as_codes(answer, len(batch), where)

    def call_first(self, batch: NDArray[Any], first: int) -> NDArray[np.floating]:
        n_few = min(_CHECKED_ROWS, max(1, len(batch) // 2))
        few = batch[-n_few:].copy()  # an encoder may write into its input
        about = (batch.dtype, batch.shape, batch.min(), batch.max())
        codes = self.call(batch, first)
        logger.info(
            "first batch: %s %s %s from %s to %s; codes %s from %.3g to %.3g",
            "factors" if self.reads_factors else "observations", *about, codes.shape, codes.min(), codes.max(),
        )  # fmt: skip
        again = self.call(few.copy(), first)
        expected = codes[-n_few:]
        if not _differ(again, expected):
            return codes
        once_more = self.call(few.copy(), first)
        if _differ(again, once_more):
            raise EncoderError(
                "an encoder must give one answer for one observation; this one is stochastic: the same "
                f"batch twice gave codes {_apart(again, once_more)}; switch it to "
                "evaluation mode, or return the posterior mean instead of a sample"
            )
        raise EncoderError(
            "an encoder must encode each observation by itself; this one depends on the batch: "
            f"{n_few} observations alone and among {len(batch)} gave codes {_apart(again, expected)}; "
            "switch batch normalisation to evaluation mode"
        )


def _as_codes(values: Any, n_rows: int, where: str) -> NDArray[np.floating]:
    if isinstance(values, tuple | list | dict):
        kind = type(values).__name__
        raise EncoderError(
            f"an encoder must return an array (batch, n_codes) or Posterior(mean, log_variance); {where} gave a "
            f"{kind} of {len(values)}; choose one of its parts (select= in an encoder's name)"
        )
    if values is None:
        raise EncoderError(f"an encoder must return its codes; {where} gave None")
    try:
        array = np.array(np.asarray(values))  # a copy: some encoders fill one buffer again and again
    except Exception as error:
        raise EncoderError(f"{where} gave {type(values).__name__}, which is no array: {error}") from error
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
    return f"{'mean and log-variance' if codes.ndim == 3 else 'codes'} {shape} {codes.dtype}"


def _differ(a: NDArray[np.floating], b: NDArray[np.floating]) -> bool:
    scale = max(float(np.abs(a).max()), float(np.abs(b).max()), 1e-30)
    return a.shape != b.shape or float(np.abs(a - b).max()) > 1e-4 * scale


def _apart(a: NDArray[np.floating], b: NDArray[np.floating]) -> str:
    if a.shape != b.shape:
        return f"of shape {a.shape} and {b.shape}"
    return f"up to {float(np.abs(a - b).max()):.2g} apart"
