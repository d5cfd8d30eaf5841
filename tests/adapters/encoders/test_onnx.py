"""ONNX models as encoders."""

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

pytest.importorskip("onnxruntime")
pytest.importorskip("onnx")

import onnx
from disentmetrics_adapters.encoders.onnx import OnnxEncoder

from disentmetrics.encoders.protocol import Posterior
from disentmetrics.encoders.registry import load_encoder
from disentmetrics.errors import CorruptFileError, EncoderError, InvalidInputError

Images = NDArray[np.uint8]
FLOAT = onnx.TensorProto.FLOAT


def save_model(
    path: Path,
    shape: list[Any],
    outputs: dict[str, list[tuple[str, dict[str, Any]]]],
    dtype: int = FLOAT,
    constants: dict[str, Any] | None = None,
) -> str:
    """Write a model whose outputs are chains of operators on its input ``x``."""
    nodes, results = [], []
    for name, chain in outputs.items():
        last = "x"
        for step, (operator, settings) in enumerate(chain):
            result = name if step == len(chain) - 1 else f"{name}{step}"
            attributes = dict(settings)
            inputs = [last, *attributes.pop("inputs", [])]
            nodes.append(onnx.helper.make_node(operator, inputs, [result], **attributes))
            last = result
        results.append(onnx.helper.make_tensor_value_info(name, FLOAT, None))
    graph = onnx.helper.make_graph(
        nodes,
        "encoder",
        [onnx.helper.make_tensor_value_info("x", dtype, shape)],
        results,
        [onnx.numpy_helper.from_array(np.asarray(value), key) for key, value in (constants or {}).items()],
    )
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)])
    model.ir_version = 8
    onnx.save(model, path)
    return f"onnx:{path}"


FLAT: list[tuple[str, dict[str, Any]]] = [("Flatten", {})]


def codes_of(spec: str, observations: Any) -> NDArray[Any]:
    codes: Any = load_encoder(spec)(observations)
    return np.asarray(codes)


@pytest.mark.parametrize("size", [1, 3, 128])
def test_a_fixed_batch_size_is_padded_and_trimmed(
    tmp_path: Path, images: Images, size: int, caplog: pytest.LogCaptureFixture
) -> None:
    spec = save_model(tmp_path / "m.onnx", [size, 3, 8, 6], {"z": FLAT})
    with caplog.at_level(logging.INFO, "disentmetrics"):
        codes = codes_of(spec, images)
    np.testing.assert_allclose(codes, images.transpose(0, 3, 1, 2).reshape(5, -1) / np.float32(255))
    assert f"a fixed batch size of {size}" in caplog.text


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        (["n", 3, 8, 6], lambda images: images.transpose(0, 3, 1, 2)),
        (["n", 8, 6, 3], lambda images: images),
        (["n", "h", "w", 3], lambda images: images),
        ([None, 3, None, None], lambda images: images.transpose(0, 3, 1, 2)),
        (["n", 144], lambda images: images),
        (["n", "features"], lambda images: images),
    ],
)
def test_the_layout_is_read_from_the_declared_input(
    tmp_path: Path, images: Images, shape: list[Any], expected: Any
) -> None:
    spec = save_model(tmp_path / "m.onnx", shape, {"z": FLAT})
    by_hand = expected(images).reshape(5, -1) / np.float32(255)
    np.testing.assert_allclose(codes_of(spec, images), by_hand)


def test_a_declared_input_that_leaves_two_layouts_must_be_resolved_by_the_user(tmp_path: Path, images: Images) -> None:
    spec = save_model(tmp_path / "m.onnx", ["n", "a", "b", "c"], {"z": FLAT})
    with pytest.raises(InvalidInputError, match="NCHW, NHWC and gives different codes"):
        load_encoder(spec)(images)
    assert codes_of(f"{spec}?layout=NHWC", images).shape == (5, 144)


@pytest.mark.parametrize("shape", [["n", 3, 9, 9], ["n", 7], ["n", 4, 4]])
def test_observations_that_fit_in_no_layout_are_named(tmp_path: Path, images: Images, shape: list[Any]) -> None:
    spec = save_model(tmp_path / "m.onnx", shape, {"z": FLAT})
    with pytest.raises(InvalidInputError, match=r"observations of shape \(8, 6, 3\) do not fit it in any layout"):
        load_encoder(spec)(images)


