import hashlib
import pickle
import subprocess
import sys
import textwrap
from collections.abc import Callable
from math import cos, pi, sin
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from numpy.typing import NDArray

from disentmetrics.datasets import load_dataset
from disentmetrics.datasets.catalog import dsprites
from disentmetrics.datasets.catalog.dsprites import DSprites, outlines
from disentmetrics.errors import InvalidInputError, StorageError
from disentmetrics.factors import Factor, FactorSpace

REAL = sorted((Path(__file__).parents[1] / "real_dsprites").glob("*.npz"))
SIZES = (3, 6, 40, 32, 32)
combinations = st.tuples(*(st.integers(0, size - 1) for size in SIZES))


class TinyDSprites(DSprites):
    """Few enough images that a test can fill the cache."""

    fingerprint = "tiny-1"
    space = FactorSpace(
        [Factor(name, size, "ordinal") for name, size in zip(DSprites.space.names, (3, 2, 3, 4, 5), strict=True)]
    )


@pytest.fixture
def grid() -> NDArray[np.int64]:
    return TinyDSprites.space.indices_of(np.arange(360))


def is_inside(column: int, row: int, polygon: list[tuple[int, int]]) -> bool:
    """Count the edges left of, or through, the centre of a pixel, in integer units of 1/256 pixel."""
    x, y = 256 * column + 128, 256 * row + 128
    n_left = 0
    for (x0, y0), (x1, y1) in zip(polygon, polygon[1:] + polygon[:1], strict=True):
        if (y0 < y) != (y1 < y):  # a centre on a bottom edge counts, on a top edge not
            side = (x - x0) * (y1 - y0) - (x1 - x0) * (y - y0)
            n_left += side >= 0 if y1 > y0 else side <= 0
    return n_left % 2 == 1


def rasterised_pixel_by_pixel(indices: tuple[int, ...]) -> list[list[bool]]:
    shape, scale, orientation, x, y = indices
    size, angle = 0.5 + 0.1 * scale, 2 * pi * orientation / 39
    polygon = []
    for across, down in outlines()[shape].tolist():
        right = 16 + 32 * x / 31 + size * (across * cos(angle) + down * sin(angle))
        below = 16 + 32 * y / 31 + size * (-across * sin(angle) + down * cos(angle))
        polygon.append((round(256 * right), round(256 * below)))
    return [[is_inside(column, row, polygon) for column in range(64)] for row in range(64)]


@pytest.mark.parametrize("path", REAL, ids=lambda path: path.stem)
def test_original_images_are_reproduced_pixel_for_pixel(path: Path) -> None:
    with np.load(path) as real:
        images = DSprites().observations(real["latents_classes"][:, 1:])
        assert np.array_equal(images, 255 * real["imgs"][..., None])


def test_401_original_images_are_compared() -> None:
    assert sum(len(np.load(path)["imgs"]) for path in REAL) == 401


@settings(max_examples=20)
@given(combinations)
def test_the_sprite_is_the_set_of_pixels_whose_centre_lies_inside(indices: tuple[int, ...]) -> None:
    image = DSprites().observations([indices])[0, ..., 0]
    assert np.array_equal(image == 255, rasterised_pixel_by_pixel(indices))


def test_an_upright_square_has_the_expected_corners() -> None:
    image = DSprites().observations([[0, 5, 0, 0, 31]])[0, ..., 0]
    rows, columns = np.nonzero(image)
    # centre (16, 48), half a side 9.6: centres of pixels from 6.4 to 25.6 and from 38.4 to 57.6
    assert (columns.min(), columns.max(), rows.min(), rows.max()) == (6, 25, 38, 57)
    assert len(rows) == 20 * 20


def test_x_moves_right_and_y_moves_down() -> None:
    left, right, top, bottom = (
        np.argwhere(DSprites().observations([[2, 3, 7, x, y]])[0, ..., 0]).mean(axis=0)
        for x, y in ((0, 9), (31, 9), (9, 0), (9, 31))
    )
    assert np.allclose(right - left, [0, 32], atol=0.2)
    assert np.allclose(bottom - top, [32, 0], atol=0.2)


