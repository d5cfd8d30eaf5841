"""Metrics in PyTorch training loops equal those of arrays."""

import copy
import io
import math
import pickle
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import disentmetrics as dm
from disentmetrics.errors import InvalidInputError, MissingExtraError
from disentmetrics.metrics import registered_metrics
from disentmetrics.metrics.base import Metric
from disentmetrics.scoring.presets import PRESETS

pytest.importorskip("torch", reason="metrics of tensors need PyTorch")
pytest.importorskip("torchmetrics", reason="the base class comes from torchmetrics")

import torch
from disentmetrics_adapters.integrations import torchmetrics as tm
from disentmetrics_adapters.integrations.torchmetrics._metric import ScoreMetric
from torchmetrics import MetricCollection
from torchmetrics.utilities import dim_zero_cat

SIZES = (3, 4, 5)
N_ROWS = 240
EVERY = list(registered_metrics().values())
Table = tuple[NDArray[Any], NDArray[np.int64], NDArray[np.float64]]


def table_of(n_rows: int) -> Table:
    rng = np.random.default_rng(5)
    factors = np.array(np.unravel_index(rng.permutation(n_rows) % math.prod(SIZES), SIZES)).T
    codes = np.column_stack([factors + 0.4 * rng.normal(size=factors.shape), rng.normal(size=n_rows)])
    return codes, factors, rng.uniform(-4, 0, codes.shape)


@pytest.fixture(scope="module")
def table() -> Table:
    return table_of(N_ROWS)


def fed(metric: ScoreMetric, *table: Any) -> ScoreMetric:
    for start in range(0, len(table[0]), 50):
        parts: list[Any] = [None if a is None else torch.as_tensor(a[start : start + 50].copy()) for a in table]
        metric.update(*parts)
    return metric


@pytest.mark.parametrize("metric", EVERY, ids=lambda metric: metric.name)
def test_every_metric_gives_exactly_the_value_of_the_complete_arrays(metric: Metric) -> None:
    codes, factors, spread = table_of(180 if metric.protocol("default").slow else N_ROWS)
    codes = np.rint(codes).astype(np.int64) if metric.needs.symbols else codes
    log_variance = spread if metric.needs.log_variance else None
    kinds: Any = dict.fromkeys(("factor_0", "factor_1", "factor_2"), "circular") if metric.name == "d_lsbd" else None
    whole = metric.score(dm.Representation(codes, factors, log_variance=log_variance, kinds=kinds), seed=3)
    made = fed(tm.metric(metric.name, seed=3, kinds=kinds), codes, factors, log_variance)
    assert whole.undefined is None
    assert made.compute().item() == whole.value
    assert made.score is not None
    assert made.score.signature == whole.signature
    assert made.higher_is_better is metric.higher_is_better
    ends = (made.plot_lower_bound, made.plot_upper_bound)
    assert ends == tuple(end if math.isfinite(end) else None for end in metric.bounds)


@pytest.mark.parametrize("name", ["mig", "mig@chen2018", "sap@kumar2018"])
def test_the_value_is_that_of_the_function(name: str, table: Table) -> None:
    metric, protocol = dm.metrics.find_metric(name)
    whole = metric(*table[:2], log_variance=table[2], protocol=protocol)
    assert fed(tm.metric(name), *table).compute().item() == whole.value


def test_a_metric_of_codes_alone_needs_no_factors(table: Table) -> None:
    assert fed(tm.GaussianTotalCorrelation(), table[0]).compute().item() == (
        dm.metrics.gaussian_total_correlation(table[0], None).value
    )


def test_parts_are_separate_metrics(table: Table) -> None:
    whole = dm.metrics.linear_r2(*table[:2])
    made = fed(tm.metric("linear_r2.codes_from_factors"), *table[:2])
    assert type(made) is tm.LinearR2CodesFromFactors
    assert made.compute().item() == whole.parts["codes_from_factors"].value != whole.value
    assert made.higher_is_better is True


