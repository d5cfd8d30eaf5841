"""PyTorch data sets as data sets of disentmetrics, and these as batches of tensors."""

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

pytest.importorskip("torch")

import torch
from disentmetrics_adapters.integrations.torch_data import as_torch, bits_by_numpy, bits_by_table, from_torch
from torch.utils.data import DataLoader, Dataset, IterableDataset, TensorDataset

import disentmetrics as dm
from disentmetrics.datasets.base import DataSet
from disentmetrics.errors import InvalidInputError
from disentmetrics.factors import Factor, FactorSpace

PICTURES = np.random.default_rng(0).integers(0, 256, (9, 6, 7, 3), dtype=np.uint8)
SHAPES = ["cup", "ball", "cup", "cup", "ball", "ball", "cup", "cup", "ball"]
CHANNELS_FIRST = torch.as_tensor(PICTURES).permute(0, 3, 1, 2)


class Pictures(Dataset[Any]):
    """A typical user-defined data set; it counts how often it is read."""

    def __init__(self, images: Any, *labels: Any) -> None:
        self.images, self.labels, self.n_asked = images, labels, 0

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, row: int) -> Any:
        self.n_asked += 1
        return (self.images[row], *(label[row] for label in self.labels)) if self.labels else self.images[row]


def everything(data: DataSet) -> NDArray[Any]:
    whole = data.full_grid()
    return data.observations(whole.factors, whole.nuisance)


