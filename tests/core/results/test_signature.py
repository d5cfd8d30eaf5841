import pytest
from hypothesis import given, strategies as st

from disentmetrics.errors import InvalidInputError
from disentmetrics.results.signature import Signature

text = st.text(min_size=1, max_size=12)


@given(text, st.dictionaries(text, text, max_size=5))
def test_a_signature_is_read_back_whatever_it_holds(metric: str, fields: dict[str, str]) -> None:
    signature = Signature(metric, fields)
    assert Signature.parse(str(signature)) == signature
    assert "\n" not in str(signature)


@pytest.mark.parametrize("broken", ["mig|protocol", "mig|a:1|a:2", "|a:1", "mig|:1"])
def test_a_broken_signature_is_refused(broken: str) -> None:
    with pytest.raises(InvalidInputError):
        Signature.parse(broken)


def test_differences_name_the_fields_with_both_values() -> None:
    first, second = Signature("mig", {"rows": "10", "seed": "0"}), Signature("mig", {"rows": "20", "v": "1"})
    assert first.differences(second) == {"rows": ("10", "20"), "seed": ("0", "-"), "v": ("-", "1")}
