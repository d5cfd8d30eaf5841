"""PyTorch modules as encoders: module files, weights, conventions, modes, devices."""

import logging
import os
import pickle
import subprocess
import sys
import textwrap
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

pytest.importorskip("torch")

import torch
from disentmetrics_adapters.encoders.torch import TorchEncoder
from torch import nn

import disentmetrics as dm
from disentmetrics.encoders.protocol import Posterior
from disentmetrics.encoders.registry import load_encoder
from disentmetrics.errors import (
    CorruptFileError,
    EncoderError,
    InvalidInputError,
    UntrustedFileError,
)

Images = NDArray[np.uint8]

MODEL = """
import torch
from torch import nn

class VAE(nn.Module):
    def __init__(self):
        super().__init__()
        self.convolution = nn.Conv2d(3, 4, 3)
        self.head = nn.Linear(4 * 6 * 4, 6)
        self.decoder = nn.Linear(3, 144)
    def encode(self, images):
        hidden = self.convolution(images).relu().flatten(1)
        return self.head(hidden)

def build():
    return VAE()
"""


class Joint(nn.Module):
    """Two continuous latents and a category, as of a joint VAE."""

    def forward(self, images: torch.Tensor) -> dict[str, Any]:
        brightness = images.mean((1, 2, 3))
        return {"continuous": [torch.stack([brightness, -brightness], 1)], "logits": 8 * images[:, 0, 0, :3]}


def test_a_categorical_block_reaches_the_metrics_as_such() -> None:
    data = dm.load_dataset("rooms")
    encoder = TorchEncoder(Joint(), layout="NCHW", select="continuous.0+logits.argmax")
    representation = dm.encode(encoder, data, n_samples=64)
    assert representation.categorical_codes.tolist() == [False, False, True]
    assert set(np.unique(representation.codes[:, 2])) <= {0.0, 1.0, 2.0}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A module file with its weights, in a folder with a difficult name."""
    folder = tmp_path / "ein Ordner für Füchse 狐"
    folder.mkdir()
    (folder / "model.py").write_text(MODEL)
    namespace: dict[str, Any] = {}
    exec(MODEL, namespace)
    torch.manual_seed(0)
    torch.save(namespace["build"]().state_dict(), folder / "w.pt")
    return folder


def mean_of(codes: Any) -> NDArray[Any]:
    return np.asarray(codes.mean if isinstance(codes, Posterior) else codes)


class Noisy(nn.Module):
    """Batch normalisation and dropout in the path of the mean."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(3, 4, 3)
        self.norm = nn.BatchNorm2d(4)
        self.norm.register_buffer("running_mean", torch.full((4,), 0.3))
        self.head = nn.Sequential(nn.Flatten(), nn.Linear(96, 3), nn.Dropout(0.5))

    def forward(self, images: Any) -> Any:
        assert not torch.is_grad_enabled()
        return self.head(self.norm(self.convolution(images)))


# Live modules


def test_batch_norm_and_dropout_are_off_and_every_mode_is_restored(images: Images) -> None:
    module = Noisy().train()
    module.norm.eval()
    modes = [part.training for part in module.modules()]
    statistics = {name: value.clone() for name, value in module.state_dict().items()}
    encoder = TorchEncoder(module, select="whole")
    codes = mean_of(encoder(images))
    assert (codes == mean_of(encoder(images))).all()
    assert [part.training for part in module.modules()] == modes
    assert all((module.state_dict()[name] == value).all() for name, value in statistics.items())
    with torch.no_grad():
        by_hand = module.eval()(torch.tensor(images.transpose(0, 3, 1, 2) / 255).float())
    np.testing.assert_allclose(codes, by_hand, atol=1e-6)


def test_modes_are_restored_after_a_failure(images: Images) -> None:
    module = Noisy().train()
    with pytest.raises(EncoderError):
        TorchEncoder(module, layout="flat")(images)
    assert all(part.training for part in module.modules())


def test_gradients_still_flow_in_the_live_module_afterwards(images: Images) -> None:
    module = nn.Sequential(nn.Flatten(), nn.Linear(144, 3))
    TorchEncoder(module, layout="NCHW")(images)
    module(torch.ones(2, 144)).sum().backward()
    assert module[1].weight.grad is not None


