"""Input and output conventions of existing encoders, without any framework."""

import logging
import re
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pytest
from disentmetrics_adapters.encoders._conventions import InputConvention, OutputConvention, Pipeline, arrange, scale
from hypothesis import given, strategies as st
from numpy.typing import NDArray

from disentmetrics.encoders.protocol import Posterior
from disentmetrics.errors import EncoderError, InvalidInputError

Images = NDArray[np.uint8]

N = 4
MEAN = np.arange(12.0).reshape(N, 3)
LOGVAR = -np.arange(12.0).reshape(N, 3) / 7
SAMPLE = MEAN + 0.5
IMAGE = np.zeros((N, 1, 8, 8))


class Normal:
    def __init__(self, loc: Any, std: Any) -> None:
        self.mean, self.variance = loc, std**2


class Independent:
    def __init__(self, base: Normal) -> None:
        self.base_dist, self.mean, self.variance = base, base.mean, base.variance


class Categorical:
    def __init__(self, probs: Any) -> None:
        self.probs = probs


class Pair(NamedTuple):
    mu: Any
    logvar: Any


@dataclass
class Output:
    loss: float
    mu: Any
    logvar: Any


NORMAL = Normal(MEAN, np.exp(LOGVAR / 2))
INTERLEAVED = np.stack([MEAN, LOGVAR], axis=2).reshape(N, 6)


def read(output: Any, select: str | None = None, **options: Any) -> Any:
    return OutputConvention(select, **options).read(output, N)


def assert_posterior(codes: Any) -> None:
    assert isinstance(codes, Posterior)
    np.testing.assert_allclose(codes.mean, MEAN, rtol=1e-12)
    np.testing.assert_allclose(codes.log_variance, LOGVAR, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    ("output", "select"),
    [
        ((MEAN, LOGVAR), "0,1"),
        ([MEAN, LOGVAR, SAMPLE], "0,1"),
        ((IMAGE, SAMPLE, MEAN, LOGVAR), "2,3"),
        ((IMAGE, SAMPLE, MEAN, LOGVAR), "-2,-1"),
        ((LOGVAR, MEAN), "1,0"),
        (np.hstack([MEAN, LOGVAR]), "halves"),
        (np.hstack([LOGVAR, MEAN]), "log_variance_first"),
        (INTERLEAVED, "interleaved"),
        ((IMAGE, INTERLEAVED), "1.interleaved"),
        ({"out": INTERLEAVED}, "interleaved"),
        ({"mu": MEAN, "logvar": LOGVAR}, "mu,logvar"),
        ({"enc/mean:0": MEAN, "enc/logvar.1": LOGVAR}, "enc/mean:0,enc/logvar.1"),
        ({"a": {"b": MEAN}, "a.b": LOGVAR}, "a.b,a.b"),
        ([{"m": MEAN[:, :1], "lnvar": LOGVAR[:, :1]}, {"m": MEAN[:, 1:], "lnvar": LOGVAR[:, 1:]}], "*.m,*.lnvar"),
        ([np.hstack([MEAN[:, :1], LOGVAR[:, :1]]), np.hstack([MEAN[:, 1:], LOGVAR[:, 1:]])], "*.halves"),
        (Pair(MEAN, LOGVAR), "mu,logvar"),
        (Output(0.1, MEAN, LOGVAR), "mu,logvar"),
    ],
)
def test_mean_and_log_variance_are_read_where_select_specifies(output: Any, select: str) -> None:
    if isinstance(output, dict) and "a.b" in output:  # the longest matching key is used
        assert read(output, "a.b").tolist() == LOGVAR.tolist()
        return
    assert_posterior(read(output, select))


@pytest.mark.parametrize(
    ("spread", "values"),
    [
        ("log_variance", LOGVAR),
        ("log_std", LOGVAR / 2),
        ("std", np.exp(LOGVAR / 2)),
        ("variance", np.exp(LOGVAR)),
    ],
)
def test_every_parametrisation_of_the_spread_becomes_log_variance(spread: str, values: Any) -> None:
    assert_posterior(read((MEAN, values), "0,1", spread=spread))
    assert_posterior(read(np.hstack([MEAN, values]), "halves", spread=spread))


