"""Score any encoder for disentanglement, with numbers that can be trusted and compared.

From data to score::

    import disentmetrics as dm

    data = dm.load_dataset("dsprites")              # list_datasets, CustomDataSet
    representation = dm.encode(my_encoder, data)    # load_encoder; or Representation(codes, factors)
    card = dm.score(representation)                 # or a single metric: dm.metrics.mig(representation)
    dm.compare(card, other_card)                    # two encoders, paired on the same rows
    dm.check(card, "baseline.json")                 # regression check against a baseline
    dm.verify(card, my_encoder)                     # recompute a card and check that it reproduces
    dm.udr([run_1, run_2, run_3])                   # unsupervised ranking of models; agreement of two models
    dm.screen(codes, factors)                       # preselect latents of wide or sparse codes
    dm.testing.check_metric(my_metric)              # property tests for a metric of yours

The verbs are also commands: ``disentmetrics score``, ``compare``, ``check``, ``verify``, ``udr``.
"""

from disentmetrics import metrics, testing
from disentmetrics._version import __version__
from disentmetrics.comparison.agreement import AgreementResult, agreement
from disentmetrics.comparison.compare import compare
from disentmetrics.comparison.regression import check
from disentmetrics.comparison.udr import UDRResult, udr
from disentmetrics.comparison.verify import verify
from disentmetrics.datasets import CustomDataSet, list_datasets, load_dataset
from disentmetrics.encoders.encode import encode
from disentmetrics.encoders.protocol import Encoder, Posterior
from disentmetrics.encoders.registry import load_encoder
from disentmetrics.factors import Factor, FactorSpace
from disentmetrics.representation import Provenance, Representation
from disentmetrics.results.card import ScoreCard
from disentmetrics.results.score import Interval, Score
from disentmetrics.results.signature import Signature
from disentmetrics.scoring.score import score
from disentmetrics.statistics.screening import screen

__all__ = [
    "AgreementResult",
    "CustomDataSet",
    "Encoder",
    "Factor",
    "FactorSpace",
    "Interval",
    "Posterior",
    "Provenance",
    "Representation",
    "Score",
    "ScoreCard",
    "Signature",
    "UDRResult",
    "__version__",
    "agreement",
    "check",
    "compare",
    "encode",
    "list_datasets",
    "load_dataset",
    "load_encoder",
    "metrics",
    "score",
    "screen",
    "testing",
    "udr",
    "verify",
]


def __dir__() -> list[str]:
    return sorted(__all__)