@given(st.lists(combinations, min_size=1, max_size=20))
def test_orientations_0_and_39_are_one_image(drawn: list[tuple[int, ...]]) -> None:
    first, last = np.array(drawn), np.array(drawn)
    first[:, 2], last[:, 2] = 0, 39
    assert np.array_equal(DSprites().observations(first), DSprites().observations(last))


def test_other_orientations_of_a_heart_differ() -> None:
    hearts = DSprites().observations([[2, 5, orientation, 10, 20] for orientation in range(39)])
    assert len({heart.tobytes() for heart in hearts}) == 39


def test_images_are_binary_and_sprites_never_touch_the_border() -> None:
    images = DSprites().observations(DSprites.space.indices_of(np.arange(0, 737_280, 101)))
    assert set(np.unique(images)) == {0, 255}
    border = np.ones((64, 64), bool)
    border[1:-1, 1:-1] = False
    assert not images[:, border].any()


@given(st.lists(combinations, min_size=1, max_size=30))
def test_an_image_does_not_depend_on_its_batch(drawn: list[tuple[int, ...]]) -> None:
    indices = np.array(drawn)
    together = DSprites().observations(indices)
    one_by_one = np.concatenate([DSprites().observations(one[None]) for one in indices])
    assert np.array_equal(together, one_by_one)
    assert np.array_equal(DSprites().observations(indices[::-1]), together[::-1])


def test_requests_larger_than_a_batch() -> None:
    rows = np.arange(9000) * 81
    parts = [DSprites().observations(DSprites.space.indices_of(part)) for part in np.array_split(rows, 7)]
    assert np.array_equal(DSprites().observations(DSprites.space.indices_of(rows)), np.concatenate(parts))


def test_no_images_are_an_empty_batch() -> None:
    assert DSprites().observations(np.empty((0, 5), int)).shape == (0, 64, 64, 1)


def test_a_fixed_subset_is_the_same_on_every_machine() -> None:
    images = DSprites().observations(DSprites.space.indices_of(np.arange(0, 737_280, 73)))
    assert hashlib.sha256(images.data).hexdigest() == "8a18979a2dd8f2e34647f7dd4166b290e36eaa27f7b150d4e1c9883ab4ae641b"


def test_no_vertex_comes_near_a_rounding_tie() -> None:
    angles, scales = 2 * pi * np.arange(40) / 39, np.linspace(0.5, 1, 6)[:, None, None]
    nearest = 0.5
    for across, down in (outline.T for outline in outlines()):
        for offset in (
            scales * (across * np.cos(angles)[:, None] + down * np.sin(angles)[:, None]),
            scales * (down * np.cos(angles)[:, None] - across * np.sin(angles)[:, None]),
        ):
            for centre in 16 + 32 * np.arange(32) / 31:
                fraction = np.mod(256 * (centre + offset), 1)
                nearest = min(nearest, np.abs(fraction - 0.5).min())
    assert 2.7e-7 < nearest < 2.9e-7  # the error of float64 is below 1e-10 here


@pytest.mark.parametrize(
    ("indices", "complaint"),
    [
        ([[3, 0, 0, 0, 0]], "'shape' must lie in 0 .. 2"),
        ([[0, 0, 0, 0, -1]], "'y' must lie in 0 .. 31"),
        ([[0, 0, 40, 0, 0]], "'orientation' must lie in 0 .. 39"),
        ([[0, 0, 0, 0]], r"shape \(n, 5\)"),
        ([0, 0, 0, 0, 0], r"shape \(n, 5\)"),
        ([[0.0, 0, 0, 0, 0]], "integers"),
    ],
)
def test_wrong_indices_are_refused(indices: list[list[int]], complaint: str) -> None:
    with pytest.raises(InvalidInputError, match=complaint):
        DSprites().observations(indices)


def test_the_caller_owns_the_images() -> None:
    data = TinyDSprites()
    data.prepare()
    data.observations([[0, 0, 0, 0, 0]])[:] = 7
    assert set(np.unique(data.observations([[0, 0, 0, 0, 0]]))) == {0, 255}


