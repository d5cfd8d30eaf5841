"""TorchScript archives are programs: what they do is checked before they are loaded."""

import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the scheme torchscript needs torch")

from disentmetrics_adapters.encoders._torchscript_operators import refused_operators  # noqa: E402

import disentmetrics as dm  # noqa: E402
from disentmetrics.errors import CorruptFileError, UntrustedFileError  # noqa: E402


class Convolutional(torch.nn.Module):  # type: ignore[misc,name-defined]
    """The layers of common encoders."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution = torch.nn.Conv2d(1, 4, 4, 2)
        self.norm = torch.nn.BatchNorm2d(4)
        self.attention = torch.nn.MultiheadAttention(8, 2, batch_first=True)
        self.recurrent = torch.nn.GRU(8, 8, batch_first=True)
        self.linear = torch.nn.Linear(64, 8)

    def forward(self, x):  # type: ignore[no-untyped-def]
        h = torch.nn.functional.gelu(self.norm(self.convolution(x)))
        h = torch.nn.functional.adaptive_avg_pool2d(h, (4, 4)).flatten(1)
        z = self.linear(h)[:, None]
        z = self.recurrent(self.attention(z, z, z)[0])[0][:, 0]
        assert z.shape[1] == 8, f"width {z.shape[1]}"
        mean, log_variance = torch.einsum("ij->ij", z).chunk(2, 1)
        return mean, log_variance


class Saves(torch.nn.Module):  # type: ignore[misc,name-defined]
    def forward(self, x):  # type: ignore[no-untyped-def]
        torch.save(x, "overwritten.txt")
        return x.flatten(1)[:, :2]


class SavesAtLoading(torch.nn.Module):  # type: ignore[misc,name-defined]
    """Its method ``__setstate__`` runs while the archive is loaded."""

    def __init__(self) -> None:
        super().__init__()
        self.width = 2

    @torch.jit.export
    def __getstate__(self):  # type: ignore[no-untyped-def]
        return (self.width, self.training)

    @torch.jit.export  # type: ignore[untyped-decorator]
    def __setstate__(self, state: tuple[int, bool]):  # type: ignore[no-untyped-def]
        torch.save(torch.zeros(1), "overwritten.txt")
        self.width = state[0]
        self.training = state[1]

    def forward(self, x):  # type: ignore[no-untyped-def]
        return x.flatten(1)[:, :2]


@pytest.fixture(autouse=True)
def _quiet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    warnings.simplefilter("ignore", DeprecationWarning)  # of TorchScript itself


def rewritten(file: Path, change: Callable[[str], str]) -> Path:
    """Return a copy of an archive with another source."""
    changed = file.with_name("changed.pt")
    with zipfile.ZipFile(file) as old, zipfile.ZipFile(changed, "w") as new:
        for info in old.infolist():
            content = old.read(info)
            new.writestr(info.filename, change(content.decode()) if info.filename.endswith(".py") else content)
    return changed


@pytest.mark.parametrize("how", ["script", "trace", "freeze"])
def test_an_archive_of_common_layers_is_allowed(how: str) -> None:
    module = Convolutional().eval()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        script = (
            torch.jit.trace(module, torch.zeros(2, 1, 32, 32), check_trace=False)
            if how == "trace"
            else torch.jit.script(module)
        )
        torch.jit.save(torch.jit.freeze(script) if how == "freeze" else script, "good.pt")
    assert refused_operators(Path("good.pt")) == []


@pytest.mark.parametrize("kind", [Saves, SavesAtLoading])
def test_an_archive_that_writes_a_file_is_refused_before_it_is_loaded(kind: type) -> None:
    torch.jit.save(torch.jit.script(kind()), "evil.pt")
    Path("overwritten.txt").write_text("precious")
    with pytest.raises(UntrustedFileError, match=r"more than tensor arithmetic \(save\).*--trust-pickle"):
        dm.load_encoder("torchscript:evil.pt")
    assert Path("overwritten.txt").read_text() == "precious"
    encoder = dm.load_encoder("torchscript:evil.pt?layout=NCHW&select=whole", trust_pickle=True)
    assert np.asarray(encoder(np.zeros((2, 8, 8, 1), np.uint8))).shape == (2, 2)
    assert Path("overwritten.txt").read_bytes() != b"precious"  # the attack works where it is permitted


@pytest.mark.parametrize(
    "call",
    [
        'torch . save(x, "f")', 'torch.\\\n    save(x, "f")', '(x).save("f")', 'getattr(torch, "save")(x, "f")',
        'torch.from_file("f")', 'ops.other.read("f")', 'ops.image.read_file("f")', 'ops.prim.rpc_sync("f")',
        'torch.  # nothing\n    save(x, "f")', "v : __torch__.torch.classes.dist_rpc.WorkerInfo = x",
    ],
)  # fmt: skip
def test_an_operator_is_found_however_it_is_written(call: str) -> None:
    torch.jit.save(torch.jit.script(torch.nn.Flatten()), "plain.pt")
    assert refused_operators(Path("plain.pt")) == []
    changed = rewritten(Path("plain.pt"), lambda text: f"{text}\n    {call}\n")
    assert len(refused_operators(changed)) == 1


def test_classes_are_looked_for_in_pickles_too_and_packed_weights_are_allowed() -> None:
    torch.jit.save(torch.jit.script(torch.nn.Flatten()), "plain.pt")
    line = "\n    v : __torch__.torch.classes.quantized.Conv2dPackedParamsBase = x\n"
    assert refused_operators(rewritten(Path("plain.pt"), lambda text: text + line)) == []
    with zipfile.ZipFile("plain.pt", "a") as archive:
        archive.writestr("plain/more.pkl", b"c__torch__.torch.classes.c10d\nProcessGroup\n")
    assert refused_operators(Path("plain.pt")) == ["torch.classes.c10d"]


def test_two_members_of_one_name_and_files_that_are_no_archives_are_refused() -> None:
    torch.jit.save(torch.jit.script(Saves()), "evil.pt")
    with zipfile.ZipFile("evil.pt", "a") as archive:
        source = next(name for name in archive.namelist() if name.endswith(".py"))
        archive.writestr(source.replace("code", "CODE"), "")  # torch ignores the case
    with pytest.raises(CorruptFileError, match="two members of one name"):
        refused_operators(Path("evil.pt"))
    Path("text.pt").write_text("no archive")
    with pytest.raises(CorruptFileError, match="not a TorchScript archive"):
        dm.load_encoder("torchscript:text.pt")
