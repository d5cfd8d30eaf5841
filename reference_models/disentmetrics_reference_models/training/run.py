"""A trained model: an encoder, a decoder and a sampler of its prior."""

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from disentmetrics.encoders.protocol import Posterior
from disentmetrics.errors import InvalidInputError
from disentmetrics_reference_models.nn.networks import Shape
from disentmetrics_reference_models.nn.priors import Prior, is_standard_normal, kl_of_posteriors
from disentmetrics_reference_models.nn.standardisation import Standardisation
from disentmetrics_reference_models.training.config import Config
from disentmetrics_reference_models.training.device import choose_device
from disentmetrics_reference_models.training.history import History
from disentmetrics_reference_models.training.method import Method
from disentmetrics_reference_models.training.stage import Stage


@dataclass(frozen=True)
class Run:
    """A trained model, which is also an encoder, with its configuration and training history.

    Attributes
    ----------
    config : Config
    model : Module
        In evaluation mode, on ``device``.
    shape : tuple of int
        Shape of its observations: (channels, height, width) of images, (n_features,) of vectors.
    data : str
        Fingerprint of the data set it was trained on.
    n_steps : int
        Number of completed training steps.
    history : History
    fingerprint : str
        Hash of the weights.
    stages : mapping of str to Stage
        The trained models that it was built on.
    """

    config: Config
    model: Any
    shape: Shape
    data: str
    n_steps: int
    history: History
    fingerprint: str
    stages: Mapping[str, Stage] = field(default_factory=dict)

    def __call__(self, observations: NDArray[Any], /) -> Posterior | NDArray[np.float32]:
        """Return the posterior of observations, or their codes if the method has no posterior.

        Parameters
        ----------
        observations : (n, height, width, channels) uint8, or (n, n_features) float
            Images or vectors, as the model was trained on.

        Returns
        -------
        Posterior or (n, n_codes) float32
            Where the prior of the method is not N(0, I), ``kl`` is the divergence from that prior.
        """
        inputs = self.inputs(observations)
        with torch.inference_mode():
            codes = self.method.represent(self.model, inputs, self.config)
            if isinstance(codes, torch.Tensor):
                return _float32(codes)
            prior = self.prior
            kl = None if is_standard_normal(prior) else kl_of_posteriors(prior, *codes)
        return Posterior(_float32(codes[0]), _float32(codes[1]), None if kl is None else _float32(kl))

    @property
    def method(self) -> Method:
        """The method that the model was trained with."""
        return self.config.method

    @property
    def device(self) -> torch.device:
        """The device that computes the codes."""
        device: torch.device = next(self.model.parameters()).device
        return device

    @property
    def categorical_codes(self) -> tuple[bool, ...]:
        """Which latents are categorical, one flag for each; empty if none is."""
        return tuple(n > 0 for n in self.n_categories)

    @property
    def n_categories(self) -> tuple[int, ...]:
        """Number of categories of each latent, 0 for a continuous one; empty if no latent is categorical."""
        return tuple(self.method.categorical(self.config))

    @property
    def weights(self) -> dict[str, torch.Tensor]:
        """Weights of the objective on the device of the model."""
        return {name: torch.tensor(value, device=self.device) for name, value in self.config.weights.items()}

    @property
    def prior(self) -> Prior:
        """The prior of the latents, with its learned parameters."""
        prior: Prior = self.method.prior(self.model, self.weights, self.config)
        return prior

    def on(self, device: str | torch.device) -> "Run":
        """Return this run with its model on another device, such as ``cpu``, ``cuda`` or ``auto``."""
        return replace(self, model=deepcopy(self.model).to(choose_device(str(device))))

    def inputs(self, observations: NDArray[Any]) -> torch.Tensor:
        """Convert observations to what the networks take: images in [0, 1], channels first, or standardised vectors.

        Raises
        ------
        InvalidInputError
            If their shape differs from that of the training data.
        """
        if len(self.shape) == 1:
            if observations.shape[1:] != self.shape or observations.dtype.kind not in "fiub":
                raise InvalidInputError(
                    f"this model needs vectors of {self.shape[0]} real features; got {observations.dtype} of shape "
                    f"{observations.shape[1:]}"
                )
            vectors = torch.from_numpy(np.ascontiguousarray(observations, np.float32)).to(self.device)
            standardised: torch.Tensor = self._standardisation(vectors)
            return standardised
        channels, height, width = self.shape
        if observations.shape[1:] != (height, width, channels) or observations.dtype != np.uint8:
            raise InvalidInputError(
                f"this model needs uint8 images of {height} x {width} x {channels}; got {observations.dtype} of shape "
                f"{observations.shape[1:]}"
            )
        images = torch.from_numpy(np.ascontiguousarray(observations)).to(self.device)
        return images.movedim(-1, 1).float() / 255

    @property
    def _standardisation(self) -> Standardisation:
        module: Standardisation = self.model.standardisation
        return module

    def posterior(self, observations: NDArray[Any]) -> Posterior:
        """Return the posterior of observations.

        Raises
        ------
        InvalidInputError
            If the method has no posterior, only codes.
        """
        codes = self(observations)
        if not isinstance(codes, Posterior):
            raise InvalidInputError(f"posteriors are needed; {self.method.name} has codes only")
        return codes

    def decode(self, codes: NDArray[np.floating]) -> NDArray[Any]:
        """Return the mean observations that codes (n, n_codes) decode to.

        Returns
        -------
        (n, height, width, channels) uint8, or (n, n_features) float32
        """
        n_codes = self.config.n_codes
        if codes.ndim != 2 or codes.shape[1] != n_codes:
            raise InvalidInputError(f"codes must have shape (n, {n_codes}); got {codes.shape}")
        with torch.inference_mode():
            inputs = torch.tensor(np.array(codes, np.float32), device=self.device)
            return self._observed(self.method.generate(self.model, inputs, self.config))

    def sample(self, n: int, *, seed: int = 0) -> NDArray[Any]:
        """Return the mean observations of n samples of the prior.

        Parameters
        ----------
        n : int
        seed : int
            Random seed of the samples.

        Returns
        -------
        (n, height, width, channels) uint8, or (n, n_features) float32
        """
        if n < 1:
            raise InvalidInputError(f"n must be at least 1; got {n}")
        generator = torch.Generator().manual_seed(seed)
        with torch.inference_mode():
            return self._observed(self.method.sample(self.model, self.weights, self.config, n, generator))

    def _observed(self, mean: torch.Tensor) -> NDArray[Any]:
        if len(self.shape) == 1:
            return _float32(self._standardisation.inverse(mean))
        return np.asarray((mean * 255).round().to(torch.uint8).movedim(1, -1).cpu().numpy(), np.uint8)


def _float32(tensor: torch.Tensor) -> NDArray[np.float32]:
    return tensor.cpu().numpy().astype(np.float32)
