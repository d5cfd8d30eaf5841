"""Presets: named sets of metrics that a paper or a field reports."""

from collections.abc import Sequence
from dataclasses import dataclass

from disentmetrics.errors import InvalidInputError, did_you_mean
from disentmetrics.metrics import broken_entry_points, find_metric, registered_metrics

ALL = "all"
"""Every metric under every protocol."""


@dataclass(frozen=True)
class Preset:
    """A set of metrics.

    Attributes
    ----------
    about : str
        Its source and purpose.
    metrics : tuple of str
        Names, with protocols.
    with_posterior : tuple of str
        Further names, for encoders with posterior variances.
    """

    about: str
    metrics: tuple[str, ...]
    with_posterior: tuple[str, ...] = ()


_ADJUSTED = ("modularity_adj", "compactness_adj", "explicitness_adj")

PRESETS: dict[str, Preset] = {
    "default": Preset(
        "recommended: three common metrics, DCI, and the scores corrected for chance",
        ("mig", "factorvae", "higgins", "dci", *_ADJUSTED),
        ("mig@chen2018",),
    ),
    "core": Preset(
        "all metrics of the large comparative studies, under their recommended protocols",
        (
            *("mig", "mig_sup", "dcimig", "jemmig", "factorvae", "higgins", "dci", "sap", "modularity"),
            *("explicitness", "irs", "mcc", *_ADJUSTED),
        ),
        ("mig@chen2018",),
    ),
    "robust": Preset(
        "unaffected by outliers, monotone warps, constant and noise latents; 0 for noise",
        ("mig", "dcimig", "mcc", *_ADJUSTED),
    ),
    "locatello2019": Preset(
        "Locatello et al. (2019), settings of disentanglement_lib 1.5",
        tuple(
            f"{name}@locatello2019"
            for name in ("higgins", "factorvae", "mig", "dci", "modularity", "explicitness", "sap", "irs")
        ),
    ),
    "carbonneau2022": Preset(
        "Carbonneau, Zaidi et al. (2022): three families of metrics, ten bins",
        (
            *(f"{name}@carbonneau2022" for name in ("mig_sup", "dcimig", "jemmig", "explicitness", "z_max_var")),
            *("mig@locatello2019", "modularity@ridgeway2018", "irs@suter2019", "sap@kumar2018", "higgins", "factorvae"),
            "dci@eastwood2018",
        ),
    ),
    "hsu2023": Preset("Hsu et al. (2023), latent quantization: InfoMEC", ("infomec@hsu2023", "infomec")),
    "drvi": Preset(
        "Moinfar & Theis (2024), single-cell DRVI: three pair scores, three aggregations",
        tuple(f"{name}{pair}" for name in ("lms", "msas", "msgs") for pair in ("", "@spn", "@bmmi")),
    ),
    "crl": Preset(
        "causal representation learning and nonlinear ICA: identifiability up to permutation, affine maps, blocks",
        ("mcc", "mcc@khemakhem2020", "mcc@weak", "linear_r2", "nonlinear_r2", "block_identifiability", "tmex@linear"),
    ),
}


def parse(metrics: str | Sequence[str]) -> list[str]:
    """Return presets and names as a list, after checking that each exists.

    Raises
    ------
    InvalidInputError
        If one is neither a preset nor a metric; the message suggests the closest name.

    Examples
    --------
    >>> parse("robust, mig@chen2018")
    ['robust', 'mig@chen2018']
    """
    if isinstance(metrics, str):
        metrics = [name.strip() for name in metrics.split(",") if name.strip()]
    if not isinstance(metrics, list | tuple) or not all(isinstance(name, str) for name in metrics):
        raise InvalidInputError(f"metrics must be a preset or a list of names; got {metrics!r}")
    if not metrics:
        raise InvalidInputError("metrics must name at least one metric or preset; got none")
    installed = registered_metrics()
    for name in metrics:
        if name in PRESETS or name == ALL:
            continue
        metric_name = name.partition("@")[0]
        if metric_name not in installed and metric_name not in broken_entry_points():
            raise InvalidInputError(
                f"no metric and no preset is named {name!r}{did_you_mean(name, [*PRESETS, ALL, *installed])}; "
                f"presets: {', '.join((*PRESETS, ALL))}; metrics: {', '.join(installed)}"
            )
        find_metric(name)
    return list(metrics)


def expand(metrics: str | Sequence[str], *, posterior: bool) -> list[str]:
    """Return the metrics of presets and names, each once.

    Parameters
    ----------
    metrics : str or sequence of str
        As for :func:`disentmetrics.score`.
    posterior : bool
        Whether there are posterior variances.
    """
    names = [name for requested in parse(metrics) for name in _expanded(requested, posterior=posterior)]
    return list(dict.fromkeys(names))


def _expanded(name: str, *, posterior: bool) -> Sequence[str]:
    if name == ALL:
        return [
            metric_name if protocol == "default" else f"{metric_name}@{protocol}"
            for metric_name, metric in registered_metrics().items()
            for protocol in metric.protocols
        ]
    if name not in PRESETS:
        return [name]
    preset = PRESETS[name]
    return [*preset.metrics, *(preset.with_posterior if posterior else ())]
