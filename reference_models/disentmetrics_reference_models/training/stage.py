"""Trained models as frozen parts of another method."""

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Self

from torch import Tensor, nn

from disentmetrics_reference_models.nn.networks import Shape
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
    """

    def __init__(self, stage: Stage) -> None:
        super().__init__()
        self.model = deepcopy(stage.model)
        self.config, self.shape = stage.config, stage.shape
        self.requires_grad_(requires_grad=False)
        self.eval()

    def train(self, mode: bool = True) -> Self:  # noqa: ARG002, FBT001, FBT002 - the interface of torch
        """Stay in evaluation mode."""
        return super().train(mode=False)

    def represent(self, observations: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        """Return the codes of observations, or mean and log-variance of their posterior."""
        return self.config.method.represent(self.model, observations, self.config)

    def generate(self, codes: Tensor) -> Tensor:
        """Return the mean observations that codes decode to."""
        return self.config.method.generate(self.model, codes, self.config)
