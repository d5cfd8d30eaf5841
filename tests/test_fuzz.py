"""Every reader of files, given thousands of damaged ones: it returns a value or raises an error of this package.

Each case is a whole file with one kind of damage at a seeded place. ``make test`` runs a share of the cases, ``make
test-slow`` all of them.
"""

import json
import zipfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

import disentmetrics as dm
from disentmetrics._utils.text import printable
from disentmetrics.comparison.regression import read_baseline, write_baseline
from disentmetrics.errors import CorruptFileError, DisentmetricsError
from disentmetrics.io import _hdf5, hdf5
from disentmetrics.io.tables import read_table

N_FAST, N_SLOW = 12, 200
"""Cases of each reader and kind of damage in ``make test`` and in ``make test-slow``."""

CODES = np.arange(40.0).reshape(20, 2)
LABELS = [f"name {i % 3}" for i in range(20)]


def _read_columns(path: Path) -> Any:
    table = read_table(path, codes=["z0", "z1"], factors=["a"])
    return dm.Representation(table.codes, table.factors)


def _read_arrays(path: Path) -> Any:
    table = read_table(path)
    return dm.Representation(table.codes, table.factors)


def _write_csv(path: Path) -> None:
    rows = [f"{a},{b},{label}" for (a, b), label in zip(CODES, LABELS, strict=True)]
    path.write_text("\n".join(["z0,z1,a", *rows]), encoding="utf-8")


def _write_npz(path: Path) -> None:
    np.savez_compressed(path, codes=CODES, factors=np.arange(20)[:, None] % 4)


def _write_parquet(path: Path) -> None:
    polars = pytest.importorskip("polars")
    polars.DataFrame({"z0": CODES[:, 0], "z1": CODES[:, 1], "a": LABELS}).write_parquet(path)


def _write_xlsx(path: Path) -> None:
    pytest.importorskip("fastexcel")
    book = pytest.importorskip("openpyxl").Workbook()
    book.active.append(["z0", "z1", "a"])
    for (a, b), label in zip(CODES, LABELS, strict=True):
        book.active.append([a, b, label])
    book.save(path)


def _write_h5ad(path: Path) -> None:
    with h5py.File(path, "w") as file:
        obs = file.create_group("obs")
        obs.attrs["column-order"] = ["a"]
        obs.attrs["encoding-type"] = "dataframe"
        column = obs.create_group("a")
        column.attrs["encoding-type"] = "categorical"
        column["codes"] = np.arange(20) % 3
        column["categories"] = sorted(set(LABELS))
        file.create_group("obsm")["X_pca"] = CODES


def _write_representation(path: Path) -> None:
    dm.Representation(CODES, {"a": LABELS}).save(path)


def _card() -> Any:
    return dm.score(dm.Representation(CODES, {"a": LABELS}), ["mcc", "mig"], interval=None, null=False)


def _write_card(path: Path) -> None:
    _card().to_json(path)


def _write_baseline(path: Path) -> None:
    write_baseline(path, _card())


def _write_state(path: Path) -> None:
    torch = pytest.importorskip("torch")
    torch.save({"weight": torch.ones(2, 3), "bias": torch.zeros(2)}, path)


def _read_weights(path: Path) -> Any:
    from disentmetrics_adapters.encoders.torch import read_weights

    return read_weights(path)


def _write_safetensors(path: Path) -> None:
    pytest.importorskip("torch")
    numpy = pytest.importorskip("safetensors.numpy")
    numpy.save_file({"weight": np.ones((2, 3), np.float32)}, path)


def _write_torchscript(path: Path) -> None:
    torch = pytest.importorskip("torch")
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.jit.save(torch.jit.script(torch.nn.Linear(4, 2)), str(path))


def _write_onnx(path: Path) -> None:
    pytest.importorskip("onnxruntime")
    onnx = pytest.importorskip("onnx")
    made = onnx.helper
    node = made.make_node("MatMul", ["x", "w"], ["z"])
    weights = onnx.numpy_helper.from_array(np.ones((4, 2), np.float32), "w")
    x, z = (made.make_tensor_value_info(n, 1, ["n", k]) for n, k in (("x", 4), ("z", 2)))
    path.write_bytes(
        made.make_model(
            made.make_graph([node], "g", [x], [z], [weights]),
            opset_imports=[made.make_opsetid("", 17)],
            ir_version=8,
        ).SerializeToString()
    )