def test_the_cache_gives_the_rendered_images(
    cache: Path, grid: NDArray[np.int64], monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn = TinyDSprites().observations(grid)
    data = TinyDSprites()
    data.prepare()
    monkeypatch.setattr(dsprites, "render", None)
    assert np.array_equal(data.observations(grid), drawn)
    assert np.array_equal(data.observations(grid[::-7]), drawn[::-7])
    assert [path.name for path in sorted((cache / "datasets").glob("*.bits"))] == ["tiny-1.bits"]


def test_a_filled_cache_is_not_filled_again(monkeypatch: pytest.MonkeyPatch) -> None:
    TinyDSprites().prepare()
    monkeypatch.setattr(dsprites, "render", None)
    monkeypatch.setattr(dsprites, "locked", None)  # its folder may be read-only
    TinyDSprites().prepare()


def test_few_images_neither_fill_nor_open_the_cache(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dsprites, "open_packed", None)
    TinyDSprites().observations(np.zeros((1000, 5), int))
    assert not cache.exists()


def test_many_images_are_read_from_an_existing_cache(grid: NDArray[np.int64], monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = TinyDSprites().observations(grid)
    TinyDSprites().prepare()
    monkeypatch.setattr(dsprites, "_OPEN_CACHE_AFTER", 360)
    monkeypatch.setattr(dsprites, "render", None)
    assert np.array_equal(TinyDSprites().observations(grid), drawn)


@pytest.mark.parametrize("damage", [lambda b: b[:-1], lambda b: b"\xff" + b[1:], lambda _: b""])
def test_a_damaged_cache_is_not_used_and_is_filled_again(
    damage: Callable[[bytes], bytes], cache: Path, grid: NDArray[np.int64], monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn = TinyDSprites().observations(grid)
    TinyDSprites().prepare()
    path = cache / "datasets" / "tiny-1.bits"
    intact = path.read_bytes()
    path.write_bytes(damage(intact))
    monkeypatch.setattr(dsprites, "_OPEN_CACHE_AFTER", 1)
    assert np.array_equal(TinyDSprites().observations(grid), drawn)
    data = TinyDSprites()
    data.prepare()
    assert path.read_bytes() == intact
    assert np.array_equal(data.observations(grid), drawn)


def test_without_a_writable_cache_images_are_rendered(
    tmp_path: Path, grid: NDArray[np.int64], monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn = TinyDSprites().observations(grid)
    (tmp_path / "file").touch()
    monkeypatch.setenv("DISENTMETRICS_CACHE", str(tmp_path / "file" / "cache"))
    monkeypatch.setattr(dsprites, "_OPEN_CACHE_AFTER", 1)
    data = TinyDSprites()
    with pytest.raises(StorageError, match="DISENTMETRICS_CACHE"):
        data.prepare()
    assert np.array_equal(data.observations(grid), drawn)


def run(script: str, *arguments: str) -> subprocess.Popen[str]:
    tiny = """
        import sys
        import numpy as np
        from disentmetrics.datasets.catalog import dsprites
        from disentmetrics.factors import Factor, FactorSpace

        class Tiny(dsprites.DSprites):
            fingerprint = "tiny-1"
            space = FactorSpace([Factor(n, s, "ordinal") for n, s in zip("abcde", (3, 2, 3, 4, 5))])
    """
    code = textwrap.dedent(tiny) + textwrap.dedent(script)
    return subprocess.Popen([sys.executable, "-c", code, *arguments], stdout=subprocess.PIPE, text=True)


def test_a_full_disk_leaves_no_partial_file(cache: Path) -> None:
    pytest.importorskip("resource", reason="file size limits simulate a full disk")
    script = """
        import resource
        from disentmetrics.errors import StorageError
        resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))
        data = Tiny()
        try:
            data.prepare()
        except StorageError as error:
            print(error)
        print(data.observations([[0, 0, 0, 0, 0]]).sum() // 255)
    """
    output, _ = run(script).communicate(timeout=60)
    assert "could not be written" in output
    assert output.splitlines()[-1] == str((TinyDSprites().observations([[0] * 5]) == 255).sum())
    assert {path.suffix for path in (cache / "datasets").iterdir()} <= {".lock", ".TAG"}


def test_of_two_processes_one_fills_the_cache_and_both_use_it(
    cache: Path, tmp_path: Path, grid: NDArray[np.int64]
) -> None:
    log = tmp_path / "log"
    script = """
        import time
        render = dsprites.render
        def slow_render(indices):
            with open(sys.argv[1], "a") as log:
                log.write("rendered\\n")
            time.sleep(0.5)
            return render(indices)
        dsprites.render = slow_render
        data = Tiny()
        data.prepare()
        grid = data.space.indices_of(np.arange(360))
        print(data.observations(grid).astype(int).sum())
    """
    processes = [run(script, str(log)) for _ in range(2)]
    outputs = [process.communicate(timeout=60)[0] for process in processes]
    expected = TinyDSprites().observations(grid).astype(int).sum()
    assert outputs == [f"{expected}\n"] * 2
    assert log.read_text() == "rendered\n"
    assert not list((cache / "datasets").glob("*.partial"))


def test_another_process_gets_the_data_set_without_its_images() -> None:
    data = TinyDSprites()
    data.prepare()
    sent = pickle.dumps(data)
    assert len(sent) < 1000
    assert np.array_equal(pickle.loads(sent).observations([[1] * 5]), data.observations([[1] * 5]))


def test_sampled_factors_are_uniform_and_repeatable() -> None:
    drawn = DSprites().sample_factors(50_000, np.random.default_rng(3))
    assert np.array_equal(drawn, DSprites().sample_factors(50_000, np.random.default_rng(3)))
    for column, size in enumerate(SIZES):
        counts = np.bincount(drawn[:, column], minlength=size)
        assert len(counts) == size
        assert np.abs(counts / 50_000 * size - 1).max() < 0.15


def test_the_space_is_that_of_the_paper() -> None:
    space = DSprites.space
    assert space.names == ("shape", "scale", "orientation", "x", "y")
    assert space.sizes == SIZES
    assert [factor.kind for factor in space] == ["categorical", "ordinal", "circular", "ordinal", "ordinal"]
    assert np.allclose(space["orientation"].values, 2 * pi * np.arange(40) / 39)
    assert len(DSprites()) == 737_280


@pytest.mark.slow
def test_the_full_grid_has_the_published_totals_and_the_frozen_hash(cache: Path) -> None:
    data = DSprites()
    data.prepare()
    digest, n_white, distinct = hashlib.sha256(), 0, [set[bytes](), set[bytes](), set[bytes]()]
    for start in range(0, len(data), 4096):
        indices = data.space.indices_of(np.arange(start, start + 4096))
        images = data.observations(indices)[..., 0] // 255
        assert np.array_equal(255 * images[:64], DSprites().observations(indices[:64])[..., 0])
        digest.update(images.data)
        n_white += int(images.sum(dtype=np.int64))
        for image in images:
            distinct[start // 245_760].add(hashlib.blake2b(image.data, digest_size=16).digest())
    assert [len(images) for images in distinct] == [236_996, 239_094, 239_616]
    assert len(set.union(*distinct)) == 715_706
    assert n_white == 128_328_864
    assert digest.hexdigest() == "2c612e5234d21c2b576c375ebe1faa1b363ab97d340164c5d2dcf27f35dd5eb6"
    assert (cache / "datasets" / "dsprites-1.bits").stat().st_size == 737_280 * 512 + 32


@pytest.mark.parametrize("option", ["layout=hdf5", "layout=npz", "verify=false"])
@pytest.mark.parametrize("source", ["", "&source=rendered"])
def test_options_of_the_original_are_refused_without_it(option: str, source: str) -> None:
    name = option.partition("=")[0]
    with pytest.raises(
        InvalidInputError, match=f"option {name} of dsprites applies only to the published file.*source=original"
    ):
        load_dataset(f"dsprites?{option}{source}")
