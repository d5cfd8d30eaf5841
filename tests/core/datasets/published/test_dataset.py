import hashlib
import os
import subprocess
import sys
import textwrap
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from numpy.typing import NDArray

from disentmetrics.datasets import load_dataset
from disentmetrics.datasets.catalog.dsprites import DSprites
from disentmetrics.datasets.published import dataset as dataset_module, layouts, manifest
from disentmetrics.datasets.published.dataset import PublishedDataSet, load_published
from disentmetrics.datasets.published.manifest import Manifest, read_manifest
from disentmetrics.errors import CorruptFileError, InvalidInputError, UntrustedFileError

N = 3 * 2 * 4 * 2 * 3
IMAGES = np.random.default_rng(0).integers(0, 2, (N, 8, 8), dtype=np.uint8)
LABELS = np.stack(np.unravel_index(np.arange(N), (1, 3, 2, 4, 2, 3)), axis=1).astype(np.int64)
TOML = """
name = "dsprites"
summary = "a small one of the same layout"
licence = "none"
citation = "none"
observations = {{ shape = [8, 8, 1], white = 1 }}
factors = [
    {{ name = "shape", kind = "categorical", values = ["square", "ellipse", "heart"] }},
    {{ name = "scale", kind = "ordinal", linspace = [0.5, 1.0, 2] }},
    {{ name = "orientation", kind = "circular", linspace = [0.0, 6.3, 4] }},
    {{ name = "x", kind = "ordinal", linspace = [0.0, 1.0, 2] }},
    {{ name = "y", kind = "ordinal", linspace = [0.0, 1.0, 3] }},
]
[[files]]
name = "small.npz"
layout = "npz"
images = "imgs"
labels = "latents_classes"
label_columns = ["color", "shape", "scale", "orientation", "x", "y"]
urls = []
{npz}
[[files]]
name = "small.hdf5"
layout = "hdf5"
images = "imgs"
labels = "latents/classes"
label_columns = ["color", "shape", "scale", "orientation", "x", "y"]
urls = []
{hdf5}
"""


