"""Score any encoder for disentanglement, with numbers that can be trusted and compared."""

from disentmetrics import metrics as metrics, testing as testing
from disentmetrics._version import __version__ as __version__
from disentmetrics.adapter import load_encoder as load_encoder
from disentmetrics.agreement import AgreementResult as AgreementResult, agreement as agreement
from disentmetrics.check import check as check
from disentmetrics.compare import compare as compare
from disentmetrics.datasets import (
    CustomDataSet as CustomDataSet,
    list_datasets as list_datasets,
    load_dataset as load_dataset,
)
from disentmetrics.encode import encode as encode
from disentmetrics.encoder import Encoder as Encoder, Posterior as Posterior
from disentmetrics.factors import Factor as Factor, FactorSpace as FactorSpace
from disentmetrics.representation import Provenance as Provenance, Representation as Representation
from disentmetrics.result import Interval as Interval, Score as Score, ScoreCard as ScoreCard
from disentmetrics.score import score as score
from disentmetrics.screening import screen as screen
from disentmetrics.signature import Signature as Signature
from disentmetrics.udr import UDRResult as UDRResult, udr as udr
from disentmetrics.verify import verify as verify
