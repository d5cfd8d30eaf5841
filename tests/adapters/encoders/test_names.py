"""Roles of outputs by their names."""

import pytest
from disentmetrics_adapters.encoders._names import SPREADS, distinct_name, named_pairs, role


@pytest.mark.parametrize(
    "name", ["z", "codes", "block", "logits", "lv.1", "precision", "scale_tril", "18", "output_1", ""]
)
def test_other_names_have_no_role(name: str) -> None:
    assert role(name).kind == ""


@pytest.mark.parametrize("name", ["std_from_logvar", "neg_log_var", "half_logvar", "raw_std", "pre_sigma", "inv_var"])
def test_a_name_of_two_quantities_or_of_a_transformed_one_has_no_role(name: str) -> None:
    assert role(name).kind == ""


@pytest.mark.parametrize("name", ["log_var_z", "zLogVar", "logvars", "lnvar", "LOGVAR", "logvar_q", "q/logvar:0"])
def test_a_name_is_recognised_before_and_after_that_of_its_owner(name: str) -> None:
    assert role(name).kind == "log_variance"


def test_a_number_after_a_name_is_an_index_and_a_digit_in_it_a_square() -> None:
    assert [role(name).kind for name in ("sigma2", "sigma_2", "log_sigma2", "log_sigma:2")] == [
        "variance",
        "std",
        "log_variance",
        "log_std",
    ]
    assert role("mu_1") == ("mean", "1")
    assert role("logvar1") == ("log_variance", "1")


@pytest.mark.parametrize("prefix", ["", "z_", "enc_", "enc/", "q_z_"])
def test_mean_and_spread_of_one_owner_are_a_pair(prefix: str) -> None:
    names = ("mu", "std", "log_variance")
    shapes = {(f"{prefix}{name}",): (4, 3) for name in names} | {("other_mu",): (4, 3), ("deep", "std"): (4, 3)}
    mean = (f"{prefix}mu",)
    assert named_pairs(shapes) == {
        (mean, (f"{prefix}std",)): "std",
        (mean, (f"{prefix}log_variance",)): "log_variance",
    }


def test_arrays_of_different_shape_are_no_pair() -> None:
    assert not named_pairs({("mu",): (4, 3), ("std",): (4, 64)})


def test_steps_that_a_mean_shares_do_not_name_its_spread() -> None:
    assert distinct_name(("std", "1"), ("std", "0")) == ""
    assert distinct_name(("std", "0"), ("mean", "0")) == "std"
    assert distinct_name((), ()) == ""


def test_every_measure_of_spread_has_a_name() -> None:
    assert {role(name).kind for name in SPREADS} == set(SPREADS)
