"""Importable Python objects as encoders."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from disentmetrics.encoders.registry import load_encoder
from disentmetrics.errors import EncoderError, InvalidInputError

SOURCE = """
import numpy as np

def encode(x):
    return x.reshape(len(x), -1)[:, :2] * 1.0

class Encoder:
    scale = 1.0
    def __call__(self, x):
        return encode(x) * self.scale

class Wide:
    inner = Encoder()

class Transformer:
    def transform(self, x): ...

def factory():
    return Encoder()

def failing():
    raise KeyError("weights")

instance = Encoder()
transformer = Transformer()
number = 3
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "mein Ordner 狐"
    (folder / "pkg_of_test").mkdir(parents=True)
    (folder / "pkg_of_test" / "__init__.py").touch()
    (folder / "pkg_of_test" / "mod.py").write_text(SOURCE)
    (folder / "my encoder.py").write_text(SOURCE)
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "path", [path for path in sys.path if path])
    monkeypatch.delitem(sys.modules, "pkg_of_test", raising=False)
    monkeypatch.delitem(sys.modules, "pkg_of_test.mod", raising=False)
    return folder


def codes_of(spec: str) -> Any:
    return np.asarray(load_encoder(spec)(np.arange(6, dtype=np.uint8).reshape(2, 3))).tolist()


@pytest.mark.parametrize("place", ["pkg_of_test.mod", "my encoder.py", "./my encoder.py"])
@pytest.mark.parametrize("name", ["encode", "instance", "Wide.inner", "Encoder?call=yes", "factory?call=yes"])
def test_any_callable_of_observations_is_an_encoder(place: str, name: str) -> None:
    assert codes_of(f"python:{place}:{name}") == [[0, 1], [3, 4]]


@pytest.mark.parametrize(
    ("name", "error", "words"),
    [
        ("Encoder", InvalidInputError, "is a class, not an encoder; .*call=yes"),
        ("factory", InvalidInputError, "is a function without arguments.*call=yes"),
        ("number", InvalidInputError, "must be callable; .* is a int$"),
        ("number?call=yes", InvalidInputError, "call=yes requires a function or class"),
        ("transformer", InvalidInputError, "must be callable; .*; wrap it in .*SklearnEncoder"),
        ("failing?call=yes", EncoderError, "failed when called: KeyError: 'weights'"),
        ("Wide?call=yes", InvalidInputError, "must be callable; .* is a Wide"),
        ("encod", InvalidInputError, "has no 'encod'; did you mean 'encode'"),
        ("encode?call=maybe", InvalidInputError, "call must be one of yes, no"),
    ],
)
def test_an_object_that_is_not_an_encoder_is_refused_with_what_to_do(
    name: str, error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        load_encoder(f"python:my encoder.py:{name}")


def test_a_torch_module_is_sent_to_its_scheme(folder: Path) -> None:
    pytest.importorskip("torch")
    (folder / "net.py").write_text("import torch\nmodel = torch.nn.Linear(3, 2)\n")
    with pytest.raises(InvalidInputError, match=r"specify it as torch:net\.py:model"):
        load_encoder("python:net.py:model")


def test_a_module_that_is_nowhere_is_named_with_the_folder_searched(folder: Path) -> None:
    with pytest.raises(InvalidInputError, match=r"no module is named 'no_such_module_x'.*mein Ordner"):
        load_encoder("python:no_such_module_x:encode")


def test_an_edited_file_is_read_again(folder: Path) -> None:
    (folder / "changing.py").write_text("def encode(x): return x * 1.0\n")
    assert codes_of("python:changing.py:encode")[0] == [0, 1, 2]
    (folder / "changing.py").write_text("def encode(x): return x * 10.0\n")
    assert codes_of("python:changing.py:encode")[0] == [0, 10, 20]
