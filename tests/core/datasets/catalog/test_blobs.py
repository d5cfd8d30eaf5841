import hashlib
import pickle

import numpy as np
import pytest

from disentmetrics.datasets import load_dataset
from disentmetrics.datasets.catalog.blobs import Blobs
from disentmetrics.errors import InvalidInputError


@pytest.mark.parametrize("spec", ["blobs", "blobs?size=16&width=1&positions=16", "blobs?size=32&width=2.5&positions=9"])
def test_brightness_is_the_gaussian_of_the_distance(spec: str) -> None:
    data = load_dataset(spec)
    size, width = data.observation_shape[0], {64: 4, 16: 1, 32: 2.5}[data.observation_shape[0]]
    rows, columns = np.indices((size, size)) + 0.5
    factors = data.full_grid().factors[::7]
    centres = np.array([data.space["x"].values[x] for x in range(data.space.sizes[0])], float)
    for (x, y), image in zip(factors, data.observations(factors)[..., 0], strict=True):
        squared = (columns - centres[x]) ** 2 + (rows - centres[y]) ** 2
        assert np.abs(image - 255 * np.exp(-squared / (2 * width**2))).max() < 0.5 + 1e-4


def test_centres_span_the_canvas_with_a_margin_of_one_width() -> None:
    data = load_dataset("blobs")
    centres = data.space["x"].values
    assert (centres[0], centres[-1], len(centres)) == (4, 60, 32)
    assert np.allclose(np.diff(np.array(centres, float)), 56 / 31)
    assert data.space["y"].values == centres
    small = load_dataset("blobs?size=16&width=1&positions=16").space["x"].values
    assert (small[0], small[-1], len(small)) == (1, 15, 16)


def test_x_moves_right_and_y_moves_down() -> None:
    images = Blobs().observations([[31, 0], [0, 31]])[..., 0]
    assert np.unravel_index(images[0].argmax(), (64, 64))[1] > 55
    assert np.unravel_index(images[1].argmax(), (64, 64))[0] > 55
    assert np.array_equal(images[0], images[1].T)


@pytest.mark.parametrize("spec", ["blobs", "blobs?size=16&width=1&positions=16", "blobs?size=8&width=0.25&positions=2"])
def test_every_position_gives_a_different_image(spec: str) -> None:
    data = load_dataset(spec)
    images = data.observations(data.full_grid().factors)
    assert len({image.tobytes() for image in images}) == len(data)


@pytest.mark.parametrize(
    ("spec", "digest"),
    [
        ("blobs", "b4fa602df91dedb87d3cc5292feb856175e1666b603a04f5eccef63964b6faf4"),
        ("blobs?size=16&width=1&positions=16", "7bc28a08a34872af45297eaf436b53885f1ed586f6100cf5967d716d2ca7d97a"),
    ],
)
def test_all_images_are_the_same_on_every_machine(spec: str, digest: str) -> None:
    data = load_dataset(spec)
    assert hashlib.sha256(data.observations(data.full_grid().factors).data).hexdigest() == digest


def test_options_are_part_of_the_fingerprint_and_survive_pickling() -> None:
    specs = ("blobs", "blobs?size=32", "blobs?width=3", "blobs?width=3.0000001", "blobs?positions=31")
    assert len({load_dataset(spec).fingerprint for spec in specs}) == 5
    assert load_dataset("blobs?size=64&width=4.0&positions=32").fingerprint == "blobs-1"
    data = load_dataset("blobs?size=16&width=1&positions=16")
    sent = pickle.loads(pickle.dumps(data))
    assert sent.fingerprint == data.fingerprint
    assert np.array_equal(sent.observations([[3, 5]]), data.observations([[3, 5]]))


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ("size=7", "size must be an integer from 8 to 256"),
        ("positions=1", "positions must be an integer from 2"),
        ("width=nan", "width must be a number from 0.25"),
        ("width=32", "twice the width of the blob must be less than the image size 64; got width 32"),
        ("size=256&width=127.9&positions=1024", "neighbouring positions must give different images"),
    ],
)
def test_options_out_of_range_are_refused(options: str, complaint: str) -> None:
    with pytest.raises(InvalidInputError, match=complaint):
        load_dataset(f"blobs?{options}")
