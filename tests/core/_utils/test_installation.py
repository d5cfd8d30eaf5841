"""Messages about optional packages name the place that this package was installed from."""

from typing import Any

import pytest

from disentmetrics._utils.installation import _command, install_command


@pytest.mark.parametrize(
    ("origin", "command"),
    [
        ({}, 'pip install "disentmetrics[onnx]"'),
        ({"url": "file:///src/d", "dir_info": {"editable": True}}, 'pip install --editable "/src/d[onnx]"'),
        ({"url": "file:///src/d", "dir_info": {}}, 'pip install "disentmetrics[onnx] @ file:///src/d"'),
        (
            {"url": "https://example.org/d.git", "vcs_info": {"vcs": "git", "commit_id": "0"}},
            'pip install "disentmetrics[onnx] @ git+https://example.org/d.git"',
        ),
    ],
)
def test_the_command_repeats_the_origin(origin: dict[str, Any], command: str) -> None:
    assert _command("onnx", origin) == command
    assert install_command("onnx").startswith("pip install ")
