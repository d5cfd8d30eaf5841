"""Specs of encoders, and how they find the function that loads them."""

import subprocess
import sys
import textwrap
from importlib.metadata import EntryPoint
from pathlib import Path
from urllib.parse import quote

import numpy as np
import pytest
from hypothesis import given, strategies as st

from disentmetrics.encoders import registry as adapter_module
from disentmetrics.encoders.registry import GROUP, EncoderSpec, Fingerprinted, find_adapters, load_adapter, load_encoder
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
def test_any_value_comes_back_from_percent_encoding(value: str) -> None:
    try:
        quoted = quote(value, safe="")
    except UnicodeEncodeError:  # half a surrogate pair is no text
        return
    assert EncoderSpec.parse(f"torch:m.py:b?weights={quoted}").options == {"weights": value}


@pytest.mark.parametrize("spec", ["", "model.onnx", ":x", "onnx:", "torch:?weights=w.pt"])
def test_what_is_no_spec_is_refused_with_the_form(spec: str) -> None:
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


def test_an_unknown_scheme_is_answered_by_the_nearest() -> None:
    with pytest.raises(InvalidInputError, match="'baselin'; did you mean 'baseline'"):
        load_adapter("baselin")


def test_an_unknown_option_is_answered_by_the_nearest() -> None:
    with pytest.raises(InvalidInputError, match=r"no option 'n_code'; did you mean 'n_codes'.*fingerprint"):
        load_encoder("baseline:random?n_code=3")


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


def test_a_package_of_a_third_party_is_found_by_its_entry_point(tmp_path: Path) -> None:
    package = tmp_path / "disentmetrics_brightness"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "_private.py").write_text("")
    (package / "brightness.py").write_text(
        textwrap.dedent('''
            def load(target, *, times="1"):
                """Brightness of an image."""
                return lambda images: images.mean(axis=(1, 2)) * float(times)
            ''')
    )
    info = tmp_path / "disentmetrics_brightness-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: disentmetrics-brightness\nVersion: 1\n")
    (info / "entry_points.txt").write_text(
        f"[{GROUP}]\nfamily = disentmetrics_brightness\nbright = disentmetrics_brightness.brightness:load\n"
    )
    program = """
        import numpy as np
        from disentmetrics.encoders.registry import find_adapters, load_adapter, load_encoder
        assert {"brightness", "bright", "baseline"} <= set(find_adapters()), find_adapters()
        assert "_private" not in find_adapters()
        assert load_adapter("bright").origin == "disentmetrics-brightness"
        images = np.full((2, 4, 4, 1), 7, np.uint8)
        for scheme in ("brightness", "bright"):
            assert (load_encoder(f"{scheme}:any?times=2")(images) == 14).all()
    """
    subprocess.run(
        [
            sys.executable,
            "-c",
            f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n{textwrap.dedent(program)}",
        ],
        check=True,
        timeout=120,
    )
