import gzip
import hashlib
import os
import re
import time
from dataclasses import replace
from pathlib import Path

import pytest

from disentmetrics._utils.cache import cache_entries
from disentmetrics.datasets.base import Symmetry
from disentmetrics.datasets.published import manifest
from disentmetrics.datasets.published.dataset import load_published
from disentmetrics.datasets.published.manifest import Manifest, ManifestFile, digests_of, manifests, read_manifest
from disentmetrics.datasets.registry import find_datasets
from disentmetrics.errors import CorruptFileError

PUBLISHED = {found.name: found for found in manifests()}
TOML = """
name = "toys"
summary = "toys in two halves"
licence = "none"
citation = "none"
bibtex = \"\"\"
@misc{toys}
\"\"\"
homepage = "https://example.org"
manual = ["Ask for it."]
nuisances = ["weather"]
n_observations = 77
remarks = ["heavy"]
symmetries = [{ factor = "angle", same = [0, 3], given = { toy = [1] } }]
observations = { shape = [8, 8, 1] }
factors = [
    { name = "toy", kind = "categorical", values = ["cup", "ball"] },
    { name = "angle", kind = "circular", linspace = [0, 270, 4], period = 360 },
    { name = "place", kind = "ordinal", size = 5 },
    { name = "light", kind = "continuous" },
]
files = [
    { name = "a.gz", part = "a", layout = "idx", urls = [], content_sha256 = "c" },
    { name = "b.npz", part = "b", layout = "npz", images = "x", urls = ["https://1", "https://2"], md5 = "m" },
    { name = "b.h5", part = "b", layout = "hdf5", images = "x", urls = [], bytes = 3, sha256 = "s", md5 = "m" },
]
"""


def test_every_key_of_a_manifest_is_read() -> None:
    toys = Manifest.parse(TOML)
    assert toys.space.names == ("toy", "angle", "place", "light")
    assert [(f.kind, f.size) for f in toys.space] == [
        ("categorical", 2),
        ("circular", 4),
        ("ordinal", 5),
        ("continuous", None),
    ]
    assert toys.space["angle"].values == (0.0, 90.0, 180.0, 270.0)
    assert toys.space["angle"].period == 360
    assert toys.space["place"].values == ()
    assert (toys.shape, toys.white, toys.homepage) == ((8, 8, 1), None, "https://example.org")
    assert {part: [f.name for f in files] for part, files in toys.parts.items()} == {
        "a": ["a.gz"],
        "b": ["b.npz", "b.h5"],
    }
    info = toys.info
    assert info.symmetries == (Symmetry("angle", (0, 3), {"toy": (1,)}),)
    assert (info.bibtex, info.nuisances, info.n_observations) == ("@misc{toys}", ("weather",), 77)
    assert info.remarks == (
        "heavy",
        "Ask for it.",
        "no published sha256 of a.gz is known",
        "no published md5 of a.gz is known",
        "no published size of a.gz is known",
        "no published sha256 of b.npz is known",
        "no published size of b.npz is known",
    )


def test_a_data_set_may_have_no_factors() -> None:
    text = re.sub(r"(?s)factors = \[.*?\n\]", "", TOML)
    assert len(Manifest.parse(text).space) == 0


@pytest.mark.parametrize(
    "wrong",
    [
        TOML.replace("homepage", "home_page"),
        TOML.replace("md5", "md6"),
        TOML.replace("white", "wite").replace("shape = [8, 8, 1]", "shape = [8, 8, 1], wite = 1"),
        TOML.replace('kind = "circular"', 'type = "circular"'),
        TOML.replace('name = "toys"', ""),
        TOML.replace('layout = "npz", ', ""),
        TOML.replace('["cup", "ball"]', '["cup", "ball"], size = 3'),
        TOML.replace("same", "alike"),
        TOML + "=",
    ],
)
def test_missing_and_misspelt_keys_are_rejected(wrong: str) -> None:
    with pytest.raises(CorruptFileError, match="a manifest must be TOML with the keys of"):
        Manifest.parse(wrong)


@pytest.mark.parametrize("name", sorted(PUBLISHED))
class TestPublished:
    def test_it_is_named_as_its_file_and_can_be_cited(self, name: str) -> None:
        found = read_manifest(name)
        assert found.name == name
        assert found.bibtex.startswith("@")
        assert found.bibtex.count("{") == found.bibtex.count("}")
        assert found.homepage.startswith("https://")

    def test_checksums_are_complete_and_hexadecimal(self, name: str) -> None:
        for file in PUBLISHED[name].files:
            for algorithm, digest in {**file.checksums, "sha256 ": file.content_sha256 or "0" * 64}.items():
                assert re.fullmatch("[0-9a-f]{64}" if "sha256" in algorithm else "[0-9a-f]{32}", digest)

    def test_manifests_without_downloads_contain_instructions(self, name: str) -> None:
        found = PUBLISHED[name]
        for file in found.files:
            assert all(url.startswith(("https://", "http://")) for url in file.urls)
            can_be_fetched = bool(file.urls) and file.is_verifiable
            assert can_be_fetched or found.manual

    def test_data_sets_of_several_parts_have_their_own_loader(self, name: str) -> None:
        load = find_datasets()[name].load
        is_general = getattr(load, "func", None) is load_published
        assert not (is_general and len(PUBLISHED[name].parts) > 1)

    def test_symmetries_are_of_factors_that_there_are(self, name: str) -> None:
        space = PUBLISHED[name].space
        for symmetry in PUBLISHED[name].symmetries:
            for factor, indices in {symmetry.factor: symmetry.same, **symmetry.given}.items():
                assert max(indices) < (space[factor].size or 0)


