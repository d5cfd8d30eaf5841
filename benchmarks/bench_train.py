"""Training speed of reference models compared with a textbook loop: ``python benchmarks/bench_train.py``.

The baseline is implemented here: a DataLoader with two workers over the array of images, the same
networks and batch, eager, in float32. Ours is the training loop of the package, one model alone and
stacks of several, in float32 and in bfloat16. All are measured in one run on one machine; only ratios travel.
"""

import argparse
import time
from collections.abc import Iterator

import numpy as np
import torch
from disentmetrics_reference_models.nn.gaussians import kl_to_standard_normal, reparameterise
from disentmetrics_reference_models.nn.likelihoods import reconstruction_loss
from disentmetrics_reference_models.training.config import PRECISIONS, Config
from disentmetrics_reference_models.training.data import TrainingData
from disentmetrics_reference_models.training.device import choose_device
from disentmetrics_reference_models.training.registry import find_method
from disentmetrics_reference_models.training.trainer import Trainer, with_seeds
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset

from disentmetrics import load_dataset

BATCH = 64


def textbook(config: Config, images: Tensor, device: torch.device) -> Iterator[None]:
    """Train as in any tutorial, one step at a time."""
    model = find_method("beta_vae").build(config, (1, 64, 64)).to(device)
    optimizer = torch.optim.Adam(model.parameters(), lr=config.learning_rate)
    loader = DataLoader(TensorDataset(images), batch_size=BATCH, shuffle=True, num_workers=2, drop_last=True)
    while True:
        for (batch,) in loader:
            x = batch.to(device).float()
            mean, log_variance = model.encoder(x)
            z = reparameterise(mean, log_variance, torch.randn_like(mean))
            kl = kl_to_standard_normal(mean, log_variance).sum(1)
            loss = (reconstruction_loss(model.decoder(z), x) + 4 * kl).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            loss.item()
            yield


def ours(configs: list[Config], images: TrainingData, device: torch.device) -> Iterator[None]:
    trainer = Trainer(configs, images, device)
    for _ in trainer.run(10**9):
        yield


def steps_per_second(steps: Iterator[None], device: torch.device, seconds: float) -> float:
    """Return the rate after a warm-up of a third of the time."""
    for duration in (seconds / 3, seconds):
        start, n = time.perf_counter(), 0
        for _ in steps:
            n += 1
            if device.type == "cuda":
                torch.cuda.synchronize()
            if time.perf_counter() - start > duration:
                break
    return n / (time.perf_counter() - start)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--architectures", default="burgess,higgins-fc,patch-conv,small-fc")
    parser.add_argument("--seconds", type=float, default=12.0, help="of each measurement")
    parser.add_argument("--stacks", default="1,5,10,50")
    parser.add_argument("--device", default="auto")
    given = parser.parse_args()
    device = choose_device(given.device)
    data = load_dataset("dsprites")
    images = TrainingData(data)
    # As many images as a tutorial would load: workers copy what they are given.
    drawn = data.sample(50_000, np.random.default_rng(0))
    array = torch.from_numpy(data.observations(drawn.factors) // 255).movedim(-1, 1)
    print(f"batch {BATCH}, {device}, {torch.get_num_threads()} threads; the baseline computes in float32")
    print(f"{'':<40}{'steps/s':>10}{'models x steps/s':>20}{'ratio':>10}")
    for architecture in given.architectures.split(","):
        config = find_method("beta_vae").preset("paper").changed({"architecture": architecture})
        baseline = steps_per_second(textbook(config, array, device), device, given.seconds)
        print(f"{f'{architecture}, textbook loop':<40}{baseline:>10.1f}{baseline:>20.1f}{1:>10.2f}", flush=True)
        for precision in PRECISIONS:
            for size in map(int, given.stacks.split(",")):
                members = with_seeds(config.changed({"precision": precision}), range(size))
                rate = steps_per_second(ours(members, images, device), device, given.seconds)
                name = f"{architecture}, ours, {precision}, {size} together"
                print(f"{name:<40}{rate:>10.2f}{rate * size:>20.1f}{rate * size / baseline:>10.2f}", flush=True)


if __name__ == "__main__":
    main()
