"""Scheme ``onnx``: a model file run by onnxruntime; and the door for a live session."""

import math
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from disentmetrics._utils.cache import sha256_of
from disentmetrics.encoders.protocol import Encoder, Posterior
from disentmetrics.encoders.registry import Fingerprinted
from disentmetrics.errors import CorruptFileError, InvalidInputError
from disentmetrics_adapters._extras import optional
from disentmetrics_adapters.encoders._conventions import InputConvention, OutputConvention, Pipeline
from disentmetrics_adapters.encoders._options import choice, existing_file, fingerprint_of, log, yes_no

DTYPES = {
    "tensor(float)": np.float32,
    "tensor(double)": np.float64,
    "tensor(float16)": np.float16,
    "tensor(uint8)": np.uint8,
    "tensor(int32)": np.int32,
    "tensor(int64)": np.int64,
}


class OnnxEncoder:
    """A live ``onnxruntime.InferenceSession`` as an encoder.

    A batch size that the model fixes is met by padding and trimming; number type and, where
    the declared shape leaves one reading, layout are read from the model.

    Parameters
    ----------
    session : onnxruntime.InferenceSession
        With one input, unless the others have defaults in the model.
    layout : {"auto", "NCHW", "NHWC", "flat"}
        Order of axes in which the model takes images.
    range : str
        ``auto``, ``0..1``, ``-1..1``, ``0..255``, ``raw`` or ``MEAN,STD``; ``auto`` is ``raw`` for a
        model that takes integers.
    select : str, optional
        Name of the output that holds the codes, or of mean and log-variance: ``mu,logvar``.
    spread : {"log_variance", "log_std", "std", "variance"}
        What the model returns beside the mean.
    flatten : bool
        Whether each place of a map is a code of its own.

    Raises
    ------
    InvalidInputError
        If more than one reading is possible; the message says which option to give.
    """

    def __init__(
        self,
        session: Any,
        *,
        layout: str = "auto",
        range: str = "auto",  # noqa: A002 - the name of the option in a spec
        select: str | None = None,
        spread: str = "log_variance",
        flatten: bool = False,
    ) -> None:
        inputs = session.get_inputs()
        if len(inputs) != 1:
            raise InvalidInputError(
                "an encoder must have one input, the observations; the model has "
                + ", ".join(f"{i.name} {i.shape}" for i in inputs)
            )
        self._session, self._input = session, inputs[0]
        if self._input.type not in DTYPES:
            raise InvalidInputError(
                f"the model's input must be one of {', '.join(DTYPES)}; {self._input.name} is {self._input.type}"
            )
        self._dtype = np.dtype(DTYPES[self._input.type])
        self._inputs = InputConvention(layout, self._range(range))
        self._outputs = OutputConvention(select, spread, flatten)
        self._pipeline: Pipeline | None = None

    def __call__(self, observations: NDArray[np.generic], /) -> NDArray[np.floating] | Posterior:
        """Encode a batch (n, ...)."""
        if self._pipeline is None:
            shape = np.asarray(observations).shape[1:]
            layout = self._layout(shape) if self._inputs.layout == "auto" else self._inputs.layout
            first = self._input.shape[0] if self._input.shape else None
            size = first if isinstance(first, int) and first > 0 else None
            if size:
                log.info("the model takes batches of %d only; batches are padded and trimmed", size)
            inputs = InputConvention(layout, self._inputs.range)
            self._pipeline = Pipeline(self._run, inputs, self._outputs, batch_size=size)
        return self._pipeline(observations)

    def _range(self, wanted: str) -> str:
        if np.issubdtype(self._dtype, np.floating):
            return wanted
        choice(f"range (the model takes {self._dtype})", wanted, ("auto", "raw"))
        return "raw"

    def _layout(self, shape: tuple[int, ...]) -> str:
        declared = self._input.shape[1:]
        if not self._input.shape:
            return "auto"  # the model declares nothing
        possible = {"auto": shape}
        if len(shape) == 3:
            height, width, channels = shape
            possible = {"NCHW": (channels, height, width), "NHWC": shape, "flat": (math.prod(shape),)}
        fitting = [layout for layout, dims in possible.items() if _fits(dims, declared)]
        if not fitting:
            raise InvalidInputError(
                f"the model takes {self._input.name} of shape {self._input.shape}; batches of observations "
                f"of shape {shape} fit it in no layout"
            )
        if len(fitting) > 1 or len(shape) != 3:
            return "auto"  # the first batch tells, or the user
        log.info("layout=%s inferred from the model's input %s", fitting[0], self._input.shape)
        return fitting[0]

    def _run(self, batch: NDArray[Any]) -> dict[str, Any]:
        names = [output.name for output in self._session.get_outputs()]
        arrays = self._session.run(None, {self._input.name: batch.astype(self._dtype, copy=False)})
        return dict(zip(names, arrays, strict=True))


def _fits(dims: tuple[int, ...], declared: list[Any]) -> bool:
    return len(declared) == len(dims) and all(
        have == want or not isinstance(want, int) or want <= 0 for have, want in zip(dims, declared, strict=True)
    )


def load(
    target: str,
    *,
    layout: str = "auto",
    range: str = "auto",  # noqa: A002 - the name of the option in a spec
    select: str = "",
    spread: str = "log_variance",
    flatten: str = "no",
) -> Encoder:
    """Run an ONNX model by onnxruntime, on the CPU.

    The target is an ``.onnx`` file; weights beside it in files of their own are
    found by onnxruntime.

    Options
    -------
    layout : auto, NCHW, NHWC or flat; default auto
        How images are handed over; auto reads it from the model's declared input.
    range : auto, 0..1, -1..1, 0..255, raw or MEAN,STD; default auto
        Range of pixels; auto is 0..1 for uint8 images and a model that takes
        floating-point numbers.
    select : text, default inferred where unambiguous
        Name of the output that holds the codes, ``z``; or of mean and log-variance,
        ``mu,logvar``; or how the one output holds both: ``halves``,
        ``interleaved``, ``log_variance_first``.
    spread : log_variance, log_std, std or variance; default log_variance
        What stands beside the mean.
    flatten : yes or no, default no
        Make each place of a map a code of its own.

    Example
    -------
    onnx:encoder.onnx?select=mu,logvar
    """
    with optional("onnxruntime", extra="onnx"):
        import onnxruntime
    settings: dict[str, Any] = {
        "layout": layout,
        "range": range,
        "select": select or None,
        "spread": spread,
        "flatten": yes_no("flatten", flatten),
    }
    file = existing_file(target, "the ONNX model")
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # errors alone: warnings about the graph are not the user's
    try:
        session = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its exceptions have no common base below Exception
        reason = str(error).partition("\n")[0]
        raise CorruptFileError(f"{file} is damaged, or no ONNX model: {reason}") from error
    encoder = OnnxEncoder(session, **settings)
    return Fingerprinted(encoder, fingerprint_of("onnx", _content_hashes(file), settings))


def _content_hashes(file: Path) -> list[str]:
    # Weights may lie in files beside the model, whose names the model holds as plain text.
    model = file.read_bytes()
    beside = [
        other
        for other in sorted(file.parent.iterdir())
        if other != file and other.is_file() and other.name.encode() in model
    ]
    return [sha256_of(path) for path in (file, *beside)]
