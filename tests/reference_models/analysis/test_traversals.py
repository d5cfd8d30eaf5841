"""Traversals and tuning maps of models whose latents are known functions of the image."""

from pathlib import Path

import numpy as np
import pytest
import torch
from disentmetrics_reference_models.analysis.traversals import (
    LatentTraversal,
    TuningMaps,
    save_traversal,
    traversal_images,
    traversal_sheet,
    tuning_maps,
)
from disentmetrics_reference_models.training.registry import find_method
from disentmetrics_reference_models.training.run import Run
from disentmetrics_reference_models.training.train import train
from numpy.typing import NDArray
from PIL import Image

from disentmetrics.datasets.arrays.custom import CustomDataSet
from disentmetrics.datasets.base import DataSet
from disentmetrics.errors import InvalidInputError, StorageError
from disentmetrics.factors import Factor, FactorSpace


class Centres(torch.nn.Module):
    """Latents: constant, twice the centre of the column, the centre of the row, each with a known variance."""

    def __init__(self) -> None:
        super().__init__()
        self.unused = torch.nn.Parameter(torch.zeros(1))  # determines the device of the model

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        bright = images[:, 0] / images[:, 0].sum((1, 2), keepdim=True)
        places = torch.arange(16.0)
        row, column = (bright.sum(2) * places).sum(1), (bright.sum(1) * places).sum(1)
        mean = torch.stack([torch.zeros_like(row), 2 * (column - 7.5), row - 7.5], 1)
        return mean, torch.tensor([0.0, -4.0, -2.0]).expand(len(images), 3)


class Levels(torch.nn.Module):
    """The three latents are the brightness of three rows."""

    def forward(self, codes: torch.Tensor) -> torch.Tensor:
        images = torch.full((len(codes), 1, 16, 16), -9.0)
        images[:, 0, :3] = codes[:, :, None]
        return images


@pytest.fixture(scope="module")
def model(spots: DataSet) -> Run:
    tiny = {"architecture": "small-fc", "batch_size": 4, "n_steps": 1, "n_codes": 3}
    run = train(find_method("vae").preset("smoke").changed(tiny), spots, device="cpu")
    run.model.encoder, run.model.decoder = Centres(), Levels()
    return run


def level(value: NDArray[np.floating]) -> NDArray[np.int64]:
    return np.asarray(np.rint(255 / (1 + np.exp(-value))), np.int64)


def test_latents_are_varied_one_at_a_time_in_the_order_of_their_kl(model: Run, spots: DataSet) -> None:
    traversal = traversal_images(model, spots, n_values=7)
    assert traversal.codes.tolist() == [1, 2, 0]
    assert traversal.kl[2] == 0
    assert traversal.kl[0] > traversal.kl[1] > 0
    assert traversal.values == pytest.approx([-3, -2, -1, 0, 1, 2, 3])
    assert traversal.images.shape == (3, 7, 16, 16, 1)
    start = model.posterior(traversal.observation[None]).mean[0]
    assert traversal.reconstruction[:3, 0, 0].tolist() == level(start).tolist()
    for place, code in enumerate(traversal.codes):
        shown = traversal.images[place, :, :3, 0, 0].astype(int)
        assert shown[:, code].tolist() == level(traversal.values).tolist()
        others = np.delete(np.arange(3), code)
        assert (shown[:, others] == level(start[others])).all()


def test_the_seed_selects_the_start_and_the_kl_is_over_all_observations(model: Run, spots: DataSet) -> None:
    first, second = (traversal_images(model, spots, seed=seed) for seed in (0, 1))
    assert not np.array_equal(first.observation, second.observation)
    assert first.kl == pytest.approx(second.kl)
    squares = np.square(2.0 * np.arange(6) - 6.0).mean()
    assert first.kl[1] == pytest.approx(0.5 * (squares + np.exp(-2.0) - 1 + 2))


def test_tuning_maps_are_the_posterior_means_over_two_factors(model: Run, spots: DataSet) -> None:
    tuning = tuning_maps(model, spots, "column", "row")
    assert tuning.codes.tolist() == [1, 2, 0]
    centres = 2.0 * np.arange(6) - 6.0
    assert tuning.maps[0] == pytest.approx(np.tile(2 * centres, (6, 1)), abs=1e-5)
    assert tuning.maps[1] == pytest.approx(np.tile(centres[:, None], (1, 6)), abs=1e-5)
    assert not tuning.maps[2].any()
    turned = tuning_maps(model, spots, "row", "column")
    assert turned.maps == pytest.approx(tuning.maps.transpose(0, 2, 1))


