import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, strategies as st
from numpy.typing import NDArray

from disentmetrics.datasets.rendering.views import Views, blend
from disentmetrics.errors import StorageError

N_VIEWS, N_MATERIALS, N_PIXELS = 7, 3, 20


def weights_of(view: int) -> NDArray[np.uint8]:
    return np.random.default_rng(view).integers(0, 86, (N_MATERIALS, N_PIXELS), np.uint8)


class Traced:
    """A tracer that records which views were traced."""

    def __init__(self) -> None:
        self.views: list[int] = []

    def __call__(self, view: int) -> NDArray[np.uint8]:
        self.views.append(view)
        return weights_of(view)


def tiny(traced: Callable[[int], NDArray[np.uint8]]) -> Views:
    return Views("tiny-1", N_VIEWS, N_MATERIALS, N_PIXELS, traced)


@pytest.fixture
def traced() -> Traced:
    return Traced()


@pytest.fixture
def views() -> NDArray[np.int64]:
    return np.array([5, 0, 3, 3, 5])


@pytest.fixture
def colours() -> NDArray[np.uint8]:
    return np.random.default_rng(9).integers(0, 256, (5, N_MATERIALS, 3), np.uint8)


@pytest.fixture
def expected(views: NDArray[np.int64], colours: NDArray[np.uint8]) -> NDArray[np.int64]:
    weights = np.stack([weights_of(view) for view in views.tolist()]).astype(np.int64)
    return np.asarray((np.einsum("nkp,nkc->npc", weights, colours.astype(np.int64)) + 255) // 256)


def test_full_weight_gives_exactly_the_colour_and_zero_weight_gives_black() -> None:
    weights = np.array([[[255, 0]]], np.uint8)
    colours = np.arange(256).repeat(3).reshape(256, 1, 3).astype(np.uint8)
    images = blend(weights, np.zeros(256, np.int64), colours)
    assert np.array_equal(images[:, 0], colours[:, 0])
    assert not images[:, 1].any()


def test_white_of_any_weight_gives_the_weight() -> None:
    weights = np.arange(256, dtype=np.uint8)[None, None]
    image = blend(weights, np.array([0]), np.full((1, 1, 3), 255, np.uint8))[0]
    assert np.array_equal(image[:, 1], np.arange(256))


def test_materials_that_share_a_pixel_share_its_colour() -> None:
    weights = np.stack([np.arange(256), 255 - np.arange(256)])[None].astype(np.uint8)
    grey = np.full((1, 2, 3), 77, np.uint8)
    assert (blend(weights, np.array([0]), grey) == 77).all()


@given(st.integers(0, 2**32 - 1), st.integers(1, 6), st.integers(1, 3000))
def test_colours_are_blended_in_exact_integers(seed: int, n_materials: int, n_pixels: int) -> None:
    rng = np.random.default_rng(seed)
    weights = rng.integers(0, 255 // n_materials + 1, (4, n_materials, n_pixels), np.uint8)
    drawn, palette = rng.integers(0, 4, 9), rng.integers(0, 256, (9, n_materials, 3), np.uint8)
    exact = np.einsum("nkp,nkc->npc", weights[drawn].astype(np.int64), palette.astype(np.int64))
    assert np.array_equal(blend(weights, drawn, palette), (exact + 255) // 256)


def test_requests_larger_than_a_batch() -> None:
    rng = np.random.default_rng(0)
    weights = rng.integers(0, 128, (3, 2, 30_000), np.uint8)
    drawn, palette = rng.integers(0, 3, 11), rng.integers(0, 256, (11, 2, 3), np.uint8)
    one_by_one = [blend(weights, drawn[i : i + 1], palette[i : i + 1])[0] for i in range(11)]
    assert np.array_equal(blend(weights, drawn, palette), one_by_one)
    assert blend(weights, drawn[:0], palette[:0]).shape == (0, 30_000, 3)


def test_only_requested_views_are_traced_and_only_once(
    traced: Traced, views: NDArray[np.int64], colours: NDArray[np.uint8], expected: NDArray[np.int64], cache: Path
) -> None:
    lazy = tiny(traced)
    assert np.array_equal(lazy.images(views, colours), expected)
    assert np.array_equal(lazy.images(views[::-1], colours[::-1]), expected[::-1])
    assert traced.views == [0, 3, 5]
    assert not cache.exists()


def test_the_cache_gives_the_traced_views(
    traced: Traced, views: NDArray[np.int64], colours: NDArray[np.uint8], expected: NDArray[np.int64], cache: Path
) -> None:
    first = tiny(traced)
    first.images(views, colours)
    first.prepare(progress=False)
    assert sorted(traced.views) == list(range(N_VIEWS))  # none was traced twice
    assert np.array_equal(first.images(views, colours), expected)
    second, unused = tiny(traced), tiny(traced)
    assert np.array_equal(second.images(views, colours), expected)
    unused.prepare(progress=False)
    assert len(traced.views) == N_VIEWS
    content = np.stack([weights_of(view) for view in range(N_VIEWS)]).tobytes()
    assert (cache / "datasets" / "tiny-1.views").read_bytes() == content + hashlib.sha256(content).digest()


def test_the_caller_owns_the_images(traced: Traced, views: NDArray[np.int64], colours: NDArray[np.uint8]) -> None:
    data = tiny(traced)
    data.prepare(progress=False)
    images = data.images(views, colours)
    original = images.copy()
    images[:] = 0
    assert np.array_equal(data.images(views, colours), original)


@pytest.mark.parametrize("damage", [lambda b: b[:-1], lambda b: b"\xff" + b[1:], lambda _: b""])
def test_a_damaged_cache_is_not_used_and_is_filled_again(
    damage: Callable[[bytes], bytes],
    traced: Traced,
    views: NDArray[np.int64],
    colours: NDArray[np.uint8],
    expected: NDArray[np.int64],
    cache: Path,
) -> None:
    tiny(traced).prepare(progress=False)
    path = cache / "datasets" / "tiny-1.views"
    intact = path.read_bytes()
    path.write_bytes(damage(intact))
    data = tiny(traced)
    assert np.array_equal(data.images(views, colours), expected)
    data.prepare(progress=False)
    assert path.read_bytes() == intact


def test_without_a_writable_cache_views_are_traced(
    tmp_path: Path,
    traced: Traced,
    views: NDArray[np.int64],
    colours: NDArray[np.uint8],
    expected: NDArray[np.int64],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("DISENTMETRICS_CACHE", str(tmp_path / "file" / "cache"))
    data = tiny(traced)
    with pytest.raises(StorageError, match="DISENTMETRICS_CACHE"):
        data.prepare(progress=False)
    assert np.array_equal(data.images(views, colours), expected)


def test_a_failure_leaves_no_partial_file(
    views: NDArray[np.int64], colours: NDArray[np.uint8], expected: NDArray[np.int64], cache: Path
) -> None:
    def failing(view: int) -> NDArray[np.uint8]:
        if view == 4:
            raise MemoryError
        return weights_of(view)

    data = tiny(failing)
    with pytest.raises(MemoryError):
        data.prepare(progress=False)
    assert np.array_equal(data.images(views, colours), expected)
    assert {path.suffix for path in (cache / "datasets").iterdir()} <= {".lock", ".TAG"}
