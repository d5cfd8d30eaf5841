"""Encoding: choice of rows, each encoded once, checks of every batch, and the cache."""

import errno
import importlib.util
import json
import logging
import os
import signal
import subprocess
import sys
import threading
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from numpy.typing import NDArray

import disentmetrics as dm
from disentmetrics._utils.cache import TAG, cache_entries, cache_folder, clear_cache, locked
from disentmetrics.datasets.base import DataSet
from disentmetrics.encoders._partial_store import PartialStore
from disentmetrics.encoders.encode import encode as encode_function
from disentmetrics.errors import EncoderError, InvalidInputError, StorageError
from disentmetrics.factors import Factor, FactorSpace

STORE, CACHE = sys.modules["disentmetrics.encoders._partial_store"], sys.modules["disentmetrics._utils.cache"]


class Tiles(DataSet):
    """8x8 images: the first two pixels are the row's number, the others a pattern of it."""

    name = "tiles"
    space = FactorSpace((Factor("a", 4, "categorical"), Factor("b", 10, "ordinal"), Factor("c", 50, "circular")))
    observation_shape = (8, 8, 1)

    def __init__(self, fingerprint: str = "tiles-1") -> None:
        self.fingerprint = fingerprint

    def make(self, factors: NDArray[np.int64], nuisance: NDArray[np.uint64]) -> NDArray[np.uint8]:
        rows = self.space.rows_of(factors)
        images = (rows[:, None] * np.arange(64) % 251).astype(np.uint8)
        images[:, 0], images[:, 1] = rows % 256, rows // 256
        return images.reshape(-1, 8, 8, 1)


def rows_in(images: NDArray[Any]) -> NDArray[np.int64]:
    flat = images.reshape(len(images), -1).astype(np.int64)
    return flat[:, 0] + 256 * flat[:, 1]


def codes_of(rows: NDArray[np.int64]) -> NDArray[np.float32]:
    return np.stack([np.sin(rows), np.cos(rows), rows], axis=1).astype(np.float32)


class Counting:
    """An encoder that records the rows it was given."""

    def __init__(self, fingerprint: str | None = "counting-1", fail_at: int | None = None) -> None:
        self.seen: list[NDArray[np.int64]] = []
        self.fail_at = fail_at
        if fingerprint is not None:
            self.fingerprint = fingerprint

    def __call__(self, images: NDArray[Any]) -> NDArray[np.floating]:
        if self.fail_at is not None and len(self.seen) == self.fail_at:
            raise KeyboardInterrupt
        self.seen.append(rows_in(images))
        return codes_of(self.seen[-1])

    @property
    def rows(self) -> NDArray[np.int64]:
        """Requested rows, without the repeated rows of the first batch."""
        return np.concatenate([self.seen[0], *self.seen[2:]])


@pytest.fixture
def tiles() -> Tiles:
    return Tiles()


def only_file(pattern: str) -> Path:
    (found,) = (cache_folder() / "representations").glob(pattern)
    return found


# ------------------------------------------------------------------------------ choice of rows