def test_there_is_one_class_for_each_metric_and_part() -> None:
    names = [name for name in dir(tm) if name[0].isupper()]
    assert len(names) == len(set(names)) == sum(1 + len(metric.parts) for metric in EVERY)
    assert all(getattr(tm, name).__name__ == name for name in names)
    assert (tm.Mig.__doc__ or "").startswith("``mig`` over batches")
    with pytest.raises(AttributeError, match="no metric is named 'Mik'"):
        _ = tm.Mik


def test_options_of_the_metric_and_of_torchmetrics_are_separated(table: Table) -> None:
    made = tm.Mig(protocol="locatello2019", n_bins=5, compute_on_cpu=True)
    assert fed(made, *table[:2]).compute().item() == (
        dm.metrics.mig(*table[:2], protocol="locatello2019", n_bins=5).value
    )
    assert repr(made) == "Mig(protocol='locatello2019', n_bins=5)"


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("mik", {}, "no metric is named 'mik'"),
        ("mig.completeness", {}, "mig has no part 'completeness'; it has none"),
        ("dci.completness", {}, "dci has no part 'completness'"),
        ("mig@chen2018", {"protocol": "default"}, "the protocol must be given once"),
        ("mig", {"protocol": "chen"}, "mig has no protocol 'chen'"),
        ("mig", {"n_bin": 3}, "mig has no option 'n_bin'"),
        ("mig", {"n_bins": 0}, "n_bins must be a whole number"),
        ("mig", {"max_rows": 0}, "max_rows must be a whole number of at least 1; got 0"),
        ("mig", {"seed": -1}, "seed must be a whole number"),
    ],
)
def test_invalid_input_is_refused_before_the_first_batch(name: str, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        tm.metric(name, **settings)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("batches", "message"),
    [
        ([(torch.zeros(3, 2), None)], "mig compares codes with factors"),
        ([(torch.zeros(3, 2), torch.zeros(4, 2))], "factors must have as many rows as codes, 3; got 4"),
        (
            [(torch.zeros(3, 2), torch.zeros(3, 2)), (torch.zeros(3, 1), torch.zeros(3, 2))],
            "codes must have the same number of columns",
        ),
        ([(torch.zeros(3, 2, 2), torch.zeros(3, 2))], "codes must have shape (n, columns); got (3, 2, 2)"),
        ([(torch.zeros(3, 2), [["a", "b"]] * 3)], "factors must be a tensor of numbers"),
        (
            [(torch.zeros(3, 2),) * 3, (torch.zeros(3, 2),) * 2],
            "log_variance must be given with every batch or with none",
        ),
    ],
)
def test_a_batch_that_does_not_agree_is_refused(batches: list[Any], message: str) -> None:
    metric = tm.Mig()
    *fine, wrong = batches
    for batch in fine:
        metric.update(*batch)
    with pytest.raises(InvalidInputError) as caught:
        metric.update(*wrong)
    assert message in str(caught.value)


@pytest.mark.filterwarnings("ignore:The ``compute`` method of metric")
def test_no_rows_have_no_score() -> None:
    with pytest.raises(InvalidInputError, match="mig has no rows; call update before compute"):
        tm.Mig().compute()


def test_an_undefined_score_is_nan_with_a_reason() -> None:
    metric = tm.Mig()
    metric.update(torch.zeros(4, 2), torch.zeros(4, 1))
    with pytest.warns(UserWarning, match="mig is undefined, NaN: mig needs"):
        assert metric.compute().isnan()


def test_reset_forgets(table: Table) -> None:
    metric = fed(tm.Mig(), *table[:2])
    first = metric.compute()
    metric.reset()
    assert metric.score is None
    assert metric.codes == []
    assert fed(metric, *table[:2]).compute() == first


def test_a_call_scores_the_batch_and_keeps_it(table: Table) -> None:
    codes, factors = torch.as_tensor(table[0]), torch.as_tensor(table[1])
    metric = tm.Mig()
    batch_values = [metric(codes[:120], factors[:120]), metric(codes[120:], factors[120:])]
    assert batch_values[1] == dm.metrics.mig(table[0][120:], table[1][120:]).value
    assert metric.compute() == dm.metrics.mig(*table[:2]).value