def _write_skops(path: Path) -> None:
    skops = pytest.importorskip("skops.io")
    from sklearn.decomposition import PCA

    skops.dump(PCA(2).fit(np.random.default_rng(0).random((20, 4))), path)


def _scheme(name: str) -> Callable[[Path], Any]:
    def read(path: Path) -> Any:
        pytest.importorskip("disentmetrics_adapters")
        return dm.load_encoder(f"{name}:{path}", data=dm.load_dataset("blobs"))

    return read


def _write_codes_of_blobs(path: Path) -> None:
    codes = np.zeros((len(dm.load_dataset("blobs")), 2))
    if path.suffix == ".npz":
        np.savez_compressed(path, codes=codes)
    elif path.suffix == ".npy":
        np.save(path, codes)
    else:
        np.savetxt(path, codes, delimiter=",")


READERS: dict[str, tuple[str, Callable[[Path], None], Callable[[Path], Any]]] = {
    "csv": ("t.csv", _write_csv, _read_columns),
    "npz": ("t.npz", _write_npz, _read_arrays),
    "parquet": ("t.parquet", _write_parquet, _read_columns),
    "xlsx": ("t.xlsx", _write_xlsx, _read_columns),
    "h5ad": ("t.h5ad", _write_h5ad, _read_arrays),
    "representation": ("t.h5", _write_representation, dm.Representation.load),
    "card": ("t.json", _write_card, dm.ScoreCard.from_json),
    "baseline": ("b.json", _write_baseline, read_baseline),
    "table npz": ("c.npz", _write_codes_of_blobs, _scheme("table")),
    "table npy": ("c.npy", _write_codes_of_blobs, _scheme("table")),
    "table csv": ("c.csv", _write_codes_of_blobs, _scheme("table")),
    "state dict": ("w.pt", _write_state, _read_weights),
    "safetensors": ("w.safetensors", _write_safetensors, _read_weights),
    "torchscript": ("s.pt", _write_torchscript, _scheme("torchscript")),
    "onnx": ("m.onnx", _write_onnx, _scheme("onnx")),
    "skops": ("p.skops", _write_skops, _scheme("sklearn")),
}


def _truncated(content: bytes, rng: np.random.Generator) -> bytes:
    return content[: int(rng.integers(len(content)))]


def _flipped(content: bytes, rng: np.random.Generator) -> bytes:
    changed = bytearray(content)
    for position in rng.integers(len(content), size=int(rng.integers(1, 9))):
        changed[position] ^= 1 << int(rng.integers(8))
    return bytes(changed)


def _with_huge_numbers(content: bytes, rng: np.random.Generator) -> bytes:
    """Overwrite a few bytes as if a size were enormous."""
    at = int(rng.integers(max(1, len(content) - 8)))
    return content[:at] + bytes(rng.choice([b"\xff" * 8, b"99999999", b"\x00" * 8, b"\x7f" * 4])) + content[at + 8 :]


def _shuffled(content: bytes, rng: np.random.Generator) -> bytes:
    """Move a piece of the file elsewhere."""
    a, b = np.sort(rng.integers(len(content), size=2))
    at = int(rng.integers(len(content)))
    rest = content[:a] + content[b:]
    return rest[:at] + content[a:b] + rest[at:]


def _nested(content: bytes, rng: np.random.Generator) -> bytes:
    """Insert many opening brackets, which a recursive reader follows."""
    at = int(rng.integers(len(content)))
    return content[:at] + bytes(rng.choice([b"[", b'{"a":', b"(", b"\x80"])) * 20_000 + content[at:]


DAMAGE = {
    "truncated": _truncated, "flipped": _flipped, "huge": _with_huge_numbers, "shuffled": _shuffled, "nested": _nested,
}  # fmt: skip