@pytest.mark.parametrize(
    ("name", "sizes", "shape"),
    [
        ("shapes3d", (10, 10, 10, 8, 4, 15), (64, 64, 3)),
        ("mpi3d-toy", (6, 6, 2, 3, 3, 40, 40), (64, 64, 3)),
        ("mpi3d-realistic", (6, 6, 2, 3, 3, 40, 40), (64, 64, 3)),
        ("mpi3d-real", (6, 6, 2, 3, 3, 40, 40), (64, 64, 3)),
        ("mpi3d-complex", (4, 4, 2, 3, 3, 40, 40), (64, 64, 3)),
        ("smallnorb", (5, 10, 9, 18, 6), (96, 96, 1)),
        ("cars3d", (4, 24, 183), (128, 128, 3)),
        ("faces3d", (50, 21, 11, 11), (64, 64, 1)),
        ("lpc-sprites", (6, 6, 6, 6, 3, 3), (64, 64, 3)),
        ("coil20", (20, 72), (128, 128, 1)),
    ],
)
def test_grids_are_those_of_the_papers(name: str, sizes: tuple[int, ...], shape: tuple[int, ...]) -> None:
    assert PUBLISHED[name].space.sizes == sizes
    assert PUBLISHED[name].shape == shape


def test_angles_and_hues_are_circular() -> None:
    circular = {f"{m.name}.{f.name}" for m in PUBLISHED.values() for f in m.space if f.kind == "circular"}
    assert circular >= {
        "dsprites.orientation",
        "shapes3d.floor_hue",
        "shapes3d.wall_hue",
        "shapes3d.object_hue",
        "smallnorb.azimuth",
        "cars3d.azimuth",
        "coil20.angle",
    }
    named = {"energy-efficiency.orientation", "chairs3d.azimuth"}  # names, and angles that only the files contain
    without = {
        f"{m.name}.{f.name}" for m in PUBLISHED.values() for f in m.space if f.kind == "circular" and not f.period
    }
    assert without == named
    assert not circular & {"shapes3d.orientation", "mpi3d-real.horizontal_axis", "faces3d.azimuth"}


CONTENT = b"what it holds" * 99


@pytest.fixture
def packed(tmp_path: Path) -> Path:
    path = tmp_path / "x.gz"
    path.write_bytes(gzip.compress(CONTENT, mtime=0))
    return path


def file_of(path: Path, *, with_container: bool = True) -> ManifestFile:
    container = {"sha256": hashlib.sha256(path.read_bytes()).hexdigest()} if with_container else {}
    content = hashlib.sha256(CONTENT).hexdigest()
    return ManifestFile(name="x.gz", layout="idx", checksums=container, content_sha256=content)


@pytest.mark.parametrize("with_container", [True, False])
def test_the_content_is_enough(with_container: bool, packed: Path) -> None:
    file = file_of(packed, with_container=with_container)
    assert file.is_verifiable
    assert file.mismatch(packed) == ""
    packed.write_bytes(gzip.compress(CONTENT, 1, mtime=5))
    assert file.mismatch(packed) == ""
    packed.write_bytes(CONTENT)
    assert file.mismatch(packed) == ""
    for other in (CONTENT[:-1], gzip.compress(CONTENT[1:]), gzip.compress(CONTENT)[:-1], b"\x1f\x8b"):
        packed.write_bytes(other)
        assert "unpacked sha256" in file.mismatch(packed)


def test_without_a_hash_of_the_content_the_container_must_match(packed: Path) -> None:
    file = replace(file_of(packed), content_sha256="")
    assert file.mismatch(packed) == ""
    packed.write_bytes(CONTENT)
    assert "sha256" in file.mismatch(packed)


def test_all_checksums_are_computed_in_one_pass(packed: Path) -> None:
    found = digests_of(packed, ["md5", "sha256"])
    assert found == {name: hashlib.new(name, packed.read_bytes()).hexdigest() for name in ("md5", "sha256")}


def test_checksums_of_large_files_are_cached_until_they_change(
    packed: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(manifest, "_MIN_CACHED_BYTES", 0)
    first = digests_of(packed, ["sha256"])
    (entry,) = (cache / "datasets" / "digests").glob("*.json")
    assert [e.path for e in cache_entries()] == [entry]  # so that it can be cleared
    monkeypatch.setattr(manifest, "_chunks", None)  # the file is not read again
    assert digests_of(packed, ["sha256"]) == first
    monkeypatch.undo()
    monkeypatch.setenv("DISENTMETRICS_CACHE", str(cache))
    monkeypatch.setattr(manifest, "_MIN_CACHED_BYTES", 0)
    entry.write_text("not JSON")
    assert digests_of(packed, ["sha256"]) == first
    moved = packed.rename(packed.with_name("y.gz"))  # a change like any other to the file system
    assert digests_of(moved, ["sha256"]) == first
    content = bytearray(moved.read_bytes())
    content[9] ^= 1
    moved.write_bytes(content)
    os.utime(moved, ns=(time.time_ns(), time.time_ns() + 10**9))
    assert digests_of(moved, ["sha256"]) != first


def test_checksums_are_computed_without_a_cache(packed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(manifest, "_MIN_CACHED_BYTES", 0)
    monkeypatch.setenv("DISENTMETRICS_CACHE", str(packed / "below a file"))
    assert digests_of(packed, ["md5"])["md5"] == hashlib.md5(packed.read_bytes()).hexdigest()
