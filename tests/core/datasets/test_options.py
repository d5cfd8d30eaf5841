import pytest

from disentmetrics.datasets.options import no_target, one_of, real_number, whole_number
from disentmetrics.errors import InvalidInputError


def test_numbers_are_accepted_as_text_or_numbers() -> None:
    assert whole_number("size", "8", 8, 9) == whole_number("size", 8, 8, 9) == 8
    assert real_number("noise", "1e-1", 0, 1) == real_number("noise", 0.1, 0, 1) == 0.1
    assert one_of("sources", "laplace", ("laplace", "uniform")) == "laplace"
    no_target("blobs", "")


@pytest.mark.parametrize("given", ["7", "10", 7, 10, "8.0", 8.5, "", "many", None])
def test_values_other_than_integers_in_range_are_rejected(given: str) -> None:
    with pytest.raises(InvalidInputError, match="option size must be an integer from 8 to 9; got"):
        whole_number("size", given, 8, 9)


@pytest.mark.parametrize("given", ["-0.1", "1.1", "nan", "inf", "", "much", None])
def test_values_other_than_numbers_in_range_are_rejected(given: str) -> None:
    with pytest.raises(InvalidInputError, match="option noise must be a number from 0 to 1; got"):
        real_number("noise", given, 0, 1)


def test_the_error_for_an_unknown_choice_suggests_the_closest() -> None:
    with pytest.raises(InvalidInputError, match="must be laplace or uniform; got 'lapalce'; did you mean 'laplace'"):
        one_of("sources", "lapalce", ("laplace", "uniform"))


def test_an_option_is_optional_if_the_empty_string_is_allowed() -> None:
    assert one_of("split", "", ("", "train", "test")) == ""
    with pytest.raises(InvalidInputError, match="split must be omitted or train or test; got 'trian'; did"):
        one_of("split", "trian", ("", "train", "test"))
    with pytest.raises(InvalidInputError, match="kind must be a or b; got ''"):
        one_of("kind", "", ("a", "b"))


def test_a_path_is_rejected() -> None:
    with pytest.raises(InvalidInputError, match="blobs is generated and reads no file; got the path 'x.npz'"):
        no_target("blobs", "x.npz")
