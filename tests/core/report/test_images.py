from dataclasses import replace

import numpy as np
import pytest

from disentmetrics.datasets import load_dataset
from disentmetrics.encoders.protocol import Posterior
from disentmetrics.errors import EncoderError, InvalidInputError
from disentmetrics.report.images import N_VALUES, Decoder, report_images
from disentmetrics.results.card import ScoreCard


class Mirror:
    """Four latents; decoding paints the value of the traversed latent."""

    fingerprint = "mirror-1"

    def __init__(self, shape: tuple[int, ...] = (64, 64, 1)) -> None:
        self.shape = shape
        self.asked: list[np.ndarray] = []

    def __call__(self, observations: np.ndarray) -> Posterior:
        return Posterior(np.full((len(observations), 4), 0.5), np.zeros((len(observations), 4)))

    def decode(self, codes: np.ndarray) -> np.ndarray:
        self.asked.append(codes)
        return np.zeros((len(codes), *self.shape), dtype=np.uint8)


def test_a_method_decode_makes_an_encoder_a_decoder() -> None:
    assert isinstance(Mirror(), Decoder)
    assert not isinstance(lambda observations: observations, Decoder)


def test_samples_come_first_and_then_a_strip_for_each_factor() -> None:
    data = load_dataset("dsprites")
    found = report_images(data)
    names = [strip.name for strip in found.samples]
    assert names[0] == "samples"
    assert [name for name in names[1:] if name] == list(data.space.names)
    assert all(strip.image.source.startswith("data:image/png;base64,") for strip in found.samples)
    assert not found.traversals


def test_traversals_run_one_code_and_are_ordered_by_the_kl_of_the_card_of_this_model(card: ScoreCard) -> None:
    model = Mirror()
    own = replace(card, about={**card.about, "encoder": "mirror-1"})
    found = report_images(load_dataset("dsprites"), model, [card, own])
    assert card.summary is not None
    assert card.summary.kl is not None
    order = np.argsort(-card.summary.kl, kind="stable")
    assert [strip.name for strip in found.traversals] == [f"z{j}" for j in order]
    codes = model.asked[0].reshape(4, N_VALUES, 4)
    assert codes[0, :, order[0]].tolist() == np.linspace(-3, 3, N_VALUES).tolist()
    assert (np.delete(codes[0], order[0], axis=1) == 0.5).all()
    assert "Ordered by KL" in found.order
    assert found.start is not None


def test_without_a_card_of_this_model_latents_keep_their_order_and_the_page_states_it(card: ScoreCard) -> None:
    found = report_images(load_dataset("dsprites"), Mirror(), [card])
    assert [strip.name for strip in found.traversals] == ["z0", "z1", "z2", "z3"]
    assert "original order" in found.order


def test_an_encoder_without_a_decoder_is_refused_in_a_sentence() -> None:
    with pytest.raises(InvalidInputError, match="method decode.*reference:RUN_DIR"):
        report_images(load_dataset("dsprites"), lambda observations: observations.reshape(len(observations), -1))


def test_a_decoder_that_gives_no_images_has_failed() -> None:
    with pytest.raises(EncoderError, match=r"uint8 images .*shape \(36, 64\)"):
        report_images(load_dataset("dsprites"), Mirror((64,)))


def test_data_that_are_not_images_are_refused_in_a_sentence() -> None:
    with pytest.raises(InvalidInputError, match="leave --data out"):
        report_images(load_dataset("linear-gaussian"))