MEASURES: dict[str, Any] = {
    "log_variance": LOGVAR,
    "log_std": LOGVAR / 2,
    "std": np.exp(LOGVAR / 2),
    "variance": np.exp(LOGVAR),
}
NAMES = {
    "log_variance": ["logvar", "log_var", "z_log_variance", "logSigma2", "log_sigma_sq"],
    "log_std": ["log_std", "log_sigma", "logScale", "z_logsigma", "log_standard_deviation"],
    "std": ["std", "sigma", "scale", "z_std", "stddev", "posteriorStd"],
    "variance": ["var", "variance", "sigma2", "z_var", "sigma_squared"],
}
NAMED = [(name, spread) for spread, names in NAMES.items() for name in names]
MISNAMED = [(name, spread) for name, spread in NAMED if spread != "log_variance"]


def both(name: str, spread: str) -> dict[str, Any]:
    mean = "posteriorMu" if name.startswith("posterior") else "mu"
    return {name: MEASURES[spread], mean: MEAN, "sample": SAMPLE}  # in an order that says nothing


@pytest.mark.parametrize(("name", "spread"), MISNAMED)
def test_a_named_spread_is_read_as_the_refusal_advises(name: str, spread: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        read(both(name, spread))
    assert spread_and_select(str(caught.value)) == (spread, f"{list(both(name, spread))[1]},{name}")
    assert_posterior(read(both(name, spread), f"{list(both(name, spread))[1]},{name}", spread=spread))


def spread_and_select(advice: str) -> tuple[str, str]:
    match = re.search(r"or select=(\S+)&spread=(\w+)", advice)
    assert match is not None, advice
    return match[2], match[1]


@pytest.mark.parametrize(("name", "spread"), MISNAMED)
def test_a_spread_of_another_name_is_not_read_as_a_log_variance(name: str, spread: str) -> None:
    mean = list(both(name, spread))[1]
    with pytest.raises(InvalidInputError, match=f"select={mean},{name}&spread={spread} "):
        read(both(name, spread), f"{mean},{name}")
    read(both(name, spread), f"{mean},{name}", spread="log_variance")  # the user may know better than the name


@pytest.mark.parametrize("name", NAMES["log_variance"])
def test_a_log_variance_by_any_of_its_names_needs_no_spread(name: str) -> None:
    assert_posterior(read(both(name, "log_variance"), f"mu,{name}"))
    assert_posterior(read(both(name, "log_variance")))


class Moments(NamedTuple):
    mu: Any
    sigma: Any


@pytest.mark.parametrize(
    ("output", "select"),
    [
        (Moments(MEAN, np.exp(LOGVAR / 2)), "0,1"),
        (Moments(MEAN, np.exp(LOGVAR / 2)), "-2,-1"),
        ((IMAGE, Moments(MEAN, np.exp(LOGVAR / 2))), "1.0,1.1"),
        ({"q": {"mean": MEAN, "std": np.exp(LOGVAR / 2)}}, "q.mean,q.std"),
        ({"mean": [MEAN[:, :1], MEAN[:, 1:]], "std": [LOGVAR[:, :1], LOGVAR[:, 1:]]}, "mean.*,std.*"),
        ({"mean": MEAN, "std": {"of all": np.exp(LOGVAR / 2)}}, "mean,std.of all"),
        ({"mean": MEAN, "lv": LOGVAR}, "mean,lv"),
        ([{"m": MEAN, "std": LOGVAR}], "*.m,*.std"),
        ({"a.mu": MEAN, "a.logvar": LOGVAR, "b.mu": MEAN, "b.std": LOGVAR}, "a.mu+b.mu,a.logvar+b.std"),
        (NORMAL, "mean,variance"),
        ([NORMAL, NORMAL], "*.mean,*.variance"),
        ({"mu": MEAN, "logvar": LOGVAR}, "logvar,mu"),
    ],
)
def test_names_are_read_wherever_they_are(output: Any, select: str) -> None:
    with pytest.raises(InvalidInputError, match=r"the second term of select= must be a log-variance|the mean first"):
        read(output, select)


@pytest.mark.parametrize(
    ("output", "select"),
    [
        ({"q": [MEAN, LOGVAR]}, "q.0,q.1"),
        ({"std": [MEAN, LOGVAR]}, "std.0,std.1"),
        ({"18": MEAN, "21": LOGVAR}, "18,21"),
        ([(MEAN[:, :1], LOGVAR[:, :1]), (MEAN[:, 1:], LOGVAR[:, 1:])], "*.0,*.1"),
    ],
)
def test_without_a_name_of_its_own_the_second_term_is_a_log_variance(output: Any, select: str) -> None:
    assert_posterior(read(output, select))


def test_the_advice_for_a_tuple_names_the_measure_and_the_other_ones() -> None:
    with pytest.raises(InvalidInputError) as caught:
        read((MEAN, LOGVAR))
    assert "select=0,1 for mean and log-variance (with spread=log_std, std or variance for another" in str(caught.value)


def test_an_explicit_spread_selects_the_pair_of_that_name() -> None:
    output = {"mu": MEAN, "std": np.exp(LOGVAR / 2), "z": SAMPLE}
    assert_posterior(read(output, spread="std"))
    with pytest.raises(InvalidInputError, match="select=mu,std&spread=std for mean and standard deviation"):
        read(output, spread="variance")
    with pytest.raises(InvalidInputError, match="select=mu,logvar for mean and log-variance"):
        read({"mu": MEAN, "logvar": LOGVAR}, spread="std")


def test_distributions_side_by_side() -> None:
    heads = {
        "a": Normal(MEAN[:, :2], np.exp(LOGVAR[:, :2] / 2)),
        "b": Normal(MEAN[:, 2:], np.exp(LOGVAR[:, 2:] / 2)),
    }
    assert_posterior(read(heads, "*.mean,*.variance", spread="variance"))


def test_continuous_and_discrete_blocks_side_by_side() -> None:
    output = {"cont": [MEAN, LOGVAR], "disc": [np.ones((N, 2)), np.zeros((N, 4))]}
    codes = read(output, "cont.0+disc.*")
    assert codes.tolist() == np.hstack([MEAN, np.ones((N, 2)), np.zeros((N, 4))]).tolist()
    categories = read(output, "cont.0+disc.*.argmax")
    assert categories.tolist() == np.hstack([MEAN, np.zeros((N, 2))]).tolist()
    assert_posterior(read(output, "cont.0,cont.1"))


def test_a_categorical_block_is_one_latent_that_is_flagged() -> None:
    logits = np.array([[0.1, 0.7, 0.2], [0.9, 0.05, 0.05]])
    output = (np.zeros((2, 4)), logits)
    convention = OutputConvention("0+1.argmax")
    assert np.asarray(convention.read(output, 2)).tolist() == [[0, 0, 0, 0, 1], [0, 0, 0, 0, 0]]
    assert convention.categorical(output, 2) == (False,) * 4 + (True,)
    assert OutputConvention("0+1").categorical(output, 2) == ()
    assert OutputConvention("1.argmax+0").categorical(output, 2) == (True,) + (False,) * 4


def test_nan_is_not_a_category() -> None:
    with pytest.raises(EncoderError, match="NaN or infinity for a categorical latent"):
        OutputConvention("argmax").read(np.array([[0.1, 0.7], [np.nan, 0.05]]), 2)


@pytest.mark.parametrize(
    ("select", "words"),
    [
        ("0+1.argmax,1", "a categorical latent has no log-variance"),
        ("0.halves+1.argmax", "a categorical latent has no log-variance"),
        ("2.argmax", "at least 2 categories; got shape"),
    ],
)
def test_a_category_has_no_variance_and_needs_two_columns(select: str, words: str) -> None:
    with pytest.raises(InvalidInputError, match=words):
        OutputConvention(select).read((np.zeros((3, 2)), np.zeros((3, 2)), np.zeros((3, 1))), 3)


@pytest.mark.parametrize(
    "output",
    [
        NORMAL,
        (NORMAL,),
        Independent(NORMAL),
        {"mu": MEAN, "logvar": LOGVAR},
        {"recon": IMAGE, "z": SAMPLE, "z_mean": MEAN, "z_log_var": LOGVAR},
        {"encoder": {"mean": MEAN, "log_variance": LOGVAR}, "loss": np.zeros(())},
        Pair(MEAN, LOGVAR),
        Output(0.1, MEAN, LOGVAR),
    ],
)
def test_a_posterior_is_inferred_only_from_names_or_a_normal_distribution(output: Any) -> None:
    assert_posterior(read(output))


@pytest.mark.parametrize("output", [MEAN, (MEAN,), {"z": MEAN}, (IMAGE, MEAN), (MEAN, 0.3), {"x": IMAGE, "z": MEAN}])
def test_the_only_array_of_codes_is_inferred(output: Any) -> None:
    assert read(output).tolist() == MEAN.tolist()


@pytest.mark.parametrize(
    ("output", "advice"),
    [
        ((MEAN, LOGVAR), ["0: array (4, 3), 1: array (4, 3)", "select=0 for codes", "select=0,1 for mean"]),
        ([MEAN, LOGVAR, SAMPLE], ["2: array (4, 3)", "select=0,1"]),
        ((IMAGE.reshape(N, -1), MEAN, LOGVAR), ["0: array (4, 64)", "select="]),
        (
            {"a": MEAN, "b": SAMPLE},
            ["a: array (4, 3)", "select=a,b&spread=SPREAD for mean and spread, where"],
        ),
        ({"mu": MEAN, "logvar": LOGVAR, "enc": Pair(MEAN, LOGVAR)}, ["mu: array (4, 3)"]),
        ((NORMAL, Normal(MEAN, MEAN)), ["0: Normal", "*.mean,*.variance"]),
        ({"p": Categorical(MEAN)}, ["p: Categorical"]),
        ((IMAGE, IMAGE), ["(4, 1, 8, 8)"]),
    ],
)
def test_the_roles_of_arrays_of_equal_shape_are_not_inferred(output: Any, advice: list[str]) -> None:
    with pytest.raises(InvalidInputError) as caught:
        read(output)
    for words in advice:
        assert words in str(caught.value)


def test_one_array_that_could_be_halved_is_used_as_codes_with_a_note(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "disentmetrics"):
        assert read(INTERLEAVED).shape == (N, 6)
    assert "interleaved or log_variance_first" in caplog.text
    caplog.clear()
    with caplog.at_level(logging.INFO, "disentmetrics"):
        read(MEAN)
        read(INTERLEAVED, "whole")
    assert [record.levelname for record in caplog.records] == ["INFO"]


@pytest.mark.parametrize("select", ["", "0,1,2", "halves,1", "0.halves+1", "0,", "+", ",", "a,+"])
def test_an_empty_select_is_refused(select: str) -> None:
    with pytest.raises(InvalidInputError, match="select names the codes"):
        OutputConvention(select)


@pytest.mark.parametrize(
    ("output", "select", "words"),
    [
        ((MEAN, LOGVAR), "2", "there is no '2'"),
        ({"mu": MEAN}, "mean", "there is no 'mean'.*mu: array"),
        ({"mu": MEAN}, "mu.mean", "there is no 'mean'"),
        ((MEAN, 0.5), "1", "must name an array; it names float"),
        ((MEAN, LOGVAR), "whole", "must name an array"),
        ((MEAN, LOGVAR[:, :2]), "0,1", "the same shape"),
        (MEAN, "halves", "even number"),
        (NORMAL, "__class__", "there is no '__class__'"),
        (np.zeros((N, 2, 4, 4)), "whole", r"maps of shape \(4, 2, 4, 4\): use flatten=yes"),
    ],
)
def test_a_select_that_does_not_fit_describes_the_output(output: Any, select: str, words: str) -> None:
    with pytest.raises(InvalidInputError, match=words):
        read(output, select)


@pytest.mark.parametrize("output", [np.zeros(()), np.zeros((3, 2)), np.zeros((N + 1, 2))])
def test_a_wrong_number_of_rows_is_the_encoder_s_fault(output: Any) -> None:
    with pytest.raises(EncoderError, match="one row per observation"):
        read(output, "whole")


@pytest.mark.parametrize("spread", ["std", "variance"])
def test_a_spread_that_is_not_positive_is_refused(spread: str) -> None:
    with pytest.raises(EncoderError, match=rf"must be positive.*-2.*spread=log_{spread}"):
        read((MEAN, np.full_like(MEAN, -2)), "0,1", spread=spread)


def test_maps_become_codes_place_by_place() -> None:
    maps = np.arange(N * 8.0).reshape(N, 2, 2, 2)
    assert read(maps, "whole", flatten=True).tolist() == maps.reshape(N, 8).tolist()
    channels_first = read(maps, "halves", flatten=True)
    assert channels_first.mean.tolist() == maps[:, 0].reshape(N, 4).tolist()
    channels_last = OutputConvention("interleaved", flatten=True).read(maps, N, channel_axis=-1)
    assert channels_last.log_variance.tolist() == maps[..., 1].reshape(N, 4).tolist()  # type: ignore[union-attr]  # a posterior


def test_maps_of_one_place_are_codes() -> None:
    assert read(MEAN[:, :, None, None], "whole").tolist() == MEAN.tolist()
    assert read(MEAN[:, 0], "whole").shape == (N, 1)


def test_integer_codes_become_numbers_with_a_point() -> None:
    assert read(MEAN.astype(np.int64), "whole").dtype == np.float64


# Inputs


@pytest.mark.parametrize("layout", ["NCHW", "NHWC", "flat"])
def test_arranged_images_are_contiguous_and_contain_the_same_pixels(images: Images, layout: str) -> None:
    arranged = arrange(images, layout)
    assert arranged.flags.c_contiguous
    back = {"NCHW": lambda: arranged.transpose(0, 2, 3, 1), "NHWC": lambda: arranged}.get(
        layout, lambda: arranged.reshape(images.shape)
    )()
    assert (back == images).all()


@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
def test_tables_have_no_image_layout(layout: str) -> None:
    with pytest.raises(InvalidInputError, match="is for images"):
        arrange(np.zeros((2, 3)), layout)


@pytest.mark.parametrize(
    ("range_", "low", "high"),
    [("auto", 0, 1), ("0..1", 0, 1), ("-1..1", -1, 1), ("0..255", 0, 255), ("0.5,0.25", -2, 2)],
)
def test_black_and_white_go_to_the_ends_of_the_range(range_: str, low: float, high: float) -> None:
    images = np.array([0, 255], np.uint8).reshape(2, 1, 1, 1)
    scaled = scale(images, range_)
    assert scaled.dtype == np.float32
    assert scaled.ravel().tolist() == [low, high]
    as_floats = scale((images / 255).astype(np.float32), "0..1" if range_ == "auto" else range_)
    assert as_floats.ravel().tolist() == [low, high]


@given(value=st.integers(0, 255))
def test_the_range_0_to_255_keeps_every_grey_exactly(value: int) -> None:
    assert scale(np.array([[value]], np.uint8), "0..255")[0, 0] == value


def test_each_channel_is_standardised_by_its_own_numbers() -> None:
    images = np.full((1, 2, 2, 3), 255, np.uint8)
    scaled = scale(images, "0,0.5,1,1,0.25,4")
    np.testing.assert_allclose(scaled[0, 0, 0], [1, 2, 0])
    with pytest.raises(InvalidInputError, match=r"names 2 means.*3 channels"):
        scale(images, "0,0,1,1")


@pytest.mark.parametrize("dtype", [np.float64, np.int64, np.float32])
def test_without_a_range_numbers_that_are_not_pixels_are_passed_unchanged(dtype: Any) -> None:
    table = np.array([[5, -3]], dtype)
    assert scale(table, "auto") is table
    assert scale(table, "raw") is table


@pytest.mark.parametrize("observations", [np.array([[0.0, 1.5]]), np.array([[1, 0]]), np.array([[np.nan]])])
def test_a_range_needs_to_know_where_values_come_from(observations: Any) -> None:
    with pytest.raises(InvalidInputError, match=r"0\.\.1; got .* range=raw"):
        scale(observations, "-1..1")


@pytest.mark.parametrize("range_", ["0..2", "1", "0,0", "0,-1", "nan,1", "0,1,2", "a,b", ""])
def test_an_unknown_range_is_refused_with_the_known_ones(range_: str) -> None:
    with pytest.raises(InvalidInputError, match=r"range must be one of auto, raw, 0\.\.1"):
        InputConvention(range=range_)


# Both ends together


def pipeline(run: Any, layout: str = "auto", select: str | None = "whole", **options: Any) -> Pipeline:
    return Pipeline(run, InputConvention(layout, "raw"), OutputConvention(select), **options)


def only(shape: tuple[int, ...]) -> Any:
    def run(batch: NDArray[Any]) -> Any:
        if batch.shape[1:] != shape:
            raise ValueError(f"want {shape}")
        return batch.reshape(len(batch), -1)[:, :3].astype(np.float64)

    return run


@pytest.mark.parametrize(("layout", "shape"), [("NCHW", (3, 8, 6)), ("NHWC", (8, 6, 3)), ("flat", (144,))])
def test_the_only_layout_that_runs_is_used_and_logged(
    images: Images, layout: str, shape: tuple[int, ...], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "disentmetrics"):
        codes = pipeline(only(shape))(images)
    assert f"layout={layout} inferred" in caplog.text
    assert np.array_equal(np.asarray(codes), arrange(images, layout).reshape(5, -1)[:, :3])


def test_layouts_that_give_different_codes_are_ambiguous(images: Images) -> None:
    def run(batch: NDArray[Any]) -> Any:
        return batch.reshape(len(batch), -1)[:, :3].astype(np.float64)

    with pytest.raises(InvalidInputError, match=r"layouts NCHW, NHWC, flat and gives different codes.*layout="):
        pipeline(run)(images)
    assert pipeline(run, "NHWC")(images).shape == (5, 3)  # type: ignore[union-attr]  # codes, no posterior


def test_grey_images_are_the_same_in_every_layout(images: Images) -> None:
    codes = pipeline(lambda batch: batch.reshape(len(batch), -1)[:, :3] * 1.0)(images[..., :1])
    assert codes.shape == (5, 3)  # type: ignore[union-attr]  # codes, no posterior


def test_an_encoder_that_accepts_no_layout_reports_the_reason_for_each(images: Images) -> None:
    with pytest.raises(EncoderError, match=r"in none of the layouts; NCHW: want \(7,\); NHWC: want \(7,\); flat: want"):
        pipeline(only((7,)))(images)


def test_inferred_conventions_are_kept(images: Images) -> None:
    outputs = iter([MEAN[:2], np.zeros((5, 6)), (MEAN[:1], MEAN[:1])])
    encoder = pipeline(lambda _: next(outputs), "flat", select=None)
    assert encoder(images).shape == (5, 6)  # type: ignore[union-attr]  # codes, no posterior
    with pytest.raises(InvalidInputError, match="select=whole must name an array"):
        encoder(images[:1])


@given(n=st.integers(1, 9), size=st.integers(1, 6))
def test_a_fixed_batch_size_changes_no_code(n: int, size: int) -> None:
    rows = np.arange(n * 3.0).reshape(n, 3)

    def run(batch: NDArray[Any]) -> Any:
        assert len(batch) == size
        return batch * 2, batch * 3

    encoder = pipeline(run, select="0,1", batch_size=size)
    codes = encoder(rows)
    assert isinstance(codes, Posterior)
    assert (codes.mean == 2 * rows).all()
    assert (codes.log_variance == 3 * rows).all()
    only_codes = pipeline(lambda batch: run(batch)[0], batch_size=size)(rows)
    assert np.array_equal(np.asarray(only_codes), 2 * rows)


def test_a_failing_encoder_is_named_with_the_batch_it_got(images: Images) -> None:
    def run(_: object) -> Any:
        raise ZeroDivisionError("oh")

    with pytest.raises(
        EncoderError, match=r"failed on a batch of shape \(2, 3, 8, 6\) \(uint8\): ZeroDivisionError: oh"
    ):
        pipeline(run, "NCHW")(images)


@pytest.mark.parametrize("observations", [np.zeros(3), np.zeros((0, 3))])
def test_observations_must_have_rows(observations: Any) -> None:
    with pytest.raises(InvalidInputError, match="n >= 1"):
        pipeline(lambda batch: batch)(observations)
