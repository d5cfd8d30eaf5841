"""Scheme ``reference``: a run folder of a reference trainer as an encoder."""

from disentmetrics.encoders.protocol import Encoder
from disentmetrics.encoders.registry import Fingerprinted
from disentmetrics.errors import MissingExtraError


def load(target: str) -> Encoder:
    """Encode by a model trained with ``disentmetrics train``: posterior mean and log-variance.

    The target is the run folder, or a small pretrained model of the package: zoo/vae-dsprites,
    zoo/beta-vae-dsprites, zoo/beta-tcvae-dsprites or zoo/factor-vae-dsprites.

    Example
    -------
    reference:run
    reference:zoo/beta-tcvae-dsprites
    """
    try:
        from disentmetrics_reference_models.training.run import load_run
    except ImportError as error:
        raise MissingExtraError("reference models need PyTorch; pip install 'disentmetrics[train]'") from error
    run = load_run(target)
    return Fingerprinted(run, run.fingerprint)
