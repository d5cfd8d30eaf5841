"""Scheme ``onnx``: a model file run by onnxruntime; ``OnnxEncoder`` wraps a live session."""

import math
import os
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

    Batches are padded and trimmed if the model has a fixed batch size. The data type, and the layout where the declared
    input shape determines it, are read from the model.

    Parameters
    ----------
    session : onnxruntime.InferenceSession
        Session with a single input without a default.
    layout : {"auto", "NCHW", "NHWC", "flat"}
        Order of axes of the images that the model expects.
    range : str
        ``auto``, ``0..1``, ``-1..1``, ``0..255``, ``raw`` or ``MEAN,STD``; ``auto`` is ``raw`` for a
        model with integer input.
    select : str, optional
        Name of the output with the codes, or names of mean and log-variance: ``mu,logvar``.
    spread : {"log_variance", "log_std", "std", "variance"}, optional
        Measure of spread that the model returns with the mean; ``log_variance`` by default, which is refused where
        the output has another name.
    flatten : bool
        Whether each position of a feature map is a separate latent.

    Raises
    ------
    InvalidInputError
        If input or output is ambiguous; the message names the option that resolves it.
    """

    def __init__(
        self,
        session: Any,
        *,
        layout: str = "auto",
        range: str = "auto",  # noqa: A002 - the name of the option in a spec
        select: str | None = None,
        spread: str | None = None,
        flatten: bool = False,
    ) -> None:
        inputs = session.get_inputs()
        if len(inputs) != 1:
            raise InvalidInputError(
                "a model must have one input, the observations; this one has "
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
                log.info("the model has a fixed batch size of %d; batches are padded and trimmed", size)
            inputs = InputConvention(layout, self._inputs.range)
            self._pipeline = Pipeline(self._run, inputs, self._outputs, batch_size=size)
        return self._pipeline(observations)

    @property
    def categorical_codes(self) -> tuple[bool, ...]:
        """Which latents are categorical, after the first batch; empty if none is."""
        return self._pipeline.categorical_codes if self._pipeline else ()

    def _range(self, requested: str) -> str:
        if np.issubdtype(self._dtype, np.floating):
            return requested
        choice(f"range (the model expects {self._dtype})", requested, ("auto", "raw"))
        return "raw"

    def _layout(self, shape: tuple[int, ...]) -> str:
        declared = self._input.shape[1:]
        if not self._input.shape:
            return "auto"  # the model declares no shape
        possible = {"auto": shape}
        if len(shape) == 3:
            height, width, channels = shape
            possible = {"NCHW": (channels, height, width), "NHWC": shape, "flat": (math.prod(shape),)}
        fitting = [layout for layout, dims in possible.items() if _fits(dims, declared)]
        if not fitting:
            raise InvalidInputError(
                f"the model expects {self._input.name} of shape {self._input.shape}; observations of shape {shape} "
                "do not fit it in any layout"
            )
        if len(fitting) > 1 or len(shape) != 3:
            return "auto"  # the first batch decides, or the user must
        log.info("layout=%s inferred from the model's input %s", fitting[0], self._input.shape)
        return fitting[0]

    def _run(self, batch: NDArray[Any]) -> dict[str, Any]:
        names = [output.name for output in self._session.get_outputs()]
        arrays = self._session.run(None, {self._input.name: batch.astype(self._dtype, copy=False)})
        return dict(zip(names, arrays, strict=True))


def _fits(dims: tuple[int, ...], declared: list[Any]) -> bool:
    return len(declared) == len(dims) and all(
        size == fixed or not isinstance(fixed, int) or fixed <= 0 for size, fixed in zip(dims, declared, strict=True)
    )


def load(
    target: str,
    *,
    layout: str = "auto",
    range: str = "auto",  # noqa: A002 - the name of the option in a spec
    select: str = "",
    spread: str = "",
    flatten: str = "no",
) -> Encoder:
    """Run an ONNX model by onnxruntime, on the CPU.

    The target is an ``.onnx`` file; onnxruntime loads external weights from files
    next to it.

    Options
    -------
    layout : auto, NCHW, NHWC or flat; default auto
        Order of axes of images; auto reads it from the model's declared input.
    range : auto, 0..1, -1..1, 0..255, raw or MEAN,STD; default auto
        Pixel range; auto is 0..1 for uint8 images and a model with floating-point
        input.
    select : text, default inferred where unambiguous
        Name of the output with the codes, ``z``; names of mean and log-variance,
        ``mu,logvar``; or the arrangement of both in a single output: ``halves``,
        ``interleaved``, ``log_variance_first``.
    spread : log_variance, log_std, std or variance; default log_variance
        Measure of spread that is returned with the mean. It must be given where the
        output has another name than that of a log-variance: ``select=mu,std&spread=std``.
    flatten : yes or no, default no
        Make each position of a feature map a separate latent.

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
        "spread": spread or None,
        "flatten": yes_no("flatten", flatten),
    }
    file = existing_file(target, "the ONNX model")
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # errors only: users cannot act on warnings about the graph
    try:
        session = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # exceptions of onnxruntime have no common base class
        reason = str(error).partition("\n")[0]
        raise CorruptFileError(f"{file} is damaged, or not an ONNX model: {reason}") from error
    encoder = OnnxEncoder(session, **settings)
    return Fingerprinted(encoder, fingerprint_of("onnx", _content_hashes(file), settings))


def _content_hashes(file: Path) -> list[str]:
    # External weights are files next to the model, whose names it contains as plain text.
    model = file.read_bytes()
    external = [
        other
        for other in sorted(file.parent.iterdir())
        if other != file and other.is_file() and os.fsencode(other.name) in model
    ]
    return [sha256_of(path) for path in (file, *external)]