def test_pickles_copies_and_saved_modules_go_on(table: Table) -> None:
    metric = fed(tm.DciCompleteness(protocol="eastwood2018_forest"), *table[:2])
    value = metric.compute()
    file = io.BytesIO()
    torch.save(metric, file)
    file.seek(0)
    for same in (
        pickle.loads(pickle.dumps(metric)), copy.deepcopy(metric), metric.clone(),
        torch.load(file, weights_only=False),
    ):  # fmt: skip
        same.update(torch.zeros(0, 4, dtype=torch.float64), torch.zeros(0, 3, dtype=torch.int64))
        assert type(same) is type(metric)
        assert same.compute() == value


def test_a_pickle_is_read_by_a_process_that_made_no_class(table: Table) -> None:
    program = "import pickle, sys; print(pickle.load(sys.stdin.buffer).compute().item())"
    pickled = pickle.dumps(fed(tm.Sap(), *table[:2]))
    run = [sys.executable, "-c", program]
    done = subprocess.run(run, input=pickled, capture_output=True, check=True, timeout=120)
    assert float(done.stdout) == dm.metrics.sap(*table[:2]).value


def test_rows_move_with_a_module_that_contains_the_metric(table: Table) -> None:
    class Model(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.mig = tm.Mig()

    model = Model()
    fed(model.mig, *table[:2])
    model.to("meta")
    assert model.mig.codes[0].device.type == model.mig.device.type == "meta"
    assert list(model.state_dict()) == []


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")
def test_a_gpu_gives_the_same(table: Table) -> None:
    metric = fed(tm.Mig(max_rows=100).to("cuda"), *table[:2])
    assert metric.compute().device.type == "cuda"
    assert metric.compute().item() == fed(tm.Mig(max_rows=100), *table[:2]).compute().item()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_codes_of_low_precision_are_used_unchanged(dtype: torch.dtype, table: Table) -> None:
    codes = torch.as_tensor(table[0]).to(dtype)
    metric = tm.Mig()
    metric.update(codes.requires_grad_(), torch.as_tensor(table[1]))
    assert metric.compute().item() == pytest.approx(
        dm.metrics.mig(codes.detach().float().numpy(), table[1]).value, abs=1e-6
    )


def test_a_collection_keeps_rows_once_and_agrees_with_its_members(table: Table) -> None:
    together = tm.collection(["mig", "mig@locatello2019", "sap"], seed=2)
    for start in range(0, N_ROWS, 60):
        together.update(torch.as_tensor(table[0][start : start + 60]), torch.as_tensor(table[1][start : start + 60]))
    assert len(together.compute_groups) == 1
    values = {name: value.item() for name, value in together.compute().items()}
    assert values == {
        "mig": dm.metrics.mig(*table[:2]).value,
        "mig@locatello2019": dm.metrics.mig(*table[:2], protocol="locatello2019").value,
        "sap": dm.metrics.sap(*table[:2], seed=2).value,
    }
    assert set(tm.collection("robust")) == set(PRESETS["robust"].metrics)


def test_a_collection_distinguishes_samples_of_different_sizes_or_seeds(table: Table) -> None:
    settings: list[dict[str, Any]] = [{"max_rows": 100}, {"max_rows": 150}, {"max_rows": 100, "seed": 1}, {}]
    together = MetricCollection({f"mig{k}": tm.Mig(**of) for k, of in enumerate(settings)})
    alone = [tm.Mig(**of) for of in settings]
    for start in range(0, N_ROWS, 60):
        batch = [torch.as_tensor(a[start : start + 60]) for a in table[:2]]
        together.update(*batch)
        for metric in alone:
            metric.update(*batch)
    assert len(together.compute_groups) == len(settings)
    assert [together.compute()[f"mig{k}"] for k in range(4)] == [metric.compute() for metric in alone]


def row_numbers(metric: ScoreMetric) -> list[float]:
    """Return which rows a metric would score, of batches whose factor is the number of the row."""
    return metric._kept()["factors"].flatten().tolist()


def test_a_bounded_metric_retains_few_rows_and_each_row_is_equally_likely() -> None:
    counts = np.zeros(90)
    for seed in range(150):
        metric = tm.MeanPairwiseMi(max_rows=15, seed=seed)
        for start in range(0, 90, 10):
            metric.update(torch.zeros(10, 1), torch.arange(start, start + 10.0)[:, None])
            assert sum(map(len, metric.codes)) <= 2 * 15 + 10
        kept = row_numbers(metric)
        assert kept == sorted(set(kept))
        assert len(kept) == 15
        counts[np.array(kept, int)] += 1
    assert (counts - 25).std() == pytest.approx(np.sqrt(150 / 6 * 5 / 6), rel=0.35)
    assert np.abs(counts.reshape(9, 10).sum(axis=1) - 250).max() < 60


@pytest.mark.filterwarnings("ignore:mean_pairwise_mi is undefined")
def test_calls_keep_the_rows_that_updates_keep() -> None:
    called, updated = (tm.MeanPairwiseMi(max_rows=15) for _ in range(2))
    for start in range(0, 90, 10):
        batch = (torch.zeros(10, 1), torch.arange(start, start + 10.0)[:, None])
        called(*batch)
        updated.update(*batch)
        assert sum(map(len, called.codes)) <= 2 * 15 + 10
    assert row_numbers(called) == row_numbers(updated)


def test_a_sample_is_drawn_alike_after_reset_and_differs_by_seed() -> None:
    def numbers(metric: ScoreMetric) -> list[float]:
        for start in range(0, 90, 10):
            metric.update(torch.zeros(10, 1), torch.arange(start, start + 10.0))
        return row_numbers(metric)

    metric = tm.MeanPairwiseMi(max_rows=15)
    first = numbers(metric)
    metric.reset()
    assert numbers(metric) == first
    assert numbers(tm.MeanPairwiseMi(max_rows=15, seed=1)) != first
    assert numbers(tm.MeanPairwiseMi(max_rows=90)) == list(map(float, range(90)))


@pytest.mark.parametrize("max_rows", [None, 100])
def test_rows_of_several_processes_are_scored_together(max_rows: int | None, table: Table) -> None:
    halves = [[a[:120] for a in table[:2]], [a[120:] for a in table[:2]]]
    other = fed(tm.Mig(max_rows=max_rows), *halves[1])
    states = iter(other.metric_state.values())

    def gather(mine: Any, group: object) -> list[Any]:
        others = next(states)
        return [mine, mine[:0] if isinstance(others, list) and not others else dim_zero_cat(others)]

    metric = tm.Mig(max_rows=max_rows, distributed_available_fn=lambda: True, dist_sync_fn=gather)
    value = fed(metric, *halves[0]).compute().item()
    assert next(states, None) is None
    assert metric.score is not None
    assert f"|rows:{max_rows or N_ROWS}|" in metric.score.signature
    if max_rows is None:
        assert value == dm.metrics.mig(*table[:2]).value
    assert sum(map(len, metric.codes)) == 120


def test_states_of_two_metrics_merge(table: Table) -> None:
    first, second = (fed(tm.Mig(), *(a[rows] for a in table[:2])) for rows in (slice(120), slice(120, None)))
    first.merge_state(second)
    assert first.compute().item() == dm.metrics.mig(*table[:2]).value


def test_plots_show_the_bounds_of_the_metric() -> None:
    pytest.importorskip("matplotlib", reason="plots need matplotlib").use("agg")
    from matplotlib import pyplot as plt

    figure, axes = tm.Mig().plot([torch.tensor(0.2), torch.tensor(0.6)])
    low, high = axes.get_ylim()
    assert low <= 0
    assert high >= 1
    plt.close(figure)


def test_absent_packages_are_named_with_the_exact_install_command() -> None:
    program = (
        "import sys; sys.modules['torchmetrics'] = None\n"
        "from disentmetrics_adapters.integrations import torchmetrics\n"
        "torchmetrics.metric('mig')"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=False, timeout=120, text=True)
    assert f"{MissingExtraError.__name__}: these metrics require the package torchmetrics: pip install" in done.stderr


def test_it_is_not_an_encoder_scheme() -> None:
    from disentmetrics.encoders.registry import find_adapters

    assert "sklearn" in find_adapters()
    assert "torchmetrics" not in find_adapters()