def outcomes(reader: str, damage: str, n: int, folder: Path) -> Counter[str]:
    name, write, read = READERS[reader]
    path = folder / name
    write(path)
    read(path)  # the undamaged file is fine
    content = path.read_bytes()
    rng = np.random.default_rng([*f"{reader} {damage}".encode()])
    counted: Counter[str] = Counter()
    for case in range(n):
        damaged = DAMAGE[damage](content, rng)
        path.write_bytes(damaged)
        try:
            read(path)
        except DisentmetricsError as error:
            printable(str(error)).encode()
            counted[type(error).__name__] += 1
        except BaseException as error:  # noqa: BLE001 - any other error is what is looked for
            (folder / "case").write_bytes(damaged)
            pytest.fail(f"{reader}, {damage}, case {case}: {type(error).__name__}: {error}")
        else:
            counted["value"] += 1
    return counted


IN_ANOTHER_PROCESS = ("xlsx", "h5ad", "representation")
"""Readers that start a process for each file."""
CASES = [(reader, damage) for reader in READERS if reader not in IN_ANOTHER_PROCESS for damage in DAMAGE]
SLOW_CASES = [(reader, damage) for reader in IN_ANOTHER_PROCESS for damage in DAMAGE]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("reader", "damage"), CASES)
def test_a_damaged_file_is_a_value_or_an_error_of_ours(reader: str, damage: str, tmp_path: Path) -> None:
    assert sum(outcomes(reader, damage, N_FAST, tmp_path).values()) == N_FAST


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("reader", "damage"), CASES + SLOW_CASES)
def test_two_hundred_damaged_files_of_each_kind(
    reader: str, damage: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hdf5, "time_limit", lambda *_: 1)
    counted = outcomes(reader, damage, N_SLOW, tmp_path)
    print(f"{reader}, {damage}: {dict(counted)}")
    assert sum(counted.values()) == N_SLOW


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("reader", "damage"), SLOW_CASES)
def test_a_damaged_file_is_read_by_another_process_first(
    reader: str, damage: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hdf5, "time_limit", lambda *_: 1)
    assert sum(outcomes(reader, damage, 3, tmp_path).values()) == 3


@pytest.mark.parametrize("kind", ["text", "references", "scalar", "chunks"])
def test_arrays_that_cannot_be_mapped_are_refused_before_their_bytes_are_used(kind: str, tmp_path: Path) -> None:
    """The bytes of variable-length text are addresses, which would be followed."""
    path = tmp_path / "t.h5"
    _write_representation(path)
    with h5py.File(path, "a") as file:
        checksum = file["codes"].attrs["sha256"]
        del file["codes"]
        if kind == "text":
            file.create_dataset("codes", data=np.full((20, 2), "text", dtype=object), dtype=h5py.string_dtype())
        elif kind == "references":
            file.create_dataset("codes", data=np.full((20, 2), file.ref, dtype=object), dtype=h5py.ref_dtype)
        elif kind == "scalar":
            file["codes"] = 1.0
        else:
            file.create_dataset("codes", data=CODES, chunks=(5, 2))
        file["codes"].attrs["sha256"] = checksum
    with pytest.raises(CorruptFileError, match="in one piece" if kind == "chunks" else "as numbers with 2 axes"):
        dm.Representation.load(path)


def test_chunks_are_decompressed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks of rows would read chunks of whole columns again for each block."""
    read: list[Any] = []
    get = h5py.Dataset.__getitem__

    def counting(array: h5py.Dataset, where: Any) -> Any:
        read.append(where)
        return get(array, where)

    monkeypatch.setattr(h5py.Dataset, "__getitem__", counting)
    with h5py.File(tmp_path / "t.h5", "w") as file:
        columns = file.create_dataset("columns", (1_000_000, 8), np.float32, chunks=(1_000_000, 1), compression="gzip")
        _hdf5._read_array(columns, 10**9)
        assert len(read) == 8
        _hdf5._read_array(columns, 10**6)  # larger than permitted
        assert len(read) == 8


@pytest.mark.parametrize("reader", ["h5ad", "representation"])
def test_damage_that_would_end_or_occupy_this_process_is_an_error(
    reader: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of these files libhdf5 follows the entries of a heap in a circle."""
    monkeypatch.setattr(hdf5, "time_limit", lambda *_: 1)
    name, write, read = READERS[reader]
    path = tmp_path / name
    write(path)
    content = path.read_bytes()
    rng = np.random.default_rng([*f"{reader} shuffled".encode()])
    fatal = 0
    for _ in range(40):
        path.write_bytes(_shuffled(content, rng))
        try:
            read(path)
        except CorruptFileError as error:
            fatal += "reading it took more than 1 s" in str(error) or "the HDF5 library crashes on it" in str(error)
        except DisentmetricsError:
            pass
        if fatal:
            break
    assert fatal