def test_permuted_images_reach_the_module_contiguous(images: Images) -> None:
    class Views(nn.Module):
        def forward(self, images: Any) -> Any:
            assert images.dtype == torch.float32
            return images.view(len(images), -1)[:, :3]  # fails for a permuted view

    codes = mean_of(TorchEncoder(Views(), layout="NCHW")(images))
    np.testing.assert_allclose(codes, images[:, 0, :3, 0] / np.float32(255))


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16])
def test_the_module_gets_its_own_number_type_and_numpy_one_it_knows(dtype: Any) -> None:
    module = nn.Linear(3, 2).to(dtype)
    codes = mean_of(TorchEncoder(module, select="whole")(np.ones((4, 3), np.float32)))
    assert codes.dtype == (np.float64 if dtype == torch.float64 else np.float32)


def test_a_module_that_alters_its_input_leaves_the_observations_alone() -> None:
    class InPlace(nn.Module):
        def forward(self, table: Any) -> Any:
            return table.mul_(2)

    table = np.ones((4, 3), np.float32)
    TorchEncoder(InPlace())(table)
    assert (table == 1).all()


class Both(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Linear(3, 3)

    def encode(self, table: Any) -> Any:
        return -self.encoder(table)

    def forward(self, table: Any) -> Any:
        return table


def test_the_method_is_inferred_only_if_there_is_one(caplog: pytest.LogCaptureFixture) -> None:
    table = np.eye(3, dtype=np.float32)
    with pytest.raises(InvalidInputError, match=r"both encode and encoder.*method=encode or method=encoder"):
        TorchEncoder(Both())
    one, other = (mean_of(TorchEncoder(module, method=m)(table)) for module in [Both()] for m in ("encode", "encoder"))
    assert (one == -other).all()
    assert (mean_of(TorchEncoder(Both(), method="forward")(table)) == table).all()
    with caplog.at_level(logging.INFO, "disentmetrics"):
        only = nn.ModuleDict({"encoder": nn.Linear(3, 1)})
        assert mean_of(TorchEncoder(only)(table)).shape == (3, 1)
    assert "method=encoder inferred" in caplog.text
    assert mean_of(TorchEncoder(nn.ModuleDict({"net": only}), method="net.encoder")(table)).shape == (3, 1)


def test_an_unknown_method_lists_the_available_ones() -> None:
    with pytest.raises(InvalidInputError, match=r"no method 'encod'.*encoder"):
        TorchEncoder(Both(), method="encod")


def test_forward_hooks_run() -> None:
    module = nn.Linear(3, 2)
    seen: list[Any] = []
    module.register_forward_hook(lambda *arguments: seen.append(arguments))
    TorchEncoder(module, select="whole")(np.ones((4, 3), np.float32))
    assert seen


def test_torch_distributions_give_a_posterior() -> None:
    class Head(nn.Module):
        def forward(self, table: Any) -> Any:
            normal = torch.distributions.Normal(table, table.exp())
            return torch.distributions.Independent(normal, 1)

    codes = TorchEncoder(Head())(np.full((4, 3), 0.5, np.float32))
    assert isinstance(codes, Posterior)
    np.testing.assert_allclose(codes.log_variance, 1, atol=1e-6)

    class Simplex(nn.Module):
        def forward(self, table: Any) -> Any:
            return torch.distributions.Categorical(logits=table)

    with pytest.raises(InvalidInputError, match="Categorical"):
        TorchEncoder(Simplex())(np.ones((4, 3), np.float32))
    assert mean_of(TorchEncoder(Simplex(), select="probs")(np.ones((4, 3), np.float32))).shape == (4, 3)


def test_a_batch_size_written_into_the_module_is_respected() -> None:
    class Fixed(nn.Module):
        def forward(self, table: Any) -> Any:
            return table.view(4, 3)

    table = np.arange(30, dtype=np.float32).reshape(10, 3)
    assert (mean_of(TorchEncoder(Fixed(), batch_size=4)(table)) == table).all()


def test_something_else_than_a_module_is_refused() -> None:
    with pytest.raises(InvalidInputError, match=r"must be a torch\.nn\.Module; got a function"):
        TorchEncoder(mean_of)


def test_a_device_that_does_not_exist_is_refused() -> None:
    with pytest.raises(InvalidInputError, match=r"device cuda:77 is not available"):
        TorchEncoder(nn.Linear(3, 2), device="cuda:77")


# Module files and weights


def test_a_module_file_and_its_weights_give_the_codes_of_the_module(folder: Path, images: Images) -> None:
    encoder = load_encoder(f"torch:{folder}/model.py:build?weights={folder}/w.pt&select=halves&range=-1..1")
    codes = encoder(images)
    assert isinstance(codes, Posterior)
    namespace: dict[str, Any] = {}
    exec(MODEL, namespace)
    module = namespace["build"]()
    module.load_state_dict(torch.load(folder / "w.pt", weights_only=True))
    with torch.no_grad():
        expected = module.encode(torch.tensor(images.transpose(0, 3, 1, 2) / 127.5 - 1).float())
    np.testing.assert_allclose(np.hstack([codes.mean, codes.log_variance]), expected, atol=1e-6)


def test_all_ways_to_store_weights_give_one_encoder(folder: Path, images: Images) -> None:
    safetensors = pytest.importorskip("safetensors.torch")
    state = torch.load(folder / "w.pt", weights_only=True)
    safetensors.save_file(state, folder / "w.safetensors")
    torch.save({"epoch": 3, "state_dict": {f"vae.{k}": v for k, v in state.items()}}, folder / "w.ckpt")
    torch.save({"model": state, "ema": state, "lr": 0.1}, folder / "two.pth")
    torch.save(state, folder / "old.pt", _use_new_zipfile_serialization=False)
    ways = ["w.pt", "old.pt", "w.safetensors", "w.ckpt&prefix=vae.", "two.pth&key=ema"]
    codes = [mean_of(load_encoder(f"torch:{folder}/model.py:build?weights={folder}/{way}")(images)) for way in ways]
    assert all((other == codes[0]).all() for other in codes[1:])
    with pytest.raises(InvalidInputError, match="several, select one by key=: model, ema"):
        load_encoder(f"torch:{folder}/model.py:build?weights={folder}/two.pth")
    with pytest.raises(InvalidInputError, match="no state dict key=opt; it has model, ema"):
        load_encoder(f"torch:{folder}/model.py:build?weights={folder}/two.pth&key=opt")


def test_missing_and_unexpected_weights_are_listed_with_what_to_do(folder: Path) -> None:
    state = torch.load(folder / "w.pt", weights_only=True)
    spec = f"torch:{folder}/model.py:build?weights={folder}/x.pt"

    torch.save({f"module.{name}": weight for name, weight in state.items()}, folder / "x.pt")
    with pytest.raises(
        InvalidInputError, match=r"6 missing \(convolution.bias.*with prefix=module\. the file contains all"
    ):
        load_encoder(spec)
    load_encoder(f"{spec}&prefix=module.")

    torch.save({**state, "critic.bias": torch.ones(2)}, folder / "x.pt")
    with pytest.raises(InvalidInputError, match=r"1 unexpected \(critic.bias\); .*ignore=critic\."):
        load_encoder(spec)
    load_encoder(f"{spec}&ignore=critic.")

    torch.save({"other.bias": torch.ones(2)}, folder / "x.pt")
    with pytest.raises(InvalidInputError, match="must have the same architecture"):
        load_encoder(spec)

    torch.save({**state, "head.bias": torch.ones(2)}, folder / "x.pt")
    with pytest.raises(InvalidInputError, match=r"size mismatch for head\.bias"):
        load_encoder(spec)

    torch.save({"epoch": 3}, folder / "x.pt")
    with pytest.raises(InvalidInputError, match="it contains none"):
        load_encoder(spec)


class Malicious:
    def __init__(self, victim: Path) -> None:
        self.victim = victim

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch '{self.victim}'",)


@pytest.mark.parametrize("way", ["zip", "legacy", "pickle", "module"])
def test_a_pickle_that_would_run_code_is_refused_and_runs_nothing(folder: Path, way: str) -> None:
    victim, file = folder / "victim", folder / "evil.pt"
    if way == "pickle":
        file.write_bytes(pickle.dumps(Malicious(victim)))
    elif way == "module":
        torch.save(nn.Linear(3, 2), file)
    else:
        torch.save({"w": Malicious(victim)}, file, _use_new_zipfile_serialization=way == "zip")
    with pytest.raises(UntrustedFileError, match=r"is a pickle that .* safetensors"):
        load_encoder(f"torch:{folder}/model.py:build?weights={file}")
    assert not victim.exists()


def test_the_malicious_pickle_is_one(tmp_path: Path) -> None:
    pickle.loads(pickle.dumps(Malicious(tmp_path / "victim")))
    assert (tmp_path / "victim").exists()


@pytest.mark.parametrize("content", [b"", b"hello, no weights here", None])
def test_damaged_weights_are_named(folder: Path, content: bytes | None) -> None:
    (folder / "x.pt").write_bytes((folder / "w.pt").read_bytes()[:700] if content is None else content)
    with pytest.raises(CorruptFileError, match=r"x\.pt is damaged, or not a PyTorch file"):
        load_encoder(f"torch:{folder}/model.py:build?weights={folder}/x.pt")


def test_damaged_safetensors_are_named(folder: Path) -> None:
    pytest.importorskip("safetensors")
    (folder / "x.safetensors").write_bytes(b"\xff" * 20)
    with pytest.raises(CorruptFileError, match="not a safetensors file"):
        load_encoder(f"torch:{folder}/model.py:build?weights={folder}/x.safetensors")


def test_a_torchscript_archive_is_sent_to_its_scheme(folder: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.jit.save(torch.jit.script(nn.Linear(3, 2)), folder / "s.pt")
    with pytest.raises(InvalidInputError, match="specify it as torchscript:"):
        load_encoder(f"torch:{folder}/model.py:build?weights={folder}/s.pt")


def test_files_that_do_not_exist_are_named(folder: Path) -> None:
    with pytest.raises(InvalidInputError, match=r"weights must be a file; .*no\.pt' does not exist"):
        load_encoder(f"torch:{folder}/model.py:build?weights={folder}/no.pt")
    with pytest.raises(InvalidInputError, match=r"the module file must be a file; .*no\.py' does not exist"):
        load_encoder(f"torch:{folder}/no.py:build?weights={folder}/w.pt")


@pytest.mark.parametrize(
    ("source", "error", "words"),
    [
        ("1 / 0", EncoderError, r"cannot be imported: ZeroDivisionError"),
        ("def build(:", EncoderError, "SyntaxError"),
        ("raise SystemExit(2)", EncoderError, "SystemExit"),
        ("import no_such_module_x", EncoderError, "No module named 'no_such_module_x'"),
        ("def buidl(): ...", InvalidInputError, "has no 'build'; did you mean 'buidl'"),
        ("def build(): return 3", InvalidInputError, r"must return a torch\.nn\.Module; it returned a int"),
        ("def build(n): ...", EncoderError, "failed when called without arguments.*name a function"),
    ],
)
def test_a_broken_module_file_is_reported_with_its_cause(
    folder: Path, source: str, error: type[Exception], words: str
) -> None:
    (folder / "model.py").write_text(source)
    with pytest.raises(error, match=words):
        load_encoder(f"torch:{folder}/model.py:build?weights={folder}/w.pt")


def test_two_models_with_neighbouring_modules_of_the_same_name_import_their_own(tmp_path: Path) -> None:
    for name, sign in (("a", 1.0), ("b", -1.0)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "networks.py").write_text(f"SIGN = {sign}\n")
        (tmp_path / name / "model.py").write_text(
            "import torch, networks\nclass M(torch.nn.Module):\n    def forward(self, x): return x * networks.SIGN\n"
        )
    table = np.ones((2, 3), np.float32)
    before = list(sys.path)
    signs = [mean_of(load_encoder(f"torch:{tmp_path}/{name}/model.py:M?weights=none")(table))[0, 0] for name in "ab"]
    assert signs == [1.0, -1.0]
    assert sys.path == before
    assert "networks" not in sys.modules


def test_an_importable_package_is_named_with_dots(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my_pkg_t").mkdir()
    (tmp_path / "my_pkg_t" / "__init__.py").touch()
    (tmp_path / "my_pkg_t" / "nets.py").write_text("import torch\ndef build(): return torch.nn.Linear(3, 2)\n")
    torch.save(nn.Linear(3, 2).state_dict(), tmp_path / "w.pt")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [p for p in sys.path if p])
    encoder = load_encoder("torch:my_pkg_t.nets:build?weights=w.pt&select=whole")
    assert mean_of(encoder(np.ones((4, 3), np.float32))).shape == (4, 2)
    with pytest.raises(InvalidInputError, match=r"no module is named 'my_pkg_t.netz'"):
        load_encoder("torch:my_pkg_t.netz:build?weights=w.pt")


@pytest.mark.parametrize("target", ["model.py", "C:", "model.py:", "model.py:a b", ":build"])
def test_a_target_without_a_name_is_refused_with_the_form(target: str) -> None:
    with pytest.raises(InvalidInputError, match=r"file\.py:name or package.module:name"):
        load_encoder(f"torch:{target}?weights=none")


# Fingerprints


def fingerprint(folder: Path, options: str = "", name: str = "build") -> Any:
    spec = f"torch:{folder}/model.py:{name}?weights={folder}/w.pt{options}"
    return getattr(load_encoder(spec), "fingerprint", None)


def test_the_fingerprint_follows_everything_that_decides_the_codes(folder: Path, tmp_path: Path) -> None:
    (folder / "helper.py").write_text("A = 1\n")
    (folder / "model.py").write_text("import helper\n" + MODEL)
    seen = [fingerprint(folder)]
    assert seen[0].startswith("torch-")
    assert fingerprint(folder) == seen[0]
    seen += [fingerprint(folder, "&range=-1..1"), fingerprint(folder, name="VAE")]
    (folder / "helper.py").write_text("A = 2\n")
    seen.append(fingerprint(folder))
    (folder / "model.py").write_text("import helper\n\n" + MODEL)
    seen.append(fingerprint(folder))
    state = torch.load(folder / "w.pt", weights_only=True)
    torch.save({**state, "head.bias": state["head.bias"] + 1}, folder / "w.pt")
    seen.append(fingerprint(folder))
    assert len(set(seen)) == len(seen)
    moved = folder.rename(tmp_path / "moved")
    assert fingerprint(moved) == seen[-1]
    assert fingerprint(moved, "&device=cpu") == seen[-1]


def test_weights_that_the_module_loads_have_no_fingerprint(folder: Path) -> None:
    encoder = load_encoder(f"torch:{folder}/model.py:build?weights=none")
    assert not hasattr(encoder, "fingerprint")


def test_the_global_random_state_and_threads_are_left_alone(folder: Path, images: Images) -> None:
    encoder = load_encoder(f"torch:{folder}/model.py:build?weights={folder}/w.pt")
    before = torch.get_rng_state()
    encoder(images)
    assert (torch.get_rng_state() == before).all()


# The example in examples/


def test_the_burgess_example_reads_interleaved_weights_of_a_complete_model(tmp_path: Path) -> None:
    example = Path(__file__).parents[3] / "examples" / "burgess_encoder.py"
    if not example.is_file():
        pytest.skip("the examples are not beside the tests")
    program = f"""
        import sys, torch
        sys.path.insert(0, {str(example.parent)!r})
        from burgess_encoder import grey
        torch.manual_seed(0)
        state = grey().state_dict()
        torch.save({{**{{f"encoder.{{k}}": v for k, v in state.items()}}, "decoder.lin1.bias": torch.ones(3)}}, "m.pt")
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(program)], cwd=tmp_path, check=True, timeout=120)
    observations = np.random.default_rng(0).integers(0, 2, (3, 64, 64, 1), dtype=np.uint8) * 255
    spec = f"torch:{example}:grey?weights={tmp_path}/m.pt&prefix=encoder."
    codes = load_encoder(f"{spec}&select=interleaved")(observations)
    whole = mean_of(load_encoder(f"{spec}&select=whole")(observations))
    assert isinstance(codes, Posterior)
    assert (codes.mean == whole[:, 0::2]).all()
    assert (codes.log_variance == whole[:, 1::2]).all()


class MeanAndStd(nn.Module):
    """Two active latents and four collapsed ones, as a mean and a standard deviation."""

    def forward(self, table: Any) -> Any:
        std = torch.tensor([0.05, 0.05, 1, 1, 1, 1]).expand(len(table), 6)
        return {"mu": torch.cat([table, 1e-3 * table, 1e-3 * table], dim=1), "sigma": std}


def test_latents_that_are_collapsed_by_their_standard_deviation_are_not_active(rng: np.random.Generator) -> None:
    table = rng.normal(size=(500, 2)).astype(np.float32)
    with pytest.raises(InvalidInputError) as caught:
        TorchEncoder(MeanAndStd())(table)
    assert "or select=mu,sigma&spread=std for" in str(caught.value)
    with pytest.raises(InvalidInputError, match="use select=mu,sigma&spread=std"):
        TorchEncoder(MeanAndStd(), select="mu,sigma")(table)
    codes: Any = TorchEncoder(MeanAndStd(), select="mu,sigma", spread="std")(table)
    posterior = dm.Representation(codes.mean, table > 0, log_variance=codes.log_variance)
    assert dm.metrics.active_units(posterior).value == 2
    wrong: Any = TorchEncoder(MeanAndStd(), select="mu,sigma", spread="log_variance")(table)
    assert dm.metrics.active_units(wrong.mean, table > 0, log_variance=wrong.log_variance).value == 6
