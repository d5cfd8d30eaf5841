"""Specs of encoders, discovery of schemes, loading and closing."""

import sys
from collections.abc import Iterator
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import pytest
from disentmetrics_adapters import encoders
from hypothesis import given, strategies as st
from numpy.typing import NDArray

from disentmetrics.encoders import registry as adapter_module
from disentmetrics.encoders.registry import (
    GROUP,
    Adapter,
    EncoderSpec,
    Fingerprinted,
    find_adapters,
    load_adapter,
    load_encoder,
    open_encoder,
)
from disentmetrics.errors import InvalidInputError, MissingExtraError

SCHEMES = {"python", "torch", "torchscript", "onnx", "sklearn", "exec", "table", "baseline"}


@pytest.mark.parametrize(
    ("spec", "target", "options"),
    [
        ("baseline:pca", "pca", {}),
        ("baseline:pca?n_codes=6&n_fit=100", "pca", {"n_codes": "6", "n_fit": "100"}),
        (r"torch:C:\models\m.py:build?weights=D:\w.pt", r"C:\models\m.py:build", {"weights": r"D:\w.pt"}),
        ("torch:my model.py:build?weights=w eights.pt", "my model.py:build", {"weights": "w eights.pt"}),
        ("torch:m.py:b?weights=really?.pt", "m.py:b", {"weights": "really?.pt"}),
        ("onnx:what?.onnx", "what?.onnx", {}),
        ("onnx:what?.onnx?select=z", "what?.onnx", {"select": "z"}),
        ("onnx:a%3Fb=c.onnx", "a?b=c.onnx", {}),
        ("onnx:100%.onnx", "100%.onnx", {}),
        ("onnx:Modell für Füchse 狐.onnx", "Modell für Füchse 狐.onnx", {}),
        ("torch:m:b?weights=f%C3%BCr%20%26%20wider.pt", "m:b", {"weights": "für & wider.pt"}),
        ("torch:m:b?weights=a+b.pt", "m:b", {"weights": "a+b.pt"}),
        ("torch:m:b?select=a=b", "m:b", {"select": "a=b"}),
        ("exec:python enc.py --flag 'a b'?timeout=5", "python enc.py --flag 'a b'", {"timeout": "5"}),
    ],
)
def test_a_spec_is_split_into_scheme_target_and_options(spec: str, target: str, options: dict[str, str]) -> None:
    parsed = EncoderSpec.parse(spec)
    assert (parsed.target, parsed.options) == (target, options)


@given(value=st.text(min_size=1))
def test_any_value_survives_percent_encoding(value: str) -> None:
    try:
        quoted = quote(value, safe="")
    except UnicodeEncodeError:  # half a surrogate pair is not valid text
        return
    assert EncoderSpec.parse(f"torch:m.py:b?weights={quoted}").options == {"weights": value}


@pytest.mark.parametrize("spec", ["", "model.onnx", ":x", "onnx:", "torch:?weights=w.pt"])
def test_an_invalid_spec_is_refused_with_the_form(spec: str) -> None:
    with pytest.raises(InvalidInputError, match="scheme:target"):
        EncoderSpec.parse(spec)


def test_an_option_given_twice_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="'a' is given twice: '1' and '2'"):
        EncoderSpec.parse("s:t?a=1&a=2")


def test_an_option_without_value_is_refused() -> None:
    with pytest.raises(InvalidInputError, match=r"key=value.*got 'strict'"):
        EncoderSpec.parse("s:t?a=1&strict")


def test_all_bundled_schemes_are_found_and_documented() -> None:
    found = find_adapters()
    assert set(found) >= SCHEMES
    for scheme in SCHEMES:
        adapter = found[scheme]()
        assert adapter.origin == "disentmetrics"
        assert adapter.summary.endswith(".")
        assert f"{scheme}:" in adapter.help  # an example


def test_an_unknown_scheme_suggests_the_nearest() -> None:
    with pytest.raises(InvalidInputError, match="'baselin'; did you mean 'baseline'"):
        load_adapter("baselin")


def test_an_unknown_option_suggests_the_nearest() -> None:
    with pytest.raises(InvalidInputError, match=r"no option 'n_code'; did you mean 'n_codes'.*fingerprint"):
        load_encoder("baseline:random?n_code=3")