class Bait:
    """Unpickling it creates a folder, which a test can detect."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[..., None], tuple[str]]:
        return os.mkdir, (str(self.path),)


def write_npz(path: Path, **changed: Any) -> Path:
    content = {
        "imgs": IMAGES,
        "latents_values": LABELS.astype(float),
        "latents_classes": LABELS,
        "metadata": np.array({"date": "April 2017"}, dtype=object),
    }
    with path.open("wb") as file:  # numpy would append .npz to a file name
        np.savez_compressed(file, **(content | changed))
    return path


def write_hdf5(path: Path, *, images: NDArray[Any] = IMAGES, labels: NDArray[Any] = LABELS) -> Path:
    with h5py.File(path, "w") as store:
        store.create_dataset("imgs", data=images, chunks=(7, 2, 4), compression="gzip")
        store["latents/classes"] = labels
        store["latents/values"] = labels.astype(float)
    return path


WRITERS: dict[str, Callable[[Path], Path]] = {"npz": write_npz, "hdf5": write_hdf5}


def checksums(path: Path) -> str:
    content = path.read_bytes()
    sha256, md5 = hashlib.sha256(content).hexdigest(), hashlib.md5(content).hexdigest()
    return f'bytes = {len(content)}\nsha256 = "{sha256}"\nmd5 = "{md5}"'


def publish(npz: str = "", hdf5: str = "") -> Manifest:
    return Manifest.parse(TOML.format(npz=npz, hdf5=hdf5))


def assert_holds_the_images(data: PublishedDataSet) -> None:
    assert np.array_equal(data.observations(LABELS[:, 1:]), 255 * IMAGES[..., None])
    assert np.array_equal(data.observations(LABELS[5::-1, 1:]), 255 * IMAGES[5::-1, ..., None])


@pytest.mark.parametrize("layout", ["npz", "hdf5"])
def test_the_published_file_is_read(layout: str, tmp_path: Path) -> None:
    path = WRITERS[layout](tmp_path / "Größe und Füße.dat")
    data = load_published(publish(**{layout: checksums(path)}), str(path))
    assert data.fingerprint == f"dsprites-original-{layout}"
    assert data.name == "dsprites"
    assert data.observation_shape == (8, 8, 1)
    assert_holds_the_images(data)


@pytest.mark.parametrize("layout", ["npz", "hdf5"])
def test_images_are_unpacked_once(layout: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = WRITERS[layout](tmp_path / "file")
    published = publish(**{layout: checksums(path)})
    load_published(published, str(path))
    monkeypatch.setattr(layouts, "LAYOUTS", {})
    monkeypatch.setattr(dataset_module, "locked", None)  # nor need the cache folder be writable
    assert_holds_the_images(load_published(published, str(path)))


def test_a_damaged_copy_in_the_cache_is_recreated(tmp_path: Path, cache: Path) -> None:
    path = write_npz(tmp_path / "file.npz")
    published = publish(npz=checksums(path))
    load_published(published, str(path))
    (kept,) = (cache / "datasets").glob("*.bits")
    kept.write_bytes(kept.read_bytes()[:-1] + b"?")
    assert_holds_the_images(load_published(published, str(path)))


@pytest.mark.parametrize("layout", ["npz", "hdf5"])
def test_without_a_writable_cache_images_are_kept_in_memory(
    layout: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = WRITERS[layout](tmp_path / "file.npz")
    monkeypatch.setenv("DISENTMETRICS_CACHE", str(path / "below a file"))
    assert_holds_the_images(load_published(publish(**{layout: checksums(path)}), str(path)))


def test_the_error_for_another_file_contains_both_checksums(tmp_path: Path) -> None:
    path = write_npz(tmp_path / "file.npz")
    published = publish(npz=checksums(path))
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    found, expected = hashlib.sha256(content).hexdigest(), published.files[0].checksums["sha256"]
    with pytest.raises(CorruptFileError, match=f"sha256 {found} found, {expected} expected.*verify=false"):
        load_published(published, str(path))


def test_a_truncated_file_is_rejected_by_its_size(tmp_path: Path) -> None:
    path = write_npz(tmp_path / "file.npz")
    published = publish(npz=checksums(path))
    n_bytes = path.stat().st_size
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(CorruptFileError, match=f"{n_bytes - 10} bytes found, {n_bytes} expected"):
        load_published(published, str(path))


def test_every_published_checksum_must_match(tmp_path: Path) -> None:
    path = write_npz(tmp_path / "file.npz")
    wrong = checksums(path).partition("md5")[0] + f'md5 = "{"0" * 32}"'
    with pytest.raises(CorruptFileError, match=f"md5 .* found, {'0' * 32} expected"):
        load_published(publish(npz=wrong), str(path))


def test_a_file_without_a_published_checksum_is_rejected(tmp_path: Path) -> None:
    path = write_npz(tmp_path / "file.npz")
    with pytest.raises(CorruptFileError, match=r"no checksum of it is published.*verify=false"):
        load_published(publish(), str(path))


@pytest.mark.parametrize("layout", ["npz", "hdf5"])
def test_an_unverified_file_has_its_own_fingerprint(layout: str, tmp_path: Path) -> None:
    path = WRITERS[layout](tmp_path / "file.npz")
    data = load_published(publish(), str(path), verify=False)
    assert data.fingerprint == f"dsprites-file-{hashlib.sha256(path.read_bytes()).hexdigest()[:12]}"
    assert_holds_the_images(data)


def test_the_published_file_is_recognised_even_unverified(tmp_path: Path) -> None:
    path = write_npz(tmp_path / "file.npz")
    data = load_published(publish(npz=checksums(path)), str(path), verify=False)
    assert data.fingerprint == "dsprites-original-npz"


def test_pickled_metadata_is_never_unpickled(tmp_path: Path) -> None:
    trap = tmp_path / "trap"
    path = write_npz(tmp_path / "file.npz", metadata=np.array(Bait(trap), dtype=object))
    assert_holds_the_images(load_published(publish(), str(path), verify=False))
    assert not trap.exists()
    with np.load(path, allow_pickle=True) as careless:
        careless["metadata"]
    assert trap.exists()  # the bait is real


@pytest.mark.parametrize("key", ["imgs", "latents_classes"])
def test_pickled_arrays_are_rejected_unread(key: str, tmp_path: Path) -> None:
    trap = tmp_path / "trap"
    path = write_npz(tmp_path / "file.npz", **{key: np.array([Bait(trap)] * N, dtype=object)})
    with pytest.raises(UntrustedFileError, match="pickled"):
        load_published(publish(), str(path), verify=False)
    assert not trap.exists()


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"\x89HDF\r\n\x1a\n", b"text"])
def test_a_file_of_no_known_layout_is_rejected(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "file.npz"
    path.write_bytes(content)
    with pytest.raises(CorruptFileError, match="must be a complete"):
        load_published(publish(), str(path), verify=False)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"imgs": IMAGES[:-1]}, r"of shape \(144, 8, 8\); got uint8 of shape \(143, 8, 8\)"),
        ({"imgs": IMAGES.astype(np.int16)}, "must be uint8"),
        ({"imgs": 255 * IMAGES}, "must contain only 0 and 1"),
        ({"imgs": np.asfortranarray(IMAGES)}, "C order"),
        ({"latents_classes": LABELS[::-1]}, "last factor fastest"),
        ({"latents_classes": LABELS[:, 1:]}, "last factor fastest"),
    ],
)
def test_another_layout_is_rejected(changed: dict[str, NDArray[Any]], message: str, tmp_path: Path) -> None:
    path = write_npz(tmp_path / "file.npz", **changed)
    with pytest.raises(CorruptFileError, match=message):
        load_published(publish(), str(path), verify=False)


def test_images_with_a_channel_axis_are_read(tmp_path: Path) -> None:
    path = write_npz(tmp_path / "file.npz", imgs=IMAGES[..., None])
    assert_holds_the_images(load_published(publish(), str(path), verify=False))


def test_labels_of_hdf5_in_another_order_are_rejected(tmp_path: Path) -> None:
    path = write_hdf5(tmp_path / "file.hdf5", labels=LABELS[::-1])
    with pytest.raises(CorruptFileError, match="last factor fastest"):
        load_published(publish(), str(path), verify=False)


@pytest.mark.parametrize("missing", ["imgs", "latents_classes"])
def test_a_missing_array_is_named(missing: str, tmp_path: Path) -> None:
    path = write_npz(tmp_path / "file.npz")
    with zipfile.ZipFile(path) as whole, zipfile.ZipFile(tmp_path / "part.npz", "w") as part:
        for name in whole.namelist():
            if name != f"{missing}.npy":
                part.writestr(name, whole.read(name))
    with pytest.raises(CorruptFileError, match=missing):
        load_published(publish(), str(tmp_path / "part.npz"), verify=False)


def test_a_missing_hdf5_dataset_is_named(tmp_path: Path) -> None:
    path = write_hdf5(tmp_path / "file.hdf5")
    with h5py.File(path, "a") as store:
        del store["imgs"]
    with pytest.raises(CorruptFileError, match="imgs"):
        load_published(publish(), str(path), verify=False)


def first_image(path: Path, layout: str) -> int:
    """Return where the compressed images begin."""
    if layout == "npz":
        with zipfile.ZipFile(path) as archive:
            return archive.getinfo("imgs.npy").header_offset + len("imgs.npy") + 200
    with h5py.File(path) as store:
        return int(store["imgs"].id.get_chunk_info(0).byte_offset)


@pytest.mark.parametrize("layout", ["npz", "hdf5"])
@pytest.mark.parametrize("damage", ["altered", "truncated"])
def test_nothing_is_kept_of_a_file_damaged_inside(layout: str, damage: str, tmp_path: Path, cache: Path) -> None:
    path = WRITERS[layout](tmp_path / "file.npz")
    content = bytearray(path.read_bytes())
    start = first_image(path, layout)
    content[start : start + 10] = bytes(10)
    path.write_bytes(content if damage == "altered" else content[: start + 10])
    with pytest.raises(CorruptFileError):
        load_published(publish(), str(path), verify=False)
    assert not list(cache.rglob("*.bits"))
    assert not list(cache.rglob("*.partial"))


def test_a_file_that_does_not_exist_is_named(tmp_path: Path) -> None:
    for path in (tmp_path / "none.npz", tmp_path):
        with pytest.raises(InvalidInputError, match="must be a file or a folder"):
            load_published(publish(), str(path))


def test_an_unknown_layout_is_answered_with_the_known(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="npz and hdf5; got layout 'hdf'; did you mean 'hdf5'"):
        load_published(publish(), str(tmp_path), layout="hdf")


def test_a_chosen_layout_leaves_out_the_other(tmp_path: Path) -> None:
    path = write_npz(tmp_path / "file.npz")
    with pytest.raises(CorruptFileError, match="layout hdf5; it is npz"):
        load_published(publish(), str(path), layout="hdf5", verify=False)


def test_factor_indices_are_checked(tmp_path: Path) -> None:
    data = load_published(publish(), str(write_npz(tmp_path / "file.npz")), verify=False)
    with pytest.raises(InvalidInputError, match="'y' must lie in"):
        data.observations([[0, 0, 0, 0, 3]])


def test_the_command_line_spec_reads_the_original(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "mit Leerzeichen & Umläuten"
    folder.mkdir()
    path = write_npz(folder / "größe=1.npz")
    (tmp_path / "dsprites.toml").write_text(TOML.format(npz=checksums(path), hdf5=""), encoding="utf-8")
    monkeypatch.setattr(manifest, "files", lambda _: tmp_path)
    verified = load_dataset(f"dsprites:{path}")
    assert isinstance(verified, PublishedDataSet)
    assert verified.fingerprint == "dsprites-original-npz"
    assert_holds_the_images(verified)
    other = write_hdf5(folder / "other.hdf5")
    unverified = load_dataset(f"dsprites:{other}?verify=false")
    assert unverified.fingerprint.startswith("dsprites-file-")
    with pytest.raises(CorruptFileError, match="verify=false"):
        load_dataset(f"dsprites:{other}")


def test_the_manifest_of_dsprites_describes_the_same_grid_as_the_renderer() -> None:
    published = read_manifest("dsprites")
    assert published.space == DSprites.space
    assert published.shape == DSprites.observation_shape


def test_missing_information_is_reported() -> None:
    published = read_manifest("dsprites")
    assert published.info.remarks[1:] == (
        "no published size of dsprites_ndarray_co1sh3sc6or40x32y32_64x64.npz is known",
    )
    assert not published.info.offline
    gaps = [remark for remark in publish().info.remarks if "small.npz" in remark]
    assert gaps == [f"no published {what} of small.npz is known" for what in ("sha256", "md5", "size")]


@pytest.mark.parametrize("text", ["name = ", "name = 'x'", TOML.replace("square", "").format(npz="=", hdf5="")])
def test_a_broken_manifest_is_rejected(text: str) -> None:
    with pytest.raises(CorruptFileError, match="a manifest must be TOML"):
        Manifest.parse(text)


@pytest.mark.slow
def test_a_complete_file_of_the_published_layout_is_read_in_bounded_memory(tmp_path: Path) -> None:
    data = DSprites()
    path = tmp_path / "whole.npz"
    labels = np.pad(data.space.indices_of(np.arange(len(data))), ((0, 0), (1, 0)))
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        with archive.open("latents_classes.npy", "w") as member:
            np.save(member, labels)
        with archive.open("imgs.npy", "w", force_zip64=True) as member:
            header = {"descr": "|u1", "fortran_order": False, "shape": (len(data), 64, 64)}
            np.lib.format.write_array_header_1_0(member, header)
            for start in range(0, len(data), 4096):
                images = data.observations(labels[start : start + 4096, 1:])
                member.write((images // 255).data)
    script = """
        import resource, sys
        import numpy as np
        from disentmetrics.datasets import load_dataset
        from disentmetrics.datasets.catalog.dsprites import DSprites
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        data = load_dataset(f"dsprites:{sys.argv[1]}?verify=false")
        print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
        indices = data.space.indices_of(np.arange(0, len(data), 50))
        print(np.array_equal(data.observations(indices), DSprites().observations(indices)))
    """
    command = [sys.executable, "-c", textwrap.dedent(script), str(path)]
    output = subprocess.run(command, capture_output=True, text=True, check=True, timeout=300).stdout.split()
    assert int(output[0]) < 1000  # MB; the images alone are 3,020, packed and mapped 377
    assert output[1] == "True"
