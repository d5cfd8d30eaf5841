"""Trained models as frozen parts of another method."""

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any, Self

import torch
from torch import Tensor, nn

from disentmetrics_reference_models.nn.networks import Shape
from disentmetrics_reference_models.nn.standardisation import Standardisation
from disentmetrics_reference_models.training.config import Config


@dataclass(frozen=True)
class Stage:
    """A trained model that another method builds on.

    Attributes
    ----------
    config : Config
    shape : tuple of int
        Shape of its observations.
    model : Module
    fingerprint : str
        Hash of its weights; it takes the place of the path in the configuration of the method that builds on it.
    stages : mapping of str to Stage
        The models that it was built on itself.
    """

    config: Config
    shape: Shape
    model: nn.Module
    fingerprint: str
    stages: Mapping[str, "Stage"] = field(default_factory=dict)


class FrozenModel(nn.Module):
    """A copy of the model of a stage, with fixed weights and in evaluation mode, as a part of another model.

    Parameters
    ----------
    stage : Stage
    scaling : Standardisation, optional
        How the model around this one standardises vectors.
    """

    def __init__(self, stage: Stage, scaling: Standardisation | None = None) -> None:
        super().__init__()
        self._outer = [scaling]  # in a list, because it belongs to the model around this one
        self.model: Any = deepcopy(stage.model)
        self.config, self.shape = stage.config, stage.shape
        self.requires_grad_(requires_grad=False)
        self.eval()

    def train(self, mode: bool = True) -> Self:  # noqa: ARG002, FBT001, FBT002 - the interface of torch
        """Stay in evaluation mode."""
        return super().train(mode=False)

    def represent(self, observations: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        """Return the codes of observations, or mean and log-variance of their posterior."""
        if self._outer[0] is not None:  # vectors, which this model standardises by its own training data
            observations = self.model.standardisation(self._outer[0].inverse(observations))
        return self.config.method.represent(self.model, observations, self.config)

    def generate(self, codes: Tensor) -> Tensor:
        """Return the mean observations that codes decode to."""
        generated = self.config.method.generate(self.model, codes, self.config)
        if self._outer[0] is not None:
            return torch.as_tensor(self._outer[0](self.model.standardisation.inverse(generated)))
        return generated