def test_sequences_and_tables_are_accepted_unchanged(tmp_path: Path) -> None:
    spec = save_model(tmp_path / "m.onnx", ["n", 4, 3], {"z": FLAT})
    sequences = np.arange(24.0).reshape(2, 4, 3)
    assert (codes_of(spec, sequences) == sequences.reshape(2, 12)).all()
    with pytest.raises(InvalidInputError, match="do not fit it in any layout"):
        load_encoder(spec)(sequences[:, :2])


@pytest.mark.parametrize(
    ("dtype", "factor"),
    [
        (onnx.TensorProto.UINT8, 1),
        (onnx.TensorProto.INT64, 1),
        (onnx.TensorProto.DOUBLE, 1 / 255),
        (onnx.TensorProto.FLOAT16, 1 / 255),
    ],
)
def test_the_number_type_is_read_from_the_model(tmp_path: Path, images: Images, dtype: int, factor: float) -> None:
    chain = [("Cast", {"to": FLOAT}), ("Flatten", {})]
    spec = save_model(tmp_path / "m.onnx", ["n", 8, 6, 3], {"z": chain}, dtype)
    np.testing.assert_allclose(codes_of(spec, images), images.reshape(5, -1) * factor, rtol=1e-3)


def test_a_model_that_takes_integers_takes_no_other_range(tmp_path: Path) -> None:
    spec = save_model(tmp_path / "m.onnx", ["n", 3], {"z": [("Cast", {"to": FLOAT})]}, onnx.TensorProto.UINT8)
    with pytest.raises(InvalidInputError, match=r"range \(the model expects uint8\) must be one of auto, raw"):
        load_encoder(f"{spec}?range=0..1")


def test_outputs_are_named_by_select(tmp_path: Path) -> None:
    outputs: dict[str, Any] = {"enc/mean:0": [("Identity", {})], "enc/lv.1": [("Neg", {})], "recon": [("Exp", {})]}
    spec = save_model(tmp_path / "m.onnx", ["n", 3], outputs)
    table = np.arange(6, dtype=np.float32).reshape(2, 3)
    codes: Any = load_encoder(f"{spec}?select=enc/mean:0,enc/lv.1&spread=log_variance")(table)
    assert isinstance(codes, Posterior)
    assert (codes.mean == table).all()
    assert (codes.log_variance == -table).all()
    assert (codes_of(f"{spec}?select=enc/lv.1", table) == -table).all()
    with pytest.raises(InvalidInputError, match=r"enc/mean:0: array.*select=enc/mean:0,enc/lv.1&spread=SPREAD"):
        load_encoder(spec)(table)
    with pytest.raises(InvalidInputError, match=r"there is no 'z'.*enc/mean:0"):
        load_encoder(f"{spec}?select=z")(table)


def test_a_standard_deviation_is_not_read_as_a_log_variance(tmp_path: Path) -> None:
    outputs: dict[str, Any] = {"enc/sigma:0": [("Exp", {})], "enc/mu:0": [("Identity", {})]}
    spec = save_model(tmp_path / "m.onnx", ["n", 3], outputs)
    table = np.arange(6, dtype=np.float32).reshape(2, 3)
    with pytest.raises(InvalidInputError, match="or select=enc/mu:0,enc/sigma:0&spread=std for mean and standard dev"):
        load_encoder(spec)(table)
    with pytest.raises(InvalidInputError, match="use select=enc/mu:0,enc/sigma:0&spread=std"):
        load_encoder(f"{spec}?select=enc/mu:0,enc/sigma:0")(table)
    codes: Any = load_encoder(f"{spec}?select=enc/mu:0,enc/sigma:0&spread=std")(table)
    np.testing.assert_allclose(codes.log_variance, 2 * table, rtol=1e-6)


def test_outputs_with_known_names_are_inferred(tmp_path: Path) -> None:
    spec = save_model(tmp_path / "m.onnx", ["n", 3], {"z_mean": [("Identity", {})], "z_log_var": [("Neg", {})]})
    assert isinstance(load_encoder(spec)(np.ones((2, 3), np.float32)), Posterior)


