"""Scheme ``sklearn``: a fitted transformer saved by skops; ``SklearnEncoder`` wraps one in memory."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from disentmetrics._utils.cache import sha256_of
from disentmetrics.encoders.protocol import Encoder, Posterior
from disentmetrics.encoders.registry import Fingerprinted
from disentmetrics.errors import CorruptFileError, InvalidInputError, UntrustedFileError
from disentmetrics_adapters._extras import optional
from disentmetrics_adapters.encoders._conventions import InputConvention, OutputConvention, Pipeline
from disentmetrics_adapters.encoders._options import existing_file, fingerprint_of

PICKLES = (".pkl", ".pickle", ".joblib")


class SklearnEncoder:
    """A fitted scikit-learn transformer or pipeline as an encoder.

    Observations are passed to it flattened, as (n, n_features), in single precision if all of its fitted matrices are,
    and in double precision otherwise: some transformers refuse numbers of another type than they were fitted to.

    Parameters
    ----------
    transformer : object
        Fitted transformer with the method specified below.
    method : str
        Such as ``transform`` or ``predict_proba``.
    range : str
        ``auto``, ``0..1``, ``-1..1``, ``0..255``, ``raw`` or ``MEAN,STD``.

    Raises
    ------
    InvalidInputError
        If the transformer has no such method.

    Examples
    --------
    >>> from sklearn.decomposition import PCA
    >>> images = np.random.default_rng(0).integers(0, 256, (20, 8, 8, 1), dtype=np.uint8)
    >>> SklearnEncoder(PCA(2).fit(images.reshape(20, -1) / 255))(images).shape
    (20, 2)
    """

    def __init__(self, transformer: Any, *, method: str = "transform", range: str = "auto") -> None:  # noqa: A002 - the name of the option in a spec
        encode = getattr(transformer, method, None)
        if not callable(encode):
            raise InvalidInputError(
                f"the transformer must have the method {method!r}; {type(transformer).__name__} has none"
            )
        self._encode = encode
        self.dtype = _fitted_dtype(transformer)
        self._pipeline = Pipeline(
            self._run, InputConvention("flat", range, self.dtype), OutputConvention("whole"), to_array=np.asarray
        )

    def __call__(self, observations: NDArray[np.generic], /) -> NDArray[np.floating] | Posterior:
        """Encode a batch (n, ...)."""
        return self._pipeline(observations)

    def _run(self, batch: NDArray[Any]) -> NDArray[Any]:
        codes = self._encode(batch.astype(self.dtype, copy=False))
        return np.asarray(codes.toarray() if hasattr(codes, "toarray") else codes)


def _fitted_dtype(transformer: Any) -> type[np.floating]:
    """Return the type of the matrices that a transformer or the steps of a pipeline were fitted to."""
    steps = [step for _, step in getattr(transformer, "steps", ())] or [transformer]
    fitted = [
        value.dtype
        for step in steps
        for name, value in getattr(step, "__dict__", {}).items()
        if name.endswith("_") and isinstance(value, np.ndarray) and value.ndim == 2 and value.dtype.kind == "f"
    ]
    return np.float32 if fitted and all(dtype == np.float32 for dtype in fitted) else np.float64


def load(
    target: str,
    *,
    method: str = "transform",
    range: str = "auto",  # noqa: A002 - the name of the option in a spec
    trust: str = "",
    trust_pickle: bool = False,
) -> Encoder:
    """Load a fitted scikit-learn transformer (.skops; pickles with --trust-pickle).

    The target is a file written by ``skops.io.dump(transformer, path)``. A pickle
    (.pkl, .joblib) can execute arbitrary code; it is loaded only with
    ``--trust-pickle``, which is for files you trust.

    Options
    -------
    method : text, default transform
        Method of the transformer that returns the codes, such as predict_proba.
    range : auto, 0..1, -1..1, 0..255, raw or MEAN,STD; default auto
        Range of pixels; auto is 0..1 for uint8 images, and raw for anything else.
    trust : types separated by commas, default none
        Types to trust in addition to those of skops, such as my_package.MyScaler.

    Example
    -------
    sklearn:pca.skops
    """
    file = existing_file(target, "the transformer")
    if file.suffix in PICKLES:
        transformer = _read_pickle(file, trust_pickle=trust_pickle)
    else:
        transformer = _read_skops(file, [name for name in trust.split(",") if name])
    encoder = SklearnEncoder(transformer, method=method, range=range)
    return Fingerprinted(encoder, fingerprint_of("sklearn", sha256_of(file), method, range, encoder.dtype.__name__))


def _read_skops(file: Path, trusted: list[str]) -> Any:
    with optional("skops", extra="sklearn"):
        from skops import io
    try:
        unknown = [name for name in io.get_untrusted_types(file=file) if name not in trusted]
        if not unknown:
            return io.load(file, trusted=trusted)
    except Exception as error:  # zip, JSON and schema errors of many kinds
        reason = str(error).partition("\n")[0]
        raise CorruptFileError(f"{file} is damaged, or not a skops file: {reason}") from error
    raise UntrustedFileError(
        f"{file} contains types that are not trusted by default: {', '.join(unknown)}; "
        f"if you trust the file, add trust={','.join(unknown)}"
    )


def _read_pickle(file: Path, *, trust_pickle: bool) -> Any:
    if not trust_pickle:
        raise UntrustedFileError(
            f"{file} is a pickle, which can execute arbitrary code, and was not loaded; save the transformer "
            "with skops.io.dump, or add --trust-pickle if you trust the file"
        )
    import joblib

    try:
        return joblib.load(file)
    except Exception as error:  # unpickling runs foreign code
        raise CorruptFileError(f"{file} cannot be unpickled: {type(error).__name__}: {error}") from error