def test_other_factors_are_the_same_at_every_position(model: Run) -> None:
    tuning = tuning_maps(model, Sizes(), "column", "row")
    assert tuning.maps.shape == (3, 6, 6)
    assert np.ptp(tuning.maps[0], axis=0).max() < 1e-4


class Sizes(DataSet):
    """Spots of three sizes."""

    name = "sizes"
    fingerprint = "sizes-1"
    space = FactorSpace([Factor("row", 6, "ordinal"), Factor("size", 3, "ordinal"), Factor("column", 6, "ordinal")])
    observation_shape = (16, 16, 1)

    def make(self, factors: NDArray[np.int64], nuisance: NDArray[np.uint64]) -> NDArray[np.uint8]:
        images = np.zeros((len(factors), 16, 16, 1), np.uint8)
        for image, (row, size, column) in zip(images, factors, strict=True):
            image[2 * row : 2 * row + 2 + size, 2 * column : 2 * column + 2 + size] = 255
        return images


@pytest.mark.parametrize(
    ("factors", "message"),
    [(("x", "row"), "two different factors of spots"), (("row", "row"), "two different factors")],
)
def test_maps_need_two_factors(model: Run, spots: DataSet, factors: tuple[str, str], message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        tuning_maps(model, spots, *factors)


def test_invalid_settings_raise_errors(model: Run, spots: DataSet) -> None:
    with pytest.raises(InvalidInputError, match="n_values must be at least 2"):
        traversal_images(model, spots, n_values=1)
    with pytest.raises(InvalidInputError, match="reach must be above 0"):
        traversal_images(model, spots, reach=0.0)
    table = CustomDataSet(
        spots.observations(spots.full_grid().factors), {"row": np.arange(36), "column": np.arange(36)}
    )
    assert traversal_images(model, table).images.shape[0] == 3
    with pytest.raises(InvalidInputError, match="full grid"):
        tuning_maps(model, table, "row", "column")
    with pytest.raises(InvalidInputError, match="needs uint8 images"):
        traversal_images(model, CustomDataSet(np.zeros((5, 8, 8, 1), np.uint8)))


def example() -> tuple[LatentTraversal, TuningMaps]:
    images = np.zeros((2, 3, 16, 16, 1), np.uint8)
    codes, kl = np.array([1, 0]), np.array([2.0, 0.0])
    traversal = LatentTraversal(images, codes, kl, np.array([-3.0, 0.0, 3.0]), images[0, 0], images[0, 0])
    maps = np.array([[[-2.0, 2.0], [0.0, 1.0]], np.zeros((2, 2))])
    return traversal, TuningMaps(maps, codes, kl, ("x", "y"))


def test_the_sheet_contains_images_and_maps_in_blue_and_red() -> None:
    traversal, maps = example()
    alone = traversal_sheet(traversal, title="model")
    both = traversal_sheet(traversal, maps, title="model")
    assert both.shape[0] > alone.shape[0] + 80
    for colour in ([0, 0, 255], [255, 0, 0], [255, 255, 255]):
        assert (both == colour).all(axis=2).sum() >= 48**2
    blue, red = (np.flatnonzero((both == colour).all(axis=2).any(axis=0)) for colour in ([0, 0, 255], [255, 0, 0]))
    assert blue.max() < red.min()
    assert not (alone == [255, 0, 0]).all(axis=2).any()
    assert (alone == 0).all(axis=2).sum() >= (2 + 2 * 3) * 96**2


def test_a_sheet_is_written_atomically(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sheet = traversal_sheet(example()[0], title="model")
    save_traversal(sheet, tmp_path / "sheet.png")
    assert np.array_equal(np.asarray(Image.open(tmp_path / "sheet.png")), sheet)
    with pytest.raises(InvalidInputError, match="PNG"):
        save_traversal(sheet, tmp_path / "sheet.jpg")

    def full(*arguments: object, **options: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", full)
    with pytest.raises(StorageError):
        save_traversal(sheet, tmp_path / "other.png")
    assert [path.name for path in tmp_path.iterdir()] == ["sheet.png"]
