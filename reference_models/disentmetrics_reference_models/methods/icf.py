"""Independently controllable factors: an autoencoder whose features policies can change one at a time."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from disentmetrics.errors import InvalidInputError
from disentmetrics_reference_models.nn.likelihoods import mean_observation
from disentmetrics_reference_models.nn.networks import ARCHITECTURES, GaussianEncoder, Shape
from disentmetrics_reference_models.training.config import Config
from disentmetrics_reference_models.training.data import TrainingData
from disentmetrics_reference_models.training.evidence import AutoEncoder, Terms
from disentmetrics_reference_models.training.method import Batch, Drawn, Weights, method
from disentmetrics_reference_models.training.stage import Stage

_TINY = 1e-6


@dataclass(frozen=True, kw_only=True)
class ICFConfig(Config):
    """Settings for a square that moves on a grid.

    Attributes
    ----------
    n_codes : int
        Number of features K, and of policies, each of which should move one feature up.
    selectivity : float
        Weight λ of the selectivity, chosen by hand: 0.1 to 1 in the paper; the error here is a sum over pixels.
    movable : str
        Factors that actions change by one step, separated by commas; by default all that are not categorical.
    """

    architecture: str = "burgess"
    n_codes: int = 4
    batch_size: int = 32
    n_steps: int = 20_000
    learning_rate: float = 1e-3
    selectivity: float = 0.5
    movable: str = ""

    @property
    def factors(self) -> tuple[str, ...]:
        """Names of the factors that actions change."""
        return tuple(name.strip() for name in self.movable.split(",") if name.strip())


def transitions(config: ICFConfig, data: TrainingData, n_steps: int, generator: torch.Generator) -> Drawn:
    """Draw states, followed by the states that each action leads to, and which actions change anything.

    There are two actions per movable factor, one step down and one up. At the ends of a factor that is not circular an
    action has no effect.
    """
    space, n = data.data.space, config.batch_size
    states = torch.from_numpy(space.indices_of(torch.randint(len(data), (n_steps * n,), generator=generator).numpy()))
    rows, moves = [states], []
    for name in config.factors:
        column = space.names.index(name)
        size, is_circular = space.sizes[column], space.factors[column].kind == "circular"
        for direction in (-1, 1):
            following = states.clone()
            value = following[:, column] + direction
            following[:, column] = value % size if is_circular else value.clamp(0, size - 1)
            rows.append(following)
            moves.append((following[:, column] != states[:, column]).float())
    by_step = [torch.from_numpy(space.rows_of(part.numpy())).view(n_steps, n) for part in rows]
    own = torch.arange(n).repeat(len(rows)).expand(n_steps, -1)
    return Drawn(torch.cat(by_step, 1), {"moves": torch.stack(moves, -1).view(n_steps, n, -1)}, own)


def _parts(config: ICFConfig, shape: Shape) -> dict[str, nn.Module]:
    encoder = ARCHITECTURES[config.architecture].encoder(shape, config.n_codes)
    if not isinstance(encoder, GaussianEncoder):
        raise InvalidInputError(
            f"icf needs features before the last layer of the encoder; {config.architecture} has none"
        )
    return {"policies": nn.Linear(encoder.head.in_features, config.n_codes * 2 * len(config.factors))}


def _resolve_config(config: ICFConfig, data: TrainingData, stages: Mapping[str, Stage]) -> ICFConfig:
    data.require_grid("icf")
    data.check_factors("movable", config.factors)
    ordered = [factor.name for factor in data.data.space.factors if factor.kind != "categorical"]
    if not (config.factors or ordered):
        raise InvalidInputError(f"icf needs factors that can move by a step; those of {data.data.name} are categorical")
    return replace(config, movable=",".join(config.factors or ordered))


def features(model: AutoEncoder, observations: Tensor, config: ICFConfig) -> Tensor:
    """Return the features tanh(m), (n, K), in (-1, 1)."""
    mean, _ = model.encoder(observations)
    return torch.as_tensor(mean.tanh())


def _generate(model: AutoEncoder, codes: Tensor, config: ICFConfig) -> Tensor:
    return mean_observation(model.decoder(codes.clamp(-1 + _TINY, 1 - _TINY).atanh()))


def _sample(model: AutoEncoder, weights: Weights, config: ICFConfig, n: int, generator: torch.Generator) -> Tensor:
    codes = 1.8 * torch.rand(n, config.n_codes, generator=generator) - 0.9
    return _generate(model, codes.to(next(model.parameters())), config)


@method(
    config=ICFConfig,
    paper="Bengio, Thomas, Pineau, Precup, Bengio (2017), Independently Controllable Features; Thomas et al. (2017)",
    presets={
        "smoke": {"n_codes": 2, "n_steps": 3_000, "selectivity": 5.0},
        "small": {"n_steps": 20_000},
    },
    noise=lambda _config: {},
    parts=_parts,
    rows=transitions,
    resolve_config=_resolve_config,
    represent=features,
    generate=_generate,
    sample=_sample,
    reported=("loss", "error", "selectivity"),
    reach=1.0,
    tuned_on="",
)
def icf(model: Any, batch: Batch, weights: Weights, config: ICFConfig) -> Terms:
    """Reconstruct, and make each feature rise under a policy of its own.

    ``loss = ½ E |s - g(f(s))|² - λ sum_k E_s sum_a π_k(a | s) log (sel(s, a, k) + 1/K)`` with
    ``sel(s, a, k) = max(f_k(s') - f_k(s), 0) / sum_k' |f_k'(s') - f_k'(s)|``. The sum over actions is exact. Actions
    change a movable factor by one step; where they change nothing, the policies do not choose them. The
    directed form rewards a rise alone: with twice as many features as factors there is one for each direction, and
    since the two move together, the selectivity is at most 1/2; with one per factor it can reach 1. The policies are
    linear in the features of the encoder before its last layer, without a gradient into them. The representation is f,
    a tanh; the decoder receives its argument.

    Differs from the paper: transitions are drawn from the grid of a data set with known movable factors; networks are
    those of the architecture; 1/K is added inside the logarithm, as in a later implementation.

    Known failure: without the reconstruction the features collapse; factors that no action changes are represented only
    as far as the reconstruction needs them.
    """
    n = config.batch_size
    body = model.encoder.body(batch.observations)
    mean = model.encoder.head(body).chunk(2, dim=-1)[0]
    f = mean.tanh()
    states, moves = batch.observations[:n], batch.inputs["moves"]
    error = 0.5 * ((mean_observation(model.decoder(mean[:n])) - states) ** 2).flatten(1).sum(1).mean()
    n_actions = moves.shape[-1]
    difference = f[n:].view(n_actions, n, -1).transpose(0, 1) - f[:n, None]  # (n, actions, K)
    share = difference.clamp(min=0) / difference.abs().sum(-1, keepdim=True).clamp(min=_TINY)
    logits = model.parts["policies"](body[:n].detach()).view(n, config.n_codes, n_actions)
    policy = torch.softmax(logits + (moves[:, None] + _TINY).log(), -1)  # (n, K, actions)
    gain = (policy * (share.transpose(1, 2) + 1 / config.n_codes).log()).sum(-1)
    selectivity = (policy * share.transpose(1, 2)).sum(-1).mean()
    loss = error - weights["selectivity"] * gain.sum(1).mean()
    dominance = policy.detach().mean(0).max(-1).values.mean()
    return {"loss": loss, "error": error, "selectivity": selectivity, "dominance": dominance}