@pytest.mark.parametrize(
    "images",
    [
        CHANNELS_FIRST,
        CHANNELS_FIRST.float() / 255,
        CHANNELS_FIRST.double() / 255,
        CHANNELS_FIRST.float() * (1 / 255),
        [Image.fromarray(picture) for picture in PICTURES],
        PICTURES,
    ],
    ids=["uint8", "float", "double", "rounded otherwise", "pillow", "arrays"],
)
def test_images_of_every_kind_become_the_same_bytes(images: Any) -> None:
    data = from_torch(Pictures(images, SHAPES), ["shape"])
    assert np.array_equal(everything(data), PICTURES)
    assert data.space["shape"] == Factor("shape", 2, "categorical", ("ball", "cup"))
    assert data.fingerprint == from_torch(Pictures(CHANNELS_FIRST, SHAPES), ["shape"]).fingerprint


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (CHANNELS_FIRST.float() / 127.5 - 1, r"item 0 is float32 from .*; remove transforms such as Normalize"),
        (CHANNELS_FIRST.float(), "k/255"),
        (torch.rand(9, 3, 6, 7), "k/255"),
        (CHANNELS_FIRST.int(), "item 0 is int32"),
        (torch.full((9, 3, 6, 7), torch.nan), "k/255"),
        (CHANNELS_FIRST.permute(0, 2, 3, 1), r"of 1 or 3 channels; item 0 has shape \(6, 7, 3\)"),
        (CHANNELS_FIRST[:, 0], r"item 0 has shape \(6, 7\)"),
        (PICTURES / 255, "observations must be images"),
    ],
)  # fmt: skip
def test_ambiguous_values_are_refused(images: Any, message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        from_torch(Pictures(images, SHAPES))


def test_an_image_in_the_middle_is_checked_when_it_is_read() -> None:
    images = [image.float() / 255 for image in CHANNELS_FIRST]
    images[4] = images[4] * 2 - 1
    data = from_torch(Pictures(images))
    data.observations(data.factors[:1], [3])
    with pytest.raises(InvalidInputError, match="item 4 is float32"):
        everything(data)
    images[4] = images[0][:, :5]
    with pytest.raises(InvalidInputError, match=r"item 0 has uint8 \(6, 7, 3\) and item 4 has uint8 \(5, 7, 3\)"):
        everything(data)


def test_random_transforms_are_refused() -> None:
    class Flipped(Pictures):
        def __getitem__(self, row: int) -> Any:
            image, label = super().__getitem__(row)
            return image.flip(self.n_asked % 2), label

    with pytest.raises(InvalidInputError, match="item 0 is not: remove random transforms"):
        from_torch(Flipped(CHANNELS_FIRST, SHAPES))


def test_labels_come_one_after_another() -> None:
    pairs = torch.stack([torch.arange(9) % 2, torch.arange(9) // 3], dim=1)
    for labels in ([pairs], [pairs[:, 0], pairs[:, 1]], [list(zip(pairs[:, 0], pairs[:, 1], strict=True))]):
        data = from_torch(Pictures(CHANNELS_FIRST, *labels), ["a", "b"])
        assert data.space.names == ("a", "b")
        assert np.array_equal(data.factors, pairs)
    space = FactorSpace((Factor("a", 2, "ordinal"), Factor("b", 4, "circular")))
    assert from_torch(TensorDataset(CHANNELS_FIRST, pairs), space=space).space == space
    assert from_torch(TensorDataset(CHANNELS_FIRST, pairs)).space.names == ("factor_0", "factor_1")
    assert len(from_torch(TensorDataset(CHANNELS_FIRST)).space) == 0
    with pytest.raises(InvalidInputError, match="must name the 2 labels of an item; got 1 names: a"):
        from_torch(Pictures(CHANNELS_FIRST, pairs), ["a"])
    with pytest.raises(InvalidInputError, match="got dict"):
        from_torch(Pictures(CHANNELS_FIRST, [{"a": 1}] * 9))


def test_a_table_stands_for_the_labels_and_images_wait() -> None:
    items = Pictures(CHANNELS_FIRST, SHAPES)
    data = from_torch(items, {"size": np.arange(9) % 3}, kinds={"size": "circular"})
    assert data.space["size"].kind == "circular"
    assert items.n_asked == 2  # the first item, twice
    data.observations([[1]])
    assert items.n_asked == 3


def test_vectors_are_unchanged() -> None:
    vectors = torch.linspace(-3, 5, 12).reshape(4, 3)
    assert np.array_equal(everything(from_torch(TensorDataset(vectors))), vectors)


class Stream(IterableDataset[Any]):
    def __iter__(self) -> Iterator[Any]:
        return iter(CHANNELS_FIRST)


@pytest.mark.parametrize("given", [Stream(), [], iter([1])])
def test_data_without_items_by_index_are_refused(given: Any) -> None:
    with pytest.raises(InvalidInputError, match="dataset must have a length above 0 and items by index"):
        from_torch(given)


def binary(n: int = 40, side: int = 5) -> dm.CustomDataSet:
    pixels = 255 * np.random.default_rng(1).integers(0, 2, (n, side, side + 1, 3), dtype=np.uint8)
    return dm.CustomDataSet(pixels, {"a": np.arange(n) % 4, "b": np.arange(n) % 3})


def grey(n: int = 40) -> dm.CustomDataSet:
    return dm.CustomDataSet(np.random.default_rng(1).integers(0, 256, (n, 5, 6, 1), dtype=np.uint8), np.arange(n) % 4)


def vectors(n: int = 40) -> dm.CustomDataSet:
    return dm.CustomDataSet(np.random.default_rng(1).normal(size=(n, 3)), {"x": np.linspace(0, 1, n)})


@pytest.mark.parametrize("make", [binary, grey, vectors])
def test_batches_are_the_same_wherever_observations_are_kept(make: Any) -> None:
    data = make()
    whole, asked = as_torch(data), as_torch(data, budget_bytes=0)
    assert (whole.is_on_device, asked.is_on_device, whole.is_packed) == (True, False, make is binary)
    assert asked.n_bytes == 0
    pairs = zip(whole.batches(16, seed=3, n_batches=7), asked.batches(16, seed=3, n_batches=7), strict=True)
    for (one, factors), (other, same_factors) in pairs:
        assert one.dtype == other.dtype == torch.float32
        assert torch.equal(one, other)
        assert torch.equal(factors, same_factors)


@pytest.mark.parametrize("make", [binary, grey])
def test_an_epoch_contains_every_observation_with_its_factors(make: Any) -> None:
    data = make()
    view = as_torch(data)
    batches = list(view.batches(8, seed=0, n_batches=5))
    images = torch.cat([images for images, _ in batches])
    factors = torch.cat([factors for _, factors in batches])
    assert images.shape == (len(view), *view.observations(torch.arange(1)).shape[1:])
    expected = everything(data).transpose(0, 3, 1, 2)
    found = {
        row.tobytes(): label.tolist() for row, label in zip((images * 255).round().byte().numpy(), factors, strict=True)
    }
    assert found == {row.tobytes(): label.tolist() for row, label in zip(expected, data.factors, strict=True)}


def test_bits_take_an_eighth_of_the_room() -> None:
    data = binary(40, side=7)
    view = as_torch(data)
    assert view.n_bytes == 40 * -(-7 * 8 * 3 // 8)
    assert not as_torch(data, budget_bytes=view.n_bytes - 1).is_on_device
    assert as_torch(data, budget_bytes=view.n_bytes).is_packed


def test_bits_are_unpacked_alike_on_every_device() -> None:
    packed = torch.arange(256, dtype=torch.uint8).reshape(64, 4)
    expected = torch.as_tensor(np.unpackbits(packed.numpy(), axis=1)).float()
    assert torch.equal(bits_by_table(packed), expected)
    assert torch.equal(bits_by_numpy(packed), expected)


def test_one_grey_pixel_among_many_is_not_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    from disentmetrics_adapters.integrations import torch_data

    monkeypatch.setattr(torch_data, "_BLOCK_ROWS", 8)
    pixels = 255 * np.random.default_rng(1).integers(0, 2, (40, 5, 6, 1), dtype=np.uint8)
    pixels[35, 2, 2] = 7
    view = as_torch(dm.CustomDataSet(pixels))
    assert view.is_on_device
    assert not view.is_packed
    assert view.observations(torch.tensor([35]))[0, 0, 2, 2] == pytest.approx(7 / 255)
    assert not as_torch(dm.CustomDataSet(pixels), budget_bytes=40 * 4).is_on_device


def test_the_seed_and_the_generator_decide_the_order() -> None:
    view = as_torch(grey())

    def order(seed: Any) -> list[float]:
        return [float(images.sum()) for images, _ in view.batches(10, seed=seed, n_batches=6)]

    assert order(0) == order(0) == order(torch.Generator().manual_seed(0))
    assert order(0) != order(1)
    assert order(0)[:4] != sorted(order(0)[:4])
    moved = torch.Generator().manual_seed(0)
    assert order(moved) != order(moved)


def test_rendered_sets_go_over_their_grid() -> None:
    data = dm.load_dataset("dsprites").select({"shape": "heart", "scale": [0, 5], "orientation": [0, 9], "x": [0, 31]})
    view = as_torch(data)
    assert view.is_packed
    assert len(view) == len(data) == 2 * 2 * 2 * 32
    images, factors = next(view.batches(64, seed=0))
    assert np.array_equal((images * 255).byte().numpy()[:, 0], data.observations(factors.numpy())[..., 0])


class Coloured(DataSet):
    """One value, and a colour determined by the nuisance."""

    name, fingerprint, observation_shape = "coloured", "coloured-1", (2, 2, 1)
    nuisances: tuple[str, ...] = ("colour",)
    space = FactorSpace((Factor("a", 3, "ordinal"),))

    def make(self, factors: NDArray[Any], nuisance: NDArray[np.uint64]) -> NDArray[np.uint8]:
        return np.broadcast_to((nuisance % 256).astype(np.uint8)[:, None, None, None], (len(factors), 2, 2, 1)).copy()


class Reals(Coloured):
    nuisances = ()
    space = FactorSpace((Factor("x", None, "continuous"),))

    def sample_factors(self, n: int, rng: np.random.Generator) -> NDArray[np.float64]:
        return rng.random((n, 1))


@pytest.mark.parametrize("data", [Coloured(), Reals()])
def test_batches_of_infinitely_many_observations_are_drawn_independently(data: DataSet) -> None:
    view = as_torch(data)
    assert view.rows is None
    for ask in (lambda: len(view), lambda: view.observations(torch.tensor([0]))):
        with pytest.raises(InvalidInputError, match="coloured has infinitely many observations"):
            ask()
    batches = [images for images, _ in view.batches(50, seed=0, n_batches=3)]
    again = [images for images, _ in view.batches(50, seed=0, n_batches=3)]
    assert all(torch.equal(one, other) for one, other in zip(batches, again, strict=True))
    assert len({float(batch.sum()) for batch in batches}) == 3
    assert len(list(itertools.islice(view.batches(500, seed=1), 2))) == 2


@pytest.mark.parametrize("batch_size", [0, 41])
def test_a_batch_must_fit_into_an_epoch(batch_size: int) -> None:
    with pytest.raises(
        InvalidInputError, match="batch_size must be at least 1 and at most 40, the number of observations"
    ):
        next(as_torch(grey()).batches(batch_size))


def test_a_round_trip_restores_the_text() -> None:
    data = grey()
    view = as_torch(data)
    items = TensorDataset(view.observations(torch.arange(40)), torch.as_tensor(np.array(data.factors)))
    again = from_torch(items, list(data.space.names))
    assert again.fingerprint.removeprefix("torch") == data.fingerprint.removeprefix("custom")
    batch = next(iter(DataLoader(items, batch_size=4)))
    assert batch[0].shape == (4, 1, 5, 6)
