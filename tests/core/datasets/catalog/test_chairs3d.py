"""3D Chairs, tested on a small archive in the published layout."""

import io
import pickle
import tarfile
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

import disentmetrics as dm
from disentmetrics.errors import CorruptFileError, InvalidInputError
from disentmetrics.factors import Factor

MODELS, ELEVATIONS, AZIMUTHS = ("1a74a83fa6d24b3cacd67ce2c72c02e", "b2", "c3"), (20, 30), (11, 95, 191, 350)
SIDES = list(product(ELEVATIONS, AZIMUTHS))


def rendering(number: int) -> NDArray[np.uint8]:
    return np.random.default_rng(number).integers(0, 256, (12, 12, 3), dtype=np.uint8)


def png(image: NDArray[np.uint8]) -> bytes:
    file = io.BytesIO()
    Image.fromarray(image).save(file, "PNG")
    return file.getvalue()


def files() -> dict[str, bytes]:
    contents = {"rendered_chairs/all_chair_names.mat": b"MATLAB 5.0"}
    for m, model in enumerate(MODELS):
        for side, (elevation, azimuth) in enumerate(SIDES):
            name = f"rendered_chairs/{model}/renders/image_{side:03d}_p{elevation:03d}_t{azimuth:03d}_r096.png"
            contents[name] = png(rendering(len(SIDES) * m + side))
    return dict(reversed(contents.items()))  # the order in an archive is arbitrary


def write(folder: Path, contents: dict[str, bytes]) -> Path:
    path = folder / "rendered_chairs.tar"
    with tarfile.open(path, "w") as archive:
        for name, content in contents.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
        link = tarfile.TarInfo("rendered_chairs/b2/renders/image_099_p020_t011_r096.png")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    return path


def test_factors_are_parsed_from_file_names(tmp_path: Path) -> None:
    data = dm.load_dataset(f"chairs3d:{write(tmp_path, files())}?verify=false")
    assert [(f.name, f.kind, f.size) for f in data.space] == [
        ("model", "categorical", 3), ("elevation", "ordinal", 2), ("azimuth", "circular", 4),
    ]  # fmt: skip
    assert data.space["azimuth"] == Factor("azimuth", 4, "circular", (11.0, 95.0, 191.0, 350.0), 360.0)
    assert data.nuisances == ()
    assert data.fingerprint.startswith("chairs3d-file-")
    grid = data.space.indices_of(np.arange(24))
    assert np.array_equal(data.observations(grid), np.stack([rendering(n) for n in range(24)]))
    again = pickle.loads(pickle.dumps(data))
    assert np.array_equal(again.observations(grid[5:9]), data.observations(grid[5:9]))


def test_the_unpacked_folder_gives_the_same_images(tmp_path: Path) -> None:
    for name, content in files().items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(content)
    data = dm.load_dataset(f"chairs3d:{tmp_path / 'rendered_chairs'}?verify=false&crop=8&size=4")
    assert data.fingerprint.endswith("-crop8-4")
    means = rendering(7)[2:10, 2:10].reshape(4, 2, 4, 2, 3).mean(axis=(1, 3))
    assert np.abs(data.observations([[0, 1, 3]])[0] - means).max() <= 0.5


def test_a_missing_viewpoint_leaves_a_hole_in_the_grid(tmp_path: Path) -> None:
    contents = files()
    del contents["rendered_chairs/c3/renders/image_007_p030_t350_r096.png"]
    data = dm.load_dataset(f"chairs3d:{write(tmp_path, contents)}?verify=false")
    assert len(data) == 23
    with pytest.raises(InvalidInputError, match="do not occur, such as model 2, elevation 1, azimuth 3"):
        data.draws([[2, 1, 3]])


def test_archives_of_another_layout_are_refused(tmp_path: Path) -> None:
    with pytest.raises(CorruptFileError, match="must contain files such as MODEL/renders/image_007"):
        dm.load_dataset(f"chairs3d:{write(tmp_path, {'a/b.png': png(rendering(0))})}?verify=false")
    path = tmp_path / "other.tar"
    path.write_bytes(b"no archive")
    with pytest.raises(CorruptFileError, match="must be a complete file of layout tar"):
        dm.load_dataset(f"chairs3d:{path}?verify=false")
    with pytest.raises(CorruptFileError, match="no checksum of it is published"):
        dm.load_dataset(f"chairs3d:{write(tmp_path, files())}")


def test_truncated_and_altered_archives_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path, files())
    intact = path.read_bytes()
    path.write_bytes(intact[: len(intact) // 2 + 100])
    with pytest.raises(CorruptFileError, match="must be a complete archive"):
        dm.load_dataset(f"chairs3d:{path}?verify=false")
    content = bytearray(intact)
    content[intact.index(png(rendering(3))) + 60] ^= 0xFF
    path.write_bytes(content)
    data = dm.load_dataset(f"chairs3d:{path}?verify=false")
    with pytest.raises(CorruptFileError, match="image_003_p020_t350_r096.png must be a complete image"):
        data.observations([[0, 0, 3]])
    path.write_bytes(intact[: len(intact) // 2])
    with pytest.raises(CorruptFileError, match="bytes"):
        data.observations(data.space.indices_of(np.arange(24)))