def test_a_device_is_an_option_of_schemes_that_have_one(monkeypatch: pytest.MonkeyPatch) -> None:
    def load(target: str, *, device: str = "cpu") -> Any:
        return lambda images: np.full((len(images), 1), int(device.partition(":")[2] or 0))

    with pytest.raises(
        InvalidInputError, match=r"baseline has no option device, so device \(--device\) does not apply"
    ):
        load_encoder("baseline:random", device="cuda")
    monkeypatch.setattr(adapter_module, "load_adapter", lambda scheme: Adapter(scheme, "tests", load))
    assert np.array_equal(np.asarray(load_encoder("mine:x", device="cuda:3")(np.zeros((2, 4)))), [[3], [3]])
    with pytest.raises(InvalidInputError, match="the device is given twice: device=cpu and cuda"):
        load_encoder("mine:x?device=cpu", device="cuda")


def test_context_cannot_be_set_by_a_spec() -> None:
    with pytest.raises(InvalidInputError, match="sklearn has no option 'trust_pickle'"):
        load_encoder("sklearn:pca.pkl?trust_pickle=yes")


def test_a_needed_option_that_is_not_given_is_named() -> None:
    with pytest.raises(InvalidInputError, match="torch needs the option 'weights'"):
        load_encoder("torch:m.py:build")


def test_a_fingerprint_in_the_spec_wins_and_keeps_the_encoder_s_attributes(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        "class E:\n    reads_factors = True\n    def __call__(self, x):\n        return x * 2.0\ne = E()\n"
    )
    encoder = load_encoder(f"python:{tmp_path / 'mine.py'}:e?fingerprint=mine-v2")
    assert isinstance(encoder, Fingerprinted)
    assert encoder.fingerprint == "mine-v2"
    assert encoder.reads_factors
    assert encoder(np.ones((1, 2))).tolist() == [[2.0, 2.0]]  # type: ignore[union-attr]  # codes, no posterior
    assert not hasattr(load_encoder(f"python:{tmp_path / 'mine.py'}:e"), "fingerprint")
    assert not hasattr(encoder, "no_such_attribute")


def test_an_empty_fingerprint_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="fingerprint must name"):
        load_encoder("baseline:random?fingerprint=")


def _with_entry_points(monkeypatch: pytest.MonkeyPatch, *entry_points: EntryPoint) -> None:
    monkeypatch.setattr(adapter_module, "entry_points", lambda **_: entry_points)


def test_two_packages_with_one_scheme_stop_that_scheme_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    _with_entry_points(
        monkeypatch,
        EntryPoint("bundled", "disentmetrics_adapters.encoders", GROUP),
        EntryPoint("baseline", "somewhere:load", GROUP),
    )
    with pytest.raises(InvalidInputError, match="two installed packages offer the encoder scheme 'baseline'"):
        load_adapter("baseline")
    assert load_adapter("exec").scheme == "exec"


@pytest.mark.parametrize(
    ("value", "error", "words"),
    [
        ("no_such_package_x:load", MissingExtraError, "cannot be imported: No module named"),
        ("json:no_such_function", InvalidInputError, "must be a function"),
    ],
)
def test_a_broken_adapter_is_named_and_does_not_disturb_others(
    monkeypatch: pytest.MonkeyPatch, value: str, error: type[Exception], words: str
) -> None:
    _with_entry_points(
        monkeypatch, EntryPoint("mine", value, GROUP), EntryPoint("bundled", "disentmetrics_adapters.encoders", GROUP)
    )
    assert load_adapter("baseline").scheme == "baseline"
    with pytest.raises(error, match=f"adapter 'mine'.*{words}"):
        load_adapter("mine")


TINY = '''
def load(target, *, times="1"):
    """Brightness of an image."""
    return lambda images: images.mean(axis=(1, 2)) * float(times)
'''


def _codes(spec: str) -> list[list[float]]:
    codes: list[list[float]] = np.asarray(load_encoder(spec)(np.full((2, 4, 4, 1), 7, np.uint8))).tolist()
    return codes


