"""Encoder scheme ``reference``: a trained reference model."""

from disentmetrics._utils.installation import install_command
from disentmetrics.encoders.protocol import Encoder
from disentmetrics.errors import InvalidInputError, MissingExtraError


def load(target: str, *, step: str | None = None, device: str = "cpu") -> Encoder:
    """Posterior mean and log-variance of a model trained with ``disentmetrics train``.

    The target is a run folder, or a small pretrained model that ships with the package: zoo/vae-dsprites,
    zoo/beta-vae-dsprites, zoo/beta-tcvae-dsprites or zoo/factor-vae-dsprites.

    Options
    -------
    step : int, default the last
        A step after which the weights were kept (--snapshots).
    device : text, default cpu
        Device that computes the codes: cpu, auto, cuda, cuda:1 or mps.

    Example
    -------
    reference:run
    reference:run?step=1000
    reference:zoo/beta-tcvae-dsprites
    """
    try:
        from disentmetrics_reference_models.training.run_folder import load_run
    except ImportError as error:
        raise MissingExtraError(f"reference models need PyTorch; {install_command('train')}") from error
    if step is not None and not step.isdecimal():
        raise InvalidInputError(f"step must be a whole number, such as step=1000; got {step!r}")
    return load_run(target, step=None if step is None else int(step), device=device)