@pytest.mark.parametrize(
    "ways", [{"n_samples": 5, "full_grid": True}, {"n_samples": 5, "indices": [[0, 0, 0]]}], ids=str
)
def test_rows_are_chosen_in_one_way(tiles: Tiles, ways: dict[str, Any]) -> None:
    encoder = Counting()
    with pytest.raises(InvalidInputError, match="exactly one way"):
        dm.encode(encoder, tiles, **ways)
    assert not encoder.seen


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_samples": 0}, "n_samples must be a whole number of at least 1; got 0"),
        ({"n_samples": 2001}, "at most 2000 distinct combinations"),
        ({"indices": np.empty((0, 3), int)}, "indices is empty"),
        ({"indices": [[0, 0, 50]]}, "indices of factor 'c' must lie in 0 .. 49"),
        ({"indices": [[0.5, 0, 0]]}, "must be integers"),
        ({"n_samples": 5, "batch_size": 0}, "batch_size must be at least 1; got 0"),
        ({"n_samples": 5, "seed": -1}, "seed must be a whole number of at least 0; got -1"),
    ],
)
def test_impossible_rows_are_refused_in_a_sentence(tiles: Tiles, options: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        dm.encode(Counting(), tiles, **options)


def test_codes_are_what_the_encoder_gives_for_these_factors(tiles: Tiles) -> None:
    found = dm.encode(Counting(None), tiles, n_samples=300, batch_size=64)
    assert np.array_equal(found.codes, codes_of(tiles.space.rows_of(found.factors)))
    assert found.codes.dtype == np.float32
    assert found.space == tiles.space
    assert len(np.unique(tiles.space.rows_of(found.factors))) == 300


@pytest.mark.parametrize("batch_size", [1, 2, 7, 99, 100, 101, 5000])
def test_batches_of_any_size_give_equal_codes(tiles: Tiles, batch_size: int) -> None:
    reference = dm.encode(Counting(None), tiles, n_samples=100)
    found = dm.encode(Counting(None), tiles, n_samples=100, batch_size=batch_size)
    assert np.array_equal(found.codes, reference.codes)
    assert np.array_equal(found.factors, reference.factors)
    assert found.row_key == reference.row_key


def test_the_seed_alone_decides_the_draw(tiles: Tiles) -> None:
    first, again, other = (dm.encode(Counting(None), tiles, n_samples=50, seed=seed) for seed in (0, 0, 1))
    assert np.array_equal(first.factors, again.factors)
    assert not np.array_equal(first.factors, other.factors)


def test_each_distinct_observation_is_encoded_once_and_returned_in_the_requested_order(tiles: Tiles) -> None:
    encoder = Counting()
    indices = tiles.space.indices_of(np.random.default_rng(0).integers(0, 30, 200))
    found = dm.encode(encoder, tiles, indices=indices, batch_size=8)
    assert np.array_equal(found.factors, indices)
    assert np.array_equal(found.codes, codes_of(tiles.space.rows_of(indices)))
    assert np.array_equal(encoder.rows, np.unique(tiles.space.rows_of(indices)))
    assert not found.provenance.population


def test_the_full_grid_is_the_population_and_a_draw_is_not(tiles: Tiles) -> None:
    full = dm.encode(Counting(), tiles, full_grid=True)
    assert full.provenance.population
    assert np.array_equal(tiles.space.rows_of(full.factors), np.arange(2000))
    assert not dm.encode(Counting(), tiles, n_samples=2000).provenance.population
    assert full.provenance.rows == "grid"


def test_an_encoder_that_reads_factors_gets_them(tiles: Tiles) -> None:
    class Reads:
        reads_factors = True

        def __call__(self, indices: NDArray[Any]) -> NDArray[np.float64]:
            return indices * 2.0

    found = dm.encode(Reads(), tiles, n_samples=100)
    assert np.array_equal(found.codes, found.factors * 2.0)


def test_an_encoder_may_be_named(tiles: Tiles) -> None:
    named = dm.encode("baseline:pixels", tiles, n_samples=20)
    assert np.allclose(named.codes, tiles.observations(named.factors).reshape(20, -1) / 255)
    assert named.provenance.encoder == "baseline-pixels"


# ------------------------------------------------------------------------------ valid output


def posterior_of(images: NDArray[Any]) -> dm.Posterior:
    codes = codes_of(rows_in(images))
    return dm.Posterior(codes, -np.abs(codes))


@pytest.mark.parametrize("cache", [False, True])
def test_a_posterior_gives_means_and_log_variances(tiles: Tiles, cache: bool) -> None:
    class Encoder:
        fingerprint = "posterior-1"

        def __call__(self, images: NDArray[Any]) -> dm.Posterior:
            return posterior_of(images)

    found = dm.encode(Encoder(), tiles, n_samples=100, batch_size=30, cache=cache)
    expected = codes_of(tiles.space.rows_of(found.factors))
    assert np.array_equal(found.codes, expected)
    assert found.log_variance is not None
    assert np.array_equal(found.log_variance, -np.abs(expected))
    assert found.codes.flags.c_contiguous


class _Lazy:
    """Like a tensor of another framework: converted to an array only on request."""

    def __init__(self, values: NDArray[Any]) -> None:
        self.values = values

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return self.values.astype(dtype or self.values.dtype)


@pytest.mark.parametrize(
    ("answer", "dtype"),
    [
        (_Lazy, np.float32),
        (lambda codes: codes.astype(np.float64), np.float64),
        (lambda codes: codes.astype(np.float16), np.float32),
        (lambda codes: codes.astype(">f4"), np.float64),
        (lambda codes: codes > 0, np.float64),
        (lambda codes: codes.astype(int), np.float64),
        (np.asfortranarray, np.float32),
        (lambda codes: np.repeat(codes, 2, axis=0)[::2], np.float32),
    ],
    ids=["lazy", "float64", "float16", "big-endian", "bool", "int", "fortran", "strided"],
)
def test_real_arrays_of_any_kind_are_codes(
    tiles: Tiles, answer: Callable[[NDArray[Any]], Any], dtype: type[np.floating]
) -> None:
    found = dm.encode(lambda images: answer(codes_of(rows_in(images) % 100)), tiles, n_samples=100, batch_size=7)
    assert found.codes.dtype == dtype
    assert np.array_equal(found.codes, np.asarray(answer(codes_of(tiles.space.rows_of(found.factors) % 100))))


def test_an_encoder_may_fill_one_buffer_again_and_again(tiles: Tiles) -> None:
    buffer = np.empty((64, 3), np.float32)

    def encoder(images: NDArray[Any]) -> NDArray[Any]:
        buffer[: len(images)] = codes_of(rows_in(images))
        return buffer[: len(images)]

    found = dm.encode(encoder, tiles, n_samples=300, batch_size=64)
    assert np.array_equal(found.codes, codes_of(tiles.space.rows_of(found.factors)))


def test_an_encoder_may_write_into_its_input(tiles: Tiles) -> None:
    def encoder(images: NDArray[Any]) -> NDArray[Any]:
        codes = codes_of(rows_in(images))
        images[:] = 0
        return codes

    found = dm.encode(encoder, tiles, n_samples=100, batch_size=16)
    assert np.array_equal(found.codes, codes_of(tiles.space.rows_of(found.factors)))


WRONG: dict[str, tuple[Callable[[NDArray[Any]], Any], str]] = {
    "too few rows": (lambda codes: codes[:-1], r"must return codes of shape \(\d+, n_codes\)"),
    "too many rows": (lambda codes: np.vstack([codes, codes]), r"must return codes of shape"),
    "one dimension": (lambda codes: codes[:, 0], r"gave shape \(\d+,\)"),
    "three dimensions": (lambda codes: codes[..., None], r"gave shape \(\d+, 3, 1\)"),
    "no codes": (lambda codes: codes[:, :0], r"gave shape \(\d+, 0\)"),
    "NaN": (lambda codes: np.where(codes == codes[0, 0], np.nan, codes), r"NaN or infinity in \d+ of \d+ rows"),
    "infinity": (lambda codes: codes + np.inf, r"NaN or infinity"),
    "complex": (lambda codes: codes * 1j, r"codes must be real numbers; .* dtype complex"),
    "text": (lambda codes: codes.astype(str), r"codes must be real numbers"),
    "objects": (lambda codes: codes.astype(object), r"codes must be real numbers; .* dtype object"),
    "tuple": (
        lambda codes: (codes, codes),
        r"gave a tuple of 2; return one of its parts or .*Posterior\(mean",
    ),
    "list": (list, r"gave a list of"),
    "dict": (lambda codes: {"mu": codes}, r"gave a dict of 1"),
    "None": (lambda _: None, r"gave None"),
    "no array": (lambda _: object(), r"gave shape \(\)"),
    "other mean": (lambda codes: dm.Posterior(codes, codes[:, :1]), r"mean and log_variance must have the same shape"),
    "NaN variance": (lambda codes: dm.Posterior(codes, codes * np.nan), r"log-variance .* NaN or infinity"),
    "ragged": (lambda codes: np.array([codes, None], dtype=object), r"gave shape \(2,\)"),
}


@pytest.mark.parametrize("first_wrong", [0, 7])
@pytest.mark.parametrize("wrong", WRONG)
def test_invalid_codes_are_refused_in_any_batch(tiles: Tiles, wrong: str, first_wrong: int) -> None:
    spoil, message = WRONG[wrong]
    order = np.random.default_rng(0).permutation(2000)[:200]

    def encoder(images: NDArray[Any]) -> Any:
        codes = codes_of(rows_in(images))
        is_late = rows_in(images)[0] >= np.sort(order)[7 * 16]
        return spoil(codes) if is_late or first_wrong == 0 else codes

    with np.errstate(invalid="ignore"), pytest.raises(EncoderError, match=message) as caught:
        dm.encode(encoder, tiles, indices=tiles.space.indices_of(order), batch_size=16)
    assert f"batch {first_wrong} (rows {16 * first_wrong} to {16 * first_wrong + 15})" in str(caught.value)


def late(answer: Callable[[NDArray[Any]], Any], batch: int) -> Callable[[NDArray[Any]], Any]:
    """Return valid codes before this batch of 16 rows of the grid."""
    return lambda images: answer(images) if rows_in(images)[0] >= 16 * batch else codes_of(rows_in(images))


@pytest.mark.parametrize("error", [ValueError("nothing is left"), SystemExit("nothing is left"), MemoryError()])
def test_an_encoder_that_fails_is_named_with_batch_and_rows(tiles: Tiles, error: BaseException) -> None:
    def fail(_: NDArray[Any]) -> Any:
        raise error

    with pytest.raises(EncoderError) as caught:
        dm.encode(late(fail, 7), tiles, full_grid=True, batch_size=16)
    message = f"the encoder failed with {type(error).__name__} in batch 7 (rows 112 to 127)"
    assert str(caught.value) == (f"{message}: {error}" if str(error) else message)
    assert caught.value.__cause__ is error


@pytest.mark.parametrize("cache", [False, True])
@pytest.mark.parametrize(
    "changed",
    [
        lambda images: codes_of(rows_in(images))[:, :2],
        lambda images: codes_of(rows_in(images)).astype(np.float64),
        posterior_of,
    ],
    ids=["width", "type", "posterior"],
)
def test_an_encoder_that_changes_its_kind_of_codes_is_named(
    tiles: Tiles, changed: Callable[[NDArray[Any]], Any], cache: bool
) -> None:
    class Encoder:
        fingerprint = "changing"

        def __call__(self, images: NDArray[Any]) -> Any:
            return late(changed, 3)(images)

    with pytest.raises(
        EncoderError, match=r"the same shape and type in every batch; batch 3 \(rows 48 to 63\) gave .* after codes"
    ):
        dm.encode(Encoder(), tiles, full_grid=True, batch_size=16, cache=cache)


# ------------------------------------------------------------------------------ one code per observation


def noisy() -> Callable[[NDArray[Any]], Any]:
    rng = np.random.default_rng(0)
    return lambda images: codes_of(rows_in(images)) + rng.normal(size=(len(images), 3))


def growing() -> Callable[[NDArray[Any]], Any]:
    widths = iter(range(1, 100))
    return lambda images: np.ones((len(images), next(widths)))


@pytest.mark.parametrize("make", [noisy, growing])
@pytest.mark.parametrize("batch_size", [1, 2, 64])
def test_a_stochastic_encoder_is_named(
    tiles: Tiles, make: Callable[[], Callable[[NDArray[Any]], Any]], batch_size: int
) -> None:
    with pytest.raises(EncoderError, match="this one is stochastic"):
        dm.encode(make(), tiles, n_samples=100, batch_size=batch_size)


def centred(images: NDArray[Any]) -> NDArray[Any]:
    codes = codes_of(rows_in(images))
    return np.asarray(codes - codes.mean(axis=0))


def noise_by_place(images: NDArray[Any]) -> NDArray[Any]:
    return codes_of(rows_in(images)) + np.random.default_rng(0).normal(size=(len(images), 3))


def width_by_batch(images: NDArray[Any]) -> NDArray[Any]:
    return np.ones((len(images), 3 if len(images) > 40 else 2))


def posterior_by_batch(images: NDArray[Any]) -> Any:
    return posterior_of(images) if len(images) > 40 else posterior_of(images).mean


@pytest.mark.parametrize("encoder", [centred, noise_by_place, width_by_batch, posterior_by_batch])
def test_an_encoder_that_depends_on_the_batch_is_named(tiles: Tiles, encoder: Callable[[NDArray[Any]], Any]) -> None:
    with pytest.raises(EncoderError, match="this one depends on the batch: 16 observations encoded alone and among 64"):
        dm.encode(encoder, tiles, n_samples=100, batch_size=64)


def test_rounding_is_not_randomness(tiles: Tiles) -> None:
    rng = np.random.default_rng(0)

    def encoder(images: NDArray[Any]) -> NDArray[Any]:
        return codes_of(rows_in(images)) * (1 + 1e-6 * rng.normal(size=(len(images), 1)))

    assert len(dm.encode(encoder, tiles, n_samples=100)) == 100


def test_constant_codes_pass(tiles: Tiles) -> None:
    assert not dm.encode(lambda images: np.zeros((len(images), 2)), tiles, n_samples=100).codes.any()


def test_the_range_of_the_first_batch_is_logged(tiles: Tiles, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "disentmetrics"):
        dm.encode(lambda images: codes_of(rows_in(images)), tiles, full_grid=True, batch_size=32)
    assert "observations uint8 (32, 8, 8, 1) from 0 to 250; codes (32, 3) from -1 to 31" in caplog.text


# ------------------------------------------------------------------------------ the cache


def test_a_second_encode_calls_the_encoder_not_at_all(tiles: Tiles) -> None:
    encoder = Counting()
    first = dm.encode(encoder, tiles, n_samples=200, batch_size=50)
    n_calls = len(encoder.seen)
    again = dm.encode(encoder, tiles, n_samples=200, batch_size=33)
    assert len(encoder.seen) == n_calls == 5
    assert np.array_equal(again.codes, first.codes)
    assert again.row_key == first.row_key
    assert again.provenance == first.provenance


@pytest.mark.parametrize("changed", ["fingerprint", "rows", "seed", "data", "population"])
def test_another_encoder_other_rows_or_other_data_are_encoded_again(tiles: Tiles, changed: str) -> None:
    dm.encode(Counting(), tiles, n_samples=2000)
    encoder = Counting("counting-2" if changed == "fingerprint" else "counting-1")
    data = Tiles("tiles-2") if changed == "data" else tiles
    n_samples = {"rows": 1999, "population": None}.get(changed, 2000)
    seed = 1 if changed == "seed" else 0
    found = dm.encode(encoder, data, n_samples=n_samples, full_grid=changed == "population", seed=seed)
    assert len(encoder.rows) == len(found)


@pytest.mark.parametrize("why", ["no fingerprint", "cache=False"])
def test_codes_are_not_kept_without_a_fingerprint_or_leave(tiles: Tiles, own_cache: Path, why: str) -> None:
    encoder = Counting(None if why == "no fingerprint" else "counting-1")
    for _ in range(2):
        encoder.seen.clear()
        dm.encode(encoder, tiles, n_samples=50, cache=why == "no fingerprint")
        assert len(encoder.rows) == 50
    assert not own_cache.exists()


@pytest.mark.parametrize("fingerprint", ["", 7, b"x"])
def test_a_fingerprint_is_text(tiles: Tiles, fingerprint: Any) -> None:
    encoder = Counting()
    encoder.fingerprint = fingerprint
    with pytest.raises(InvalidInputError, match="fingerprint must be non-empty text"):
        dm.encode(encoder, tiles, n_samples=50)


def _flip(path: Path, position: int) -> None:
    content = bytearray(path.read_bytes())
    content[position] ^= 0xFF
    path.write_bytes(content)


def _change_attribute(path: Path) -> None:
    with h5py.File(path, "r+") as file:
        file.attrs["about"] = file.attrs["about"].replace("counting-1", "counting-9")


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.write_bytes(path.read_bytes()[:-100]),
        lambda path: path.write_bytes(path.read_bytes()[:1000]),
        lambda path: path.write_bytes(b""),
        lambda path: path.write_text("not HDF5"),
        lambda path: _flip(path, path.read_bytes().index(codes_of(np.arange(9)).tobytes()) + 5),
        _change_attribute,
    ],
    ids=["end lost", "much lost", "empty", "text", "a code altered", "of another encoder"],
)
def test_an_altered_file_of_the_cache_is_detected_and_rewritten(
    tiles: Tiles, damage: Callable[[Path], object], caplog: pytest.LogCaptureFixture
) -> None:
    expected = np.array(dm.encode(Counting(), tiles, full_grid=True).codes)
    damage(only_file("*.h5"))
    again = Counting()
    assert np.array_equal(dm.encode(again, tiles, full_grid=True).codes, expected)
    assert "encoding again" in caplog.text
    assert len(again.rows) == 2000
    third = Counting()
    assert np.array_equal(dm.encode(third, tiles, full_grid=True).codes, expected)
    assert not third.seen


