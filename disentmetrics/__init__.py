"""Score any encoder for disentanglement, with numbers that can be trusted and compared."""

from disentmetrics import metrics as metrics, testing as testing
from disentmetrics._version import __version__ as __version__
from disentmetrics.comparison.agreement import AgreementResult as AgreementResult, agreement as agreement
from disentmetrics.comparison.compare import compare as compare
from disentmetrics.comparison.regression import check as check
from disentmetrics.comparison.udr import UDRResult as UDRResult, udr as udr
from disentmetrics.comparison.verify import verify as verify
from disentmetrics.datasets import (
    CustomDataSet as CustomDataSet,
    list_datasets as list_datasets,
    load_dataset as load_dataset,
)
from disentmetrics.encoders.encode import encode as encode
from disentmetrics.encoders.protocol import Encoder as Encoder, Posterior as Posterior
from disentmetrics.encoders.registry import load_encoder as load_encoder
from disentmetrics.factors import Factor as Factor, FactorSpace as FactorSpace
from disentmetrics.representation import Provenance as Provenance, Representation as Representation
from disentmetrics.results.card import ScoreCard as ScoreCard
from disentmetrics.results.score import Interval as Interval, Score as Score
from disentmetrics.results.signature import Signature as Signature
from disentmetrics.scoring.score import score as score
from disentmetrics.statistics.screening import screen as screen
