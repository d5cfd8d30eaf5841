"""Optimisers of groups of parameters, each of which minimises its own term."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

OPTIMIZERS = ("adam", "amsgrad", "adagrad", "rmsprop", "sgd")


@dataclass(frozen=True, kw_only=True)
class OptimizerSettings:
    """An optimiser and its hyperparameters.

    Attributes
    ----------
    name : {"adam", "amsgrad", "adagrad", "rmsprop", "sgd"}
        The accumulators of Adagrad start at 0.1, as in TensorFlow.
    learning_rate : float
    betas : tuple of float
        Decay rates of the moments of Adam and AMSGrad.
    momentum : float
        Momentum of SGD and RMSprop.
    smoothing : float
        Decay rate of the squared gradients of RMSprop.
    """

    name: str = "adam"
    learning_rate: float
    betas: tuple[float, float] = (0.9, 0.999)
    momentum: float = 0.0
    smoothing: float = 0.99

    def build(self, parameters: list[Tensor]) -> torch.optim.Optimizer:
        """Return the optimiser of these parameters."""
        rate = self.learning_rate
        if self.name == "adagrad":
            fused = all(parameter.device.type == "cpu" for parameter in parameters)  # only implemented for CPUs
            return torch.optim.Adagrad(parameters, lr=rate, initial_accumulator_value=0.1, fused=fused)
        if self.name == "rmsprop":
            return torch.optim.RMSprop(parameters, lr=rate, alpha=self.smoothing, momentum=self.momentum)
        if self.name == "sgd":
            return torch.optim.SGD(parameters, lr=rate, momentum=self.momentum, fused=True)
        return torch.optim.Adam(parameters, lr=rate, betas=self.betas, amsgrad=self.name == "amsgrad", fused=True)


@dataclass(frozen=True, kw_only=True)
class ParameterGroup:
    """Parameters that minimise a term of the objective with an optimiser of their own.

    Attributes
    ----------
    name : str
        Prefix of its parameters, such as ``parts.discriminator``; all parameters of no other group if empty.
    loss : str
        Term that it minimises.
    optimizer : callable
        Maps the configuration to its optimiser.
    period : callable
        Maps the configuration to the number of steps after which the group is updated once: n_critic of the generator
        of a GAN.
    fresh : callable
        Maps the configuration to whether its gradient is computed in a new forward pass, after the groups before it
        were updated in the same step, instead of in the common pass.
    """

    name: str = ""
    loss: str = "loss"
    optimizer: Callable[[Any], OptimizerSettings]
    period: Callable[[Any], int] = lambda _config: 1
    fresh: Callable[[Any], bool] = lambda _config: False