# ------------------------------------------------------------------------------ interrupted and resumed


def interrupt(tiles: Tiles, at: int) -> Counting:
    encoder = Counting(fail_at=at)
    with pytest.raises(KeyboardInterrupt):
        dm.encode(encoder, tiles, full_grid=True, batch_size=100)
    return encoder


def test_an_interrupted_run_resumes_where_it_stopped(tiles: Tiles) -> None:
    interrupted = interrupt(tiles, 8)
    second = Counting()
    found = dm.encode(second, tiles, full_grid=True, batch_size=100)
    assert np.array_equal(np.concatenate([interrupted.rows, second.rows]), np.arange(2000))
    assert np.array_equal(found.codes, codes_of(np.arange(2000)))
    assert not list((cache_folder() / "representations").glob("*.partial"))


def test_a_run_may_be_interrupted_more_than_once_and_in_other_batches(tiles: Tiles) -> None:
    interrupt(tiles, 4)
    second = Counting(fail_at=3)
    with pytest.raises(KeyboardInterrupt):
        dm.encode(second, tiles, full_grid=True, batch_size=33)
    third = Counting()
    found = dm.encode(third, tiles, full_grid=True, batch_size=500)
    assert third.rows[0] == 300 + 66
    assert np.array_equal(found.codes, codes_of(np.arange(2000)))


