"""Encoder scheme ``reference``: a trained reference model."""

from disentmetrics._utils.installation import install_command
from disentmetrics.encoders.protocol import Encoder
from disentmetrics.errors import MissingExtraError


def load(target: str) -> Encoder:
    """Posterior mean and log-variance of a model trained with ``disentmetrics train``.

    The target is a run folder, or a small pretrained model that ships with the package: zoo/vae-dsprites,
    zoo/beta-vae-dsprites, zoo/beta-tcvae-dsprites or zoo/factor-vae-dsprites.

    Example
    -------
    reference:run
    reference:zoo/beta-tcvae-dsprites
    """
    try:
        from disentmetrics_reference_models.training.run import load_run
    except ImportError as error:
        raise MissingExtraError(f"reference models need PyTorch; {install_command('train')}") from error
    return load_run(target)