@pytest.mark.parametrize("select", ["interleaved", "z.interleaved"])
def test_one_output_that_contains_both_is_split(tmp_path: Path, select: str) -> None:
    spec = save_model(tmp_path / "m.onnx", ["n", 4], {"z": [("Identity", {})]})
    codes: Any = load_encoder(f"{spec}?select={select}")(np.array([[0, 1, 2, 3]], np.float32))
    assert codes.mean.tolist() == [[0, 2]]
    assert codes.log_variance.tolist() == [[1, 3]]


def test_maps_are_flattened_on_request(tmp_path: Path, images: Images) -> None:
    spec = save_model(tmp_path / "m.onnx", ["n", 3, 8, 6], {"z": [("Relu", {})]})
    with pytest.raises(InvalidInputError, match="use flatten=yes"):
        load_encoder(f"{spec}?select=z")(images)
    assert codes_of(f"{spec}?flatten=yes&select=z", images).shape == (5, 144)


def test_a_live_session_is_an_encoder_too(tmp_path: Path) -> None:
    import onnxruntime

    save_model(tmp_path / "m.onnx", ["n", 3], {"z": [("Neg", {})]})
    session = onnxruntime.InferenceSession(tmp_path / "m.onnx", providers=["CPUExecutionProvider"])
    codes = OnnxEncoder(session)(np.ones((2, 3), np.float32))
    assert np.array_equal(np.asarray(codes), -np.ones((2, 3)))


def test_a_model_with_two_inputs_is_refused(tmp_path: Path) -> None:
    spec = save_model(tmp_path / "m.onnx", ["n", 3], {"z": [("Neg", {})]})
    model = onnx.load(tmp_path / "m.onnx")
    model.graph.input.append(onnx.helper.make_tensor_value_info("noise", FLOAT, ["n", 3]))
    onnx.save(model, tmp_path / "m.onnx")
    with pytest.raises(InvalidInputError, match=r"one input.*noise"):
        load_encoder(spec)


def test_a_model_that_fails_is_an_encoder_error(tmp_path: Path) -> None:
    chain = [("Reshape", {"inputs": ["size"]})]
    spec = save_model(tmp_path / "m.onnx", ["n", 3], {"z": chain}, constants={"size": np.array([7, 7], np.int64)})
    with pytest.raises(EncoderError, match=r"failed on a batch of shape \(2, 3\)"):
        load_encoder(spec)(np.ones((2, 3), np.float32))


@pytest.mark.parametrize("content", [b"", b"hello", None])
def test_a_damaged_model_is_named(tmp_path: Path, content: bytes | None) -> None:
    spec = save_model(tmp_path / "ein Modell 狐.onnx", ["n", 3], {"z": [("Neg", {})]})
    file = tmp_path / "ein Modell 狐.onnx"
    file.write_bytes(file.read_bytes()[:60] if content is None else content)
    with pytest.raises(CorruptFileError, match="is damaged, or not an ONNX model"):
        load_encoder(spec)


def test_a_model_that_does_not_exist_is_named() -> None:
    with pytest.raises(InvalidInputError, match=r"the ONNX model must be a file; 'no\.onnx' does not exist"):
        load_encoder("onnx:no.onnx")


def test_weights_next_to_the_model_are_in_its_fingerprint(tmp_path: Path) -> None:
    chain = [("Mul", {"inputs": ["w"]})]
    weights = np.arange(3, dtype=np.float32)
    spec = save_model(tmp_path / "m.onnx", ["n", 3], {"z": chain}, constants={"w": weights})
    onnx.save(
        onnx.load(tmp_path / "m.onnx"),
        tmp_path / "m.onnx",
        save_as_external_data=True,
        location="m.data",
        size_threshold=0,
    )
    (tmp_path / "unrelated").write_text("x")
    before: Any = load_encoder(spec)
    assert codes_of(spec, np.ones((1, 3), np.float32)).tolist() == [[0, 1, 2]]
    (tmp_path / "unrelated").write_text("y")
    assert load_encoder(spec).fingerprint == before.fingerprint  # type: ignore[attr-defined]  # it carries one
    (tmp_path / "m.data").write_bytes((weights + 1).tobytes())
    assert load_encoder(spec).fingerprint != before.fingerprint  # type: ignore[attr-defined]  # it carries one
    assert before.fingerprint != load_encoder(f"{spec}?range=0..1").fingerprint  # type: ignore[attr-defined]  # it carries one