def test_a_run_interrupted_before_its_first_code_starts_again(tiles: Tiles) -> None:
    interrupt(tiles, 0)
    assert not cache_entries()
    assert len(dm.encode(Counting(), tiles, full_grid=True)) == 2000


def test_a_failed_encoder_s_good_batches_are_kept(tiles: Tiles) -> None:
    class Failing(Counting):
        def __call__(self, images: NDArray[Any]) -> NDArray[np.floating]:
            if rows_in(images)[0] >= 700:
                raise ValueError("no more")
            return super().__call__(images)

    with pytest.raises(EncoderError, match="no more"):
        dm.encode(Failing(), tiles, full_grid=True, batch_size=100)
    fixed = Counting()
    dm.encode(fixed, tiles, full_grid=True, batch_size=100)
    assert fixed.rows[0] == 700


def _set(key: str, value: object) -> Callable[[Path], object]:
    def change(folder: Path) -> None:
        about = json.loads((folder / "about.json").read_text())
        (folder / "about.json").write_text(json.dumps({**about, key: value}))

    return change


@pytest.mark.parametrize(
    "damage",
    [
        lambda folder: (folder / "rows.bin").write_bytes((folder / "rows.bin").read_bytes()[:-1]),
        lambda folder: (folder / "rows.bin").write_bytes(b""),
        lambda folder: (folder / "rows.bin").unlink(),
        lambda folder: _flip(folder / "rows.bin", 100),
        lambda folder: (folder / "about.json").write_text('{"n_rows": 600'),
        lambda folder: (folder / "about.json").write_text("[]"),
        lambda folder: (folder / "about.json").unlink(),
        _set("n_rows", 10**9),
        _set("n_rows", -1),
        _set("n_rows", 1.5),
        _set("shape", [4]),
        _set("dtype", "|O"),
        _set("dtype", "<i4"),
        _set("dtype", "nonsense"),
    ],
)
def test_a_damaged_part_of_a_run_is_discarded(tiles: Tiles, damage: Callable[[Path], object]) -> None:
    interrupt(tiles, 8)
    damage(only_file("*.partial"))
    second = Counting()
    found = dm.encode(second, tiles, full_grid=True, batch_size=100)
    assert np.array_equal(second.rows, np.arange(2000))
    assert np.array_equal(found.codes, codes_of(np.arange(2000)))