def test_a_file_in_the_folder_of_schemes_is_a_scheme(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "tiny.py").write_text(TINY)
    (tmp_path / "broken.py").write_text("1 / 0\n")
    (tmp_path / "lacking.py").write_text("import a_package_that_is_lost\n")
    (tmp_path / "empty.py").write_text("")
    (tmp_path / "_private.py").write_text("")
    monkeypatch.setattr(encoders, "__path__", [*encoders.__path__, str(tmp_path)])
    before = set(sys.modules)
    try:
        assert _codes("tiny:x") == [[7.0], [7.0]]
        assert _codes("tiny:x?times=2") == [[14.0], [14.0]]
        assert load_adapter("tiny").summary == "Brightness of an image."
        assert "_private" not in find_adapters()
        for scheme, error, words in (
            ("broken", InvalidInputError, "cannot be imported: ZeroDivisionError: division by zero"),
            ("lacking", MissingExtraError, "cannot be imported: No module named 'a_package_that_is_lost'"),
            (
                "empty",
                InvalidInputError,
                r"must be a function, or a module with a function load\(target, \*\*options\)",
            ),
        ):
            with pytest.raises(error, match=words):
                load_adapter(scheme)
    finally:
        for name in set(sys.modules) - before:
            if name.startswith("disentmetrics_adapters.encoders."):
                del sys.modules[name]


@pytest.fixture
def third_party(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An installed package with a folder of schemes and a function, next to two broken ones."""
    package = tmp_path / "other_encoders"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "tiny.py").write_text(TINY)
    (tmp_path / "broken_encoders.py").write_text("raise RuntimeError('out of order')\n")
    (tmp_path / "leaving_encoders.py").write_text("raise SystemExit('two\\nlines')\n")
    for name, lines in {
        "other": "family = other_encoders\nbright = other_encoders.tiny:load\nmodule = other_encoders.tiny:np\n",
        "broken": "broken = broken_encoders\nleaving = leaving_encoders\n"
        "nested = broken_encoders.schemes\nlost = no_such_package_x.schemes\n",
    }.items():
        info = tmp_path / f"{name}_encoders-1.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}-encoders\nVersion: 1\n")
        (info / "entry_points.txt").write_text(f"[{GROUP}]\n{lines}")
    monkeypatch.syspath_prepend(tmp_path)
    yield
    for name in [name for name in sys.modules if name.partition(".")[0] in {"other_encoders", "broken_encoders"}]:
        del sys.modules[name]


@pytest.mark.usefixtures("third_party")
def test_a_package_of_a_third_party_is_found_by_its_entry_point() -> None:
    assert {"tiny", "bright", "baseline"} <= set(find_adapters())
    assert load_adapter("bright").origin == load_adapter("tiny").origin == "other-encoders"
    for scheme in ("tiny", "bright"):
        assert _codes(f"{scheme}:x?times=2") == [[14.0], [14.0]]


@pytest.mark.usefixtures("third_party")
@pytest.mark.parametrize(
    ("scheme", "error", "words"),
    [
        ("broken", InvalidInputError, "'broken-encoders' cannot be imported: RuntimeError: out of order"),
        ("leaving", InvalidInputError, "'broken-encoders' cannot be imported: SystemExit: two lines$"),
        ("nested", InvalidInputError, "'broken-encoders' cannot be imported: RuntimeError: out of order"),
        ("lost", MissingExtraError, "cannot be imported: No module named 'no_such_package_x'"),
        ("module", InvalidInputError, "must be a function"),
    ],
)
def test_a_broken_package_of_a_third_party_affects_no_other(scheme: str, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        load_adapter(scheme)
    assert _codes("tiny:x") == [[7.0], [7.0]]
    assert load_adapter("baseline").scheme == "baseline"


class _Closing:
    def __init__(self) -> None:
        self.n_closed = 0

    def __call__(self, images: NDArray[Any]) -> NDArray[Any]:
        return images

    def close(self) -> None:
        self.n_closed += 1


def test_a_named_encoder_is_closed_and_a_live_one_stays_open(monkeypatch: pytest.MonkeyPatch) -> None:
    encoder, passed = _Closing(), dict[str, object]()

    def load(target: str, *, seed: int, data: Any, trust_pickle: bool) -> _Closing:
        passed.update(target=target, seed=seed, data=data, trust_pickle=trust_pickle)
        return encoder

    monkeypatch.setattr(adapter_module, "load_adapter", lambda scheme: Adapter(scheme, "tests", load))

    def interrupted() -> None:
        with open_encoder("mine:x", seed=3, trust_pickle=True) as opened:
            assert opened is encoder
            assert encoder.n_closed == 0
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert encoder.n_closed == 1
    assert passed == {"target": "x", "seed": 3, "data": None, "trust_pickle": True}
    with open_encoder(encoder) as opened:
        assert opened is encoder
    assert encoder.n_closed == 1
