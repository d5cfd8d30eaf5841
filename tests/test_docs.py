"""What the pages tell a reader to do."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

import disentmetrics as dm
from disentmetrics.datasets.manifest import Manifest, manifests

ROOT = Path(__file__).parents[1]


def python_blocks(page: str) -> list[str]:
    return re.findall(r"```python\n(.*?)```", (ROOT / page).read_text(encoding="utf-8"), re.DOTALL)


def test_the_metric_of_the_page_keeps_its_claims_and_no_more(tmp_path: Path) -> None:
    (tmp_path / "_median_correlation.py").write_text(python_blocks("docs/extending.md")[0], encoding="utf-8")
    check = (
        "import doctest, _median_correlation as page\n"
        "from disentmetrics.testing import check_metric\n"
        "metric = page.median_correlation\n"
        "claimed = metric.protocols['default'].invariant_to\n"
        "for finding in check_metric(metric):\n"
        "    assert finding.holds or not finding.claimed\n"
        "    assert finding.claimed or not finding.holds, finding\n"
        "assert doctest.testmod(page).attempted > 0 and doctest.testmod(page).failed == 0\n"
        "assert all(part in metric.__doc__ for part in ('Parameters', 'Returns', 'Notes', 'Examples'))\n"
    )
    subprocess.run([sys.executable, "-c", check], cwd=tmp_path, check=True, timeout=120)


def test_the_functions_of_the_readme_run_as_they_stand(tmp_path: Path) -> None:
    snippet = python_blocks("README.md")[0].replace("20_000", "300").replace("progress=True", "progress=False")
    done = subprocess.run(
        [sys.executable, "-c", snippet], cwd=tmp_path, check=True, timeout=300, capture_output=True, text=True
    )
    assert "factorvae" in done.stdout


def test_everything_that_the_readme_calls_exists() -> None:
    code = "import disentmetrics as dm\n" + "\n".join(
        sorted(set(re.findall(r"dm\.[a-zA-Z_]+(?:\.[a-z_]+)?", (ROOT / "README.md").read_text(encoding="utf-8"))))
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_the_page_of_metrics_holds_a_measured_row_for_every_quick_metric() -> None:
    from disentmetrics.metric import registered_metrics

    page = (ROOT / "docs/metrics.md").read_text(encoding="utf-8")
    quick = {name for name, metric in registered_metrics().items() if not metric.protocol("default").costly}
    assert quick <= set(re.findall(r"^\| ([a-z_0-9]+) \|", page, re.MULTILINE))


def test_metrics_that_pages_name_exist() -> None:
    from disentmetrics.metric import registered_metrics

    known = registered_metrics()
    pages = "".join((ROOT / page).read_text(encoding="utf-8") for page in ("README.md", "docs/metrics.md"))
    for name, protocol in re.findall(r"`([a-z_0-9]+)@([a-z_0-9]+)`", pages):
        assert protocol in known[name].protocols
    table = pages[pages.index("| family | metrics |") : pages.index("disentmetrics metrics info dci")]
    for name in re.findall(r"`([a-z_0-9]+)`", table):
        assert name in known or name in {"udr", "agreement"}


def test_the_blocks_of_the_page_of_designs_print_what_stands_below_them(tmp_path: Path) -> None:
    page = (ROOT / "docs/designs.md").read_text(encoding="utf-8")
    printed = re.findall(r"```python\n.*?```\n\n```\n(.*?)```", page, re.DOTALL)
    done = subprocess.run(
        [sys.executable, "-c", "".join(python_blocks("docs/designs.md"))],
        cwd=tmp_path, check=True, timeout=120, capture_output=True, text=True,
    )  # fmt: skip
    assert len(printed) == len(python_blocks("docs/designs.md"))
    assert done.stdout == "".join(printed)


def test_the_options_of_the_page_of_designs_are_all_there_are() -> None:
    from disentmetrics import load_dataset
    from disentmetrics.datasets.derivations import DERIVATIONS

    page = (ROOT / "docs/designs.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (`[a-z].*?) \| `", page, re.MULTILINE)
    options = [option for row in rows for option in re.findall(r"`(\w+=[^`…]+)`", row)]
    for option in options:
        assert load_dataset(f"dsprites?{option}").fingerprint.startswith("dsprites-1+")
    named = {name for row in rows for name in re.findall(r"`(\w+)=", row)}
    assert named == set(DERIVATIONS)


def test_the_blocks_of_the_page_of_data_sets_print_what_stands_below_them() -> None:
    pytest.importorskip("torch")
    page = (ROOT / "docs/datasets.md").read_text(encoding="utf-8")
    printed = re.findall(r"```python\n.*?```\n\n```\n(.*?)```", page, re.DOTALL)
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", "".join(python_blocks("docs/datasets.md"))],
        cwd=ROOT, check=True, timeout=120, capture_output=True, text=True,
    )  # fmt: skip
    assert len(printed) == len(python_blocks("docs/datasets.md"))
    assert done.stdout == "".join(printed)


def test_the_options_of_the_page_of_data_sets_exist() -> None:
    import inspect

    from disentmetrics.datasets import folder
    from disentmetrics.datasets.registry import find_datasets

    page = (ROOT / "docs/datasets.md").read_text(encoding="utf-8")
    options = set(re.findall(r"^\| `(\w+)=", page, re.MULTILINE))
    assert options == {name for name in inspect.signature(folder.load).parameters if name != "target"}
    published = page[page.index("## Published sets") :]
    for row in re.findall(r"^\| `.*", published, re.MULTILINE):
        names, options = row.split("|")[1:3]
        for name in re.findall(r"`([\w-]+)`", names):
            known = inspect.signature(find_datasets()[name].load).parameters
            assert set(re.findall(r"`(\w+)=", options)) <= set(known)


def test_the_example_of_a_folder_runs_and_draws_the_images_that_are_there(tmp_path: Path) -> None:
    run = [sys.executable, "-W", "error"]
    shown = subprocess.run(
        [*run, "examples/custom_dataset.py"], cwd=ROOT, check=True, timeout=120, capture_output=True, text=True
    )
    assert "colour is categorical" in shown.stdout
    assert "modularity_adj" in shown.stdout
    subprocess.run([*run, "examples/make_my_images.py", tmp_path], cwd=ROOT, check=True, timeout=120)
    from disentmetrics import load_dataset

    drawn, committed = (load_dataset(f"folder:{path}") for path in (tmp_path, ROOT / "examples/my_images"))
    assert drawn.fingerprint == committed.fingerprint


def test_the_data_set_of_the_page_works_end_to_end(tmp_path: Path) -> None:
    (tmp_path / "my_shapes.py").write_text(python_blocks("docs/extending.md")[-1], encoding="utf-8")
    page = (ROOT / "docs/extending.md").read_text(encoding="utf-8")
    metadata = tmp_path / "my_shapes-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: my-shapes\nVersion: 1.0\n")
    (entry,) = re.findall(r'^my-shapes = "(.*)"$', page, re.MULTILINE)
    (metadata / "entry_points.txt").write_text(f"[disentmetrics.datasets]\nmy-shapes = {entry}\n")
    commands = re.findall(r"^disentmetrics (.*my-shapes.*)$", page, re.MULTILINE)
    assert len(commands) == 3
    said = [
        subprocess.run(
            [sys.executable, "-W", "error", "-m", "disentmetrics", *shlex.split(command), *extra],
            cwd=tmp_path, check=True, timeout=120, capture_output=True, text=True,
            env={**os.environ, "PYTHONPATH": str(tmp_path)},
        ).stdout
        for command, extra in zip(commands, ([], [], ["--metrics", "mig", "--interval", "none"]), strict=True)
    ]  # fmt: skip
    assert "options: size=64" in said[0]
    assert (tmp_path / "sheet.png").exists()
    assert "my-shapes-1-32+nuisance(width)" in said[2]
    probe = "import numpy as np, my_shapes as m\nd = m.load('')\n"
    probe += "looks = {d.observations([[r, w]], [7]).tobytes() for r in range(16) for w in range(8)}\n"
    probe += "assert len(looks) == 128 and d.observations([[0, 7]], [0]).any(axis=(0, 1, 3)).all()"
    subprocess.run([sys.executable, "-c", probe], cwd=tmp_path, check=True, timeout=60)


def published_table() -> dict[str, str]:
    text = (ROOT / "docs" / "datasets.md").read_text(encoding="utf-8")
    rows = [line for line in text.partition("## Published sets")[2].splitlines() if line.startswith("| `")]
    return {name.strip(" `"): row for row in rows for name in row.split("|")[1].split(",")}


@pytest.mark.parametrize("manifest", [m for m in manifests() if m.name != "dsprites"], ids=lambda m: m.name)
def test_the_documents_say_which_published_files_cannot_be_verified(manifest: Manifest) -> None:
    row = published_table()[manifest.name]
    assert ("`verify=false`" in row) == (not all(file.is_verifiable for file in manifest.files))
    assert ("fetched and verified" in row) == all(file.urls for file in manifest.files)
    assert ("[tables]" in row) == any(file.name.endswith(".xlsx") for file in manifest.files)


def test_the_example_folder_loads_as_it_was_drawn() -> None:
    data = dm.load_dataset(f"folder:{ROOT / 'examples/my_images'}")
    assert isinstance(data, dm.CustomDataSet)
    assert [(f.name, f.kind, f.size) for f in data.space] == [
        ("shape", "categorical", 3), ("colour", "categorical", 4), ("radius", "ordinal", 5), ("x", "continuous", None),
    ]  # fmt: skip
    assert data.observation_shape == (32, 32, 3)
    assert len(data) == 200
    assert data.fingerprint == "folder-bd29f9855eb6"