def test_rows_after_the_last_certain_one_are_not_trusted(tiles: Tiles) -> None:
    interrupt(tiles, 8)
    with (only_file("*.partial") / "rows.bin").open("ab") as file:
        file.write(b"half of a row that was being written")
    second = Counting()
    found = dm.encode(second, tiles, full_grid=True, batch_size=100)
    assert second.rows[0] == 700
    assert np.array_equal(found.codes, codes_of(np.arange(2000)))


def test_a_run_is_not_resumed_by_an_encoder_of_another_width(tiles: Tiles) -> None:
    interrupt(tiles, 8)

    class Wider:
        fingerprint = "counting-1"

        def __call__(self, images: NDArray[Any]) -> NDArray[np.float32]:
            return np.ones((len(images), 5), np.float32)

    with pytest.raises(EncoderError, match=r"its interrupted run, \[3\] .* it gave \[5\] .* change its fingerprint"):
        dm.encode(Wider(), tiles, full_grid=True, batch_size=100)


def test_the_cache_may_be_cleared_while_an_encoder_runs(tiles: Tiles, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(STORE, "_FLUSH_SECONDS", 0.0)

    class Clearing(Counting):
        def __call__(self, images: NDArray[Any]) -> NDArray[np.floating]:
            if len(self.seen) == 8:
                clear_cache()
            return super().__call__(images)

    found = dm.encode(Clearing(), tiles, full_grid=True, batch_size=100)
    assert np.array_equal(found.codes, codes_of(np.arange(2000)))


# ------------------------------------------------------------------------------ disks


def test_a_cache_folder_that_cannot_be_made_disables_the_cache_with_a_warning(
    tiles: Tiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("DISENTMETRICS_CACHE", str(tmp_path / "file" / "cache"))
    found = dm.encode(Counting(), tiles, n_samples=100)
    assert np.array_equal(found.codes, codes_of(tiles.space.rows_of(found.factors)))
    assert "codes are not cached: the cache folder" in caplog.text
    assert "DISENTMETRICS_CACHE" in caplog.text


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_cache_folder_disables_the_cache_with_a_warning(
    tiles: Tiles, own_cache: Path, caplog: pytest.LogCaptureFixture
) -> None:
    own_cache.mkdir()
    own_cache.chmod(0o500)
    assert len(dm.encode(Counting(), tiles, n_samples=100)) == 100
    assert "codes are not cached" in caplog.text


def test_a_read_only_cache_is_read(tiles: Tiles, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path) -> None:
        raise StorageError(f"{path} cannot be written")

    first = dm.encode(Counting(), tiles, n_samples=100)
    monkeypatch.setattr("disentmetrics.encoders.encode.locked", refuse)
    again = Counting()
    assert np.array_equal(dm.encode(again, tiles, n_samples=100).codes, first.codes)
    assert not again.seen


@pytest.mark.parametrize("full_at", [0, 1, 5])
def test_a_disk_that_fills_up_while_codes_come_in_only_disables_the_cache(
    tiles: Tiles, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, full_at: int
) -> None:
    write = PartialStore._write
    n_written = 0

    def fill_up(self: PartialStore, rows: NDArray[np.floating]) -> None:
        nonlocal n_written
        if n_written == full_at:
            raise OSError(errno.ENOSPC, "No space left on device")
        n_written += 1
        write(self, rows)

    monkeypatch.setattr(STORE, "_FLUSH_SECONDS", 0.0)
    monkeypatch.setattr(PartialStore, "_write", fill_up)
    encoder = Counting()
    found = dm.encode(encoder, tiles, full_grid=True, batch_size=100)
    assert np.array_equal(found.codes, codes_of(np.arange(2000)))
    assert np.array_equal(encoder.rows, np.arange(2000))
    assert "codes are not cached: No space left on device" in caplog.text
    assert not list((cache_folder() / "representations").glob("*.h5"))


def test_a_disk_that_is_full_when_the_result_is_saved_only_disables_the_cache(
    tiles: Tiles, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> None:
        raise StorageError("the file could not be written: No space left on device")

    monkeypatch.setattr(dm.Representation, "save", fail)
    encoder = Counting()
    found = dm.encode(encoder, tiles, full_grid=True, batch_size=100)
    assert np.array_equal(found.codes, codes_of(np.arange(2000)))
    assert "codes are not cached" in caplog.text
    monkeypatch.undo()


def test_200_000_rows_of_64_codes_are_encoded_in_a_fraction_of_their_size() -> None:
    class Wide(Tiles):
        space = FactorSpace((Factor("a", 400, "ordinal"), Factor("b", 500, "ordinal")))

    class Reads:
        fingerprint = "wide"
        reads_factors = True

        def __call__(self, indices: NDArray[Any]) -> NDArray[np.float64]:
            return np.asarray(indices @ np.arange(128.0).reshape(2, 64))

    data, n_bytes = Wide(), 200_000 * 64 * 8
    tracemalloc.start()
    try:
        found = dm.encode(Reads(), data, full_grid=True, batch_size=4096)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert found.codes.nbytes == n_bytes
    assert np.array_equal(found.codes[-1], [399, 499] @ np.arange(128.0).reshape(2, 64))
    assert peak < 0.7 * n_bytes


# ------------------------------------------------------------------------------ processes

CHILD = f"""
import importlib.util, os, sys
spec = importlib.util.spec_from_file_location("tests_of_encode", {__file__!r})
tests = importlib.util.module_from_spec(spec)
sys.modules["tests_of_encode"] = tests
spec.loader.exec_module(tests)
tests.STORE._FLUSH_SECONDS = 0.0
"""


def child(program: str) -> "subprocess.Popen[str]":
    command = [sys.executable, "-c", CHILD + program]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_a_killed_run_resumes_where_it_stopped(tiles: Tiles) -> None:
    killed = child(
        "import signal\n"
        "class Killed(tests.Counting):\n"
        "    def __call__(self, images):\n"
        "        if len(self.seen) == 8: os.kill(os.getpid(), signal.SIGKILL)\n"
        "        return super().__call__(images)\n"
        "tests.dm.encode(Killed(), tests.Tiles(), full_grid=True, batch_size=100)\n"
    )
    killed.communicate(timeout=60)
    assert killed.returncode == -signal.SIGKILL
    second = Counting()
    found = dm.encode(second, tiles, full_grid=True, batch_size=100)
    assert np.array_equal(second.rows, np.arange(700, 2000))
    assert np.array_equal(found.codes, codes_of(np.arange(2000)))


def test_of_two_processes_one_encodes_and_both_agree(tmp_path: Path) -> None:
    meeting = tmp_path / "meeting"
    meeting.mkdir()
    program = (
        "import time, hashlib, numpy as np\n"
        "class Slow(tests.Counting):\n"
        "    def __call__(self, images):\n"
        "        time.sleep(0.05)\n"
        "        return super().__call__(images)\n"
        "encoder = Slow()\n"
        f"open({str(meeting)!r} + '/' + str(os.getpid()), 'w').close()\n"
        f"while len(os.listdir({str(meeting)!r})) < 2: time.sleep(0.01)\n"
        "found = tests.dm.encode(encoder, tests.Tiles(), full_grid=True, batch_size=100)\n"
        "print(len(encoder.seen), hashlib.sha256(np.ascontiguousarray(found.codes)).hexdigest())\n"
    )
    both = [child(program) for _ in range(2)]
    said = [process.communicate(timeout=60) for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    (n_first, first), (n_second, second) = (out.split() for out, _ in said)
    assert first == second
    assert sorted([int(n_first), int(n_second)]) == [0, 21]


def test_waiting_for_another_process_is_logged(own_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = own_cache / "representations" / "some.h5"
    monkeypatch.setattr(CACHE, "_QUIET_WAIT", 0.05)
    logged = threading.Event()
    monkeypatch.setattr(CACHE.logger, "info", lambda *_: logged.set())
    got = threading.Event()

    def wait() -> None:
        with locked(path):
            got.set()

    other = threading.Thread(target=wait)
    with locked(path):
        other.start()
        assert logged.wait(10)
        assert not got.is_set()
    other.join(10)
    assert got.is_set()


@pytest.mark.skipif(importlib.util.find_spec("resource") is None, reason="needs file size limits")
@pytest.mark.parametrize("most", [6_000, 30_000], ids=["while appending", "while saving"])
def test_a_disk_that_is_really_full_only_disables_the_cache(own_cache: Path, most: int) -> None:
    process = child(
        "import resource\n"
        f"resource.setrlimit(resource.RLIMIT_FSIZE, ({most}, {most}))\n"
        "found = tests.dm.encode(tests.Counting(), tests.Tiles(), full_grid=True, batch_size=100)\n"
        "print(tests.np.array_equal(found.codes, tests.codes_of(tests.np.arange(2000))))\n"
    )
    out, err = process.communicate(timeout=60)
    assert out == "True\n", err
    assert "codes are not cached" in err
    assert not list(own_cache.rglob("*.h5"))
    assert not list(own_cache.rglob(".*.partial"))


# ------------------------------------------------------------------------------ list and clear


def test_the_cache_is_listed_and_cleared(tiles: Tiles) -> None:
    found = dm.encode(Counting(), tiles, full_grid=True)
    interrupt(Tiles("tiles-2"), 5)
    entries = cache_entries()
    assert sorted(e.path.suffix for e in entries) == [".bin", ".h5", ".json"]
    assert all(e.n_bytes == e.path.stat().st_size for e in entries)
    assert clear_cache() == sum(e.n_bytes for e in entries)
    assert not cache_entries()
    assert clear_cache() == 0
    assert np.array_equal(found.codes, codes_of(np.arange(2000)))  # still mapped
    encoder = Counting()
    dm.encode(encoder, tiles, full_grid=True)
    assert len(encoder.rows) == 2000
    assert cache_entries()


def test_folders_and_files_of_others_are_neither_listed_nor_cleared(tiles: Tiles, own_cache: Path) -> None:
    theirs = own_cache / "datasets" / "thesis" / "chapter.txt"
    theirs.parent.mkdir(parents=True)
    theirs.write_text("years of work")
    (own_cache / "notes.txt").write_text("also theirs")
    dm.encode(Counting(), tiles, n_samples=50)
    assert {e.path.parent.name for e in cache_entries()} == {"representations"}
    clear_cache()
    assert theirs.read_text() == "years of work"
    assert (own_cache / "notes.txt").exists()
    assert (own_cache / "representations" / TAG).read_text().startswith("Signature: 8a477f597d28d172789f06886806bc55")


def test_a_link_in_the_cache_is_removed_and_its_target_is_not(tiles: Tiles, own_cache: Path, tmp_path: Path) -> None:
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.txt").write_text("years of work")
    dm.encode(Counting(), tiles, n_samples=50)
    (own_cache / "representations" / "link").symlink_to(tmp_path / "thesis")
    clear_cache()
    assert (tmp_path / "thesis" / "chapter.txt").exists()
    assert not (own_cache / "representations" / "link").exists()


def test_encode_is_the_function_and_the_module_at_once() -> None:
    assert encode_function is dm.encode


@pytest.mark.parametrize(
    ("spec", "rows"),
    [
        ("pinwheel", "own/3"),
        ("linear-gaussian", "own/3"),
        ("linear-ica?sources=uniform", "own/3"),
        ("mini-sprites", "uniform/3"),
        ("digits-affine", "uniform/3"),
        ("mini-sprites?select=shape:0-1", "uniform/3"),
        ("mini-sprites?correlate=x,y,0.9", "weighted/3"),
    ],
)
def test_rows_are_named_by_how_they_were_drawn(spec: str, rows: str) -> None:
    data = dm.load_dataset(spec)
    assert dm.encode("baseline:factors", data, n_samples=5, seed=3, cache=False).provenance.rows == rows
    same = data.map(np.positive, name="same")
    assert dm.encode("baseline:factors", same, n_samples=5, seed=3, cache=False).provenance.rows == rows


@pytest.mark.parametrize("step", ["none", "select", "map"])
def test_a_table_has_all_its_rows_and_no_grid(step: str) -> None:
    images = np.random.default_rng(0).integers(0, 256, (9, 2, 2, 1), dtype=np.uint8)
    some: DataSet = dm.CustomDataSet(images, {"a": np.arange(9) % 2, "b": np.arange(9) % 3})
    complete: DataSet = dm.CustomDataSet(images, {"a": np.arange(9) % 3, "b": np.arange(9) // 3})
    if step == "select":
        some, complete = some.select({"b": [0, 2]}), complete.select({"b": [0, 2]})
    elif step == "map":
        some, complete = (data.map(np.positive, name="same") for data in (some, complete))
    assert dm.encode("baseline:pixels", some, full_grid=True, cache=False).provenance.rows == "all"
    assert dm.encode("baseline:pixels", complete, full_grid=True, cache=False).provenance.rows == "grid"
    assert dm.encode("baseline:pixels", some, n_samples=4, seed=3, cache=False).provenance.rows == "uniform/3"


def test_all_rows_of_a_small_data_set_are_encoded_by_default(tiles: Tiles) -> None:
    representation = dm.encode(Counting(), tiles)
    assert len(representation) == len(tiles)
    assert representation.provenance.population
    assert len(dm.encode(lambda images: images.mean(axis=(1, 2)), dm.load_dataset("dsprites"), cache=False)) == 20_000


def test_a_batch_of_one_at_the_end_is_tried_first(tiles: Tiles) -> None:
    seen = []

    def squeezed(images: NDArray[Any]) -> NDArray[Any]:
        seen.append(len(images))
        return images.reshape(len(images), -1)[:, :2].astype(float).squeeze()

    with pytest.raises(EncoderError, match=r"\(1, n_codes\) for 1 observations.*gave shape \(2,\)"):
        dm.encode(squeezed, tiles, n_samples=11, batch_size=5)
    assert sum(seen) < 11
    assert len(dm.encode(squeezed, tiles, n_samples=12, batch_size=5)) == 12


def test_attributes_of_a_dict_of_codes_are_not_asked_for(tiles: Tiles) -> None:
    with pytest.raises(EncoderError, match="select=mu,logvar"):
        dm.encode(lambda images: {"mu": images, "logvar": images}, tiles, n_samples=5)


# ------------------------------------------------------------------------------ categorical latents


class Sorting(Counting):
    """An encoder whose last latent is a category; as an adapter does, it knows this after its first batch."""

    def __init__(self, fingerprint: str | None = "sorting-1", fail_at: int | None = None) -> None:
        super().__init__(fingerprint, fail_at)
        self.categorical_codes: tuple[bool, ...] = ()
        self.flags: tuple[bool, ...] = (False, False, True)

    def __call__(self, images: NDArray[Any]) -> NDArray[np.floating]:
        codes = super().__call__(images)
        self.categorical_codes = self.flags
        codes[:, 2] %= 3
        return codes


FLAGS = [False, False, True]


def test_an_encoder_declares_its_categorical_latents_and_the_cache_keeps_them(tiles: Tiles) -> None:
    assert dm.encode(Sorting(None), tiles, n_samples=50).categorical_codes.tolist() == FLAGS
    first, second = Sorting(), Sorting()
    assert dm.encode(first, tiles, n_samples=50).categorical_codes.tolist() == FLAGS
    assert dm.encode(second, tiles, n_samples=50).categorical_codes.tolist() == FLAGS
    assert not second.seen
    assert not dm.encode(Counting(), tiles, n_samples=50).categorical_codes.any()


def test_categorical_latents_survive_an_interruption_after_the_last_row(
    tiles: Tiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(dm.Representation, "save", interrupted_save)
        with pytest.raises(KeyboardInterrupt):
            dm.encode(Sorting(), tiles, n_samples=50)
    resumed = dm.encode(Sorting(), tiles, n_samples=50)
    assert resumed.categorical_codes.tolist() == FLAGS


def interrupted_save(*_arguments: Any) -> None:
    raise KeyboardInterrupt


def test_codes_are_encoded_again_if_the_encoder_declares_other_categorical_latents(
    tiles: Tiles, caplog: pytest.LogCaptureFixture
) -> None:
    dm.encode(Sorting(), tiles, n_samples=50)
    changed = Sorting()
    changed.categorical_codes = (True, False, True)
    dm.encode(changed, tiles, n_samples=50)
    assert changed.seen
    assert "other categorical latents than the encoder" in caplog.text


def test_a_categorical_latent_has_the_variance_of_its_categories(tiles: Tiles) -> None:
    class Relabelled:
        categorical_codes: tuple[bool, ...] = ()

        def __call__(self, images: NDArray[Any]) -> NDArray[np.floating]:
            categories = np.array([0.0, 100.0, 3.0, 7.0])[rows_in(images) // 500]
            return np.stack([np.sin(rows_in(images)), categories], 1)

    encoder = Relabelled()

    plain = dm.encode(encoder, tiles, n_samples=500)
    encoder.categorical_codes = (False, True)
    marked = dm.encode(encoder, tiles, n_samples=500)
    assert marked.categorical_codes.tolist() == [False, True]
    votes = [dm.metrics.factorvae(representation, seed=0) for representation in (plain, marked)]
    assert votes[0].value != votes[1].value


@pytest.mark.parametrize("flags", [(True,), (True, False, True, False)])
def test_a_flag_is_needed_for_each_latent(tiles: Tiles, flags: tuple[bool, ...]) -> None:
    encoder = Sorting(None)
    encoder.flags = flags
    with pytest.raises(InvalidInputError, match="categorical_codes must be 3 booleans, one per latent"):
        dm.encode(encoder, tiles, n_samples=50)