# Files that claim more than they contain


def test_an_excel_file_of_a_few_kilobytes_that_claims_billions_of_cells_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "t.xlsx"
    _write_xlsx(path)
    changed = tmp_path / "bomb.xlsx"
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(changed, "w") as new:
        for info in old.infolist():
            content = old.read(info).decode() if info.filename.endswith((".xml", ".rels")) else old.read(info)
            if info.filename == "xl/worksheets/sheet1.xml":
                cell = '<row r="1048576"><c r="XFD1048576" t="n"><v>1</v></c></row></sheetData>'
                content = str(content).replace("</sheetData>", cell)
            new.writestr(info.filename, content)
    with pytest.raises(DisentmetricsError, match=r"must be a complete \.xlsx file"):
        read_table(changed)


def test_a_small_file_that_expands_to_gigabytes_is_refused_unless_allowed(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "t.npz", codes=np.zeros((200_000, 10)), factors=np.arange(200_000)[:, None] % 4)
    assert (tmp_path / "t.npz").stat().st_size < 400_000
    with pytest.raises(DisentmetricsError, match="'codes'.*would take 0.0 GB.*max_gigabytes"):
        read_table(tmp_path / "t.npz", max_gigabytes=0.01)
    assert read_table(tmp_path / "t.npz").codes.shape == (200_000, 10)
    polars = pytest.importorskip("polars")
    frame = polars.DataFrame({"z0": np.zeros(200_000), "z1": np.zeros(200_000), "a": np.arange(200_000) % 4})
    frame.write_parquet(tmp_path / "t.parquet")
    with pytest.raises(DisentmetricsError, match="its columns of .*max_gigabytes"):
        read_table(tmp_path / "t.parquet", max_gigabytes=0.001)
    with h5py.File(tmp_path / "t.h5ad", "w") as file:
        file.create_group("obs").attrs["column-order"] = []
        file.create_group("obsm").create_dataset("X", (10**9, 10), "f8", chunks=(1000, 10))
    with pytest.raises(DisentmetricsError, match=r"obsm/X of .*would take 80.0 GB"):
        read_table(tmp_path / "t.h5ad", factors=["X"])


@pytest.mark.parametrize("kind", ["external link", "soft link", "external storage", "virtual"])
def test_an_array_in_another_file_is_not_read(kind: str, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(b"password" * 100)
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["x"] = CODES
    path = tmp_path / "t.h5ad"
    _write_h5ad(path)
    with h5py.File(path, "a") as file:
        del file["obsm/X_pca"]
        if kind == "external link":
            file["obsm/X_pca"] = h5py.ExternalLink("other.h5", "x")
        elif kind == "soft link":
            file["away"] = h5py.ExternalLink("other.h5", "/")
            file["obsm/X_pca"] = h5py.SoftLink("/away/x")
        elif kind == "external storage":
            file.create_dataset("obsm/X_pca", (20, 2), "f8", external=[(str(secret), 0, h5py.h5f.UNLIMITED)])
        else:
            layout = h5py.VirtualLayout((20, 2), "f8")
            layout[:] = h5py.VirtualSource("other.h5", "x", (20, 2))
            file.create_virtual_dataset("obsm/X_pca", layout)
    with pytest.raises(DisentmetricsError, match="lies in another file"):
        _read_arrays(path)


def test_groups_that_share_groups_are_not_followed_forever(tmp_path: Path) -> None:
    path = tmp_path / "t.h5ad"
    _write_h5ad(path)
    with h5py.File(path, "a") as file:
        del file["obsm/X_pca"]
        level = file["obsm"].create_group("X_pca")
        for _ in range(40):  # 2 ** 40 paths
            below = level.create_group("a")
            level["b"] = below
            level = below
    with pytest.raises(DisentmetricsError, match="nested too deeply"):
        _read_arrays(path)


def test_half_a_character_in_a_card_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "t.json"
    _write_card(path)
    content = json.loads(path.read_text())
    content["notes"] = ["\ud800"]
    path.write_text(json.dumps(content))
    with pytest.raises(DisentmetricsError, match="must be a complete score card"):
        dm.ScoreCard.from_json(path)
