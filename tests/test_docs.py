"""The commands and code of the documentation."""

import os
import re
import shlex
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import disentmetrics as dm
from disentmetrics.datasets.published.manifest import Manifest, manifests

ROOT = Path(__file__).parents[1]
PAGES = sorted(path.name for path in (ROOT / "docs").glob("*.md"))
NOTEBOOKS = sorted(path.name for path in (ROOT / "docs" / "notebooks").glob("*.ipynb"))
sys.path.insert(0, str(ROOT / "docs" / "hooks"))  # as mkdocs does

from blocks import Block, blocks, differences, matches, page_folder  # noqa: E402 - it lies in that folder


def python_blocks(page: str) -> list[str]:
    found = blocks((ROOT / page).read_text(encoding="utf-8"))
    return [block.code for block in found if block.language == "python" and not block.is_skipped]


def blocks_of(page: str) -> list[Block]:
    return blocks((ROOT / "docs" / page).read_text(encoding="utf-8"))


def install(folder: Path, **entry_points: str) -> None:
    """Make modules in a folder look installed, with entry points of the groups."""
    metadata = folder / "of_the_page-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: of-the-page\nVersion: 1.0\n")
    groups = [f"[disentmetrics.{group}]\n{entry}\n" for group, entry in entry_points.items()]
    (metadata / "entry_points.txt").write_text("".join(groups))


@pytest.mark.parametrize("page", [page for page in PAGES if any(block.is_run for block in blocks_of(page))])
def test_the_blocks_of_a_page_run_in_order_and_print_the_output_below_them(page: str) -> None:
    for framework in ("torch", "torchmetrics", "onnx"):
        if framework in "".join(python_blocks(f"docs/{page}")):
            pytest.importorskip(framework, reason="an extra that the page uses")
    with page_folder() as folder:
        if page == "extending.md":
            install(folder, adapters="my_framework = my_framework:load", datasets="my-shapes = my_shapes")
        found = list(differences((ROOT / "docs" / page).read_text(encoding="utf-8"), folder))
    assert found == []


@pytest.mark.parametrize("page", PAGES)
def test_every_block_has_a_language_and_few_are_skipped(page: str) -> None:
    found = blocks_of(page)
    assert all(block.language for block in found)
    skipped = [block for block in found if block.is_skipped]
    assert len(skipped) <= 2
    assert all(len(block.reason) > len("because") for block in skipped)
    assert not any("not run" in block.title for block in found)


def test_wrong_output_on_a_page_is_detected(tmp_path: Path) -> None:
    page = "```python\nx = 2\nprint(x)\n```\n\n```text\n3\n```\n\n"
    page += "```console\n$ echo a b\na ...\n$ false\n$ echo $?\n0\n```\n"
    first, second = differences(page, tmp_path)
    assert (first.expected, first.printed) == ("3\n", "2\n")
    assert "$ echo $?\n1\n" in second.printed
    with pytest.raises(subprocess.CalledProcessError):
        list(differences("```console\n$ false\n```\n", tmp_path))
    with pytest.raises(subprocess.CalledProcessError):
        list(differences("```python\nraise ValueError\n```\n", tmp_path))


def test_numbers_may_differ_only_in_the_last_digit() -> None:
    assert matches("mig  0.470 [0.40, 0.50]", "mig   0.471 [0.41, 0.49]")
    assert not matches("mig 0.470", "mig 0.474")
    assert not matches("mig 0.47", "mig 0.4711")
    assert not matches("v:0.1.0", "v:0.2.0")


@pytest.mark.parametrize("notebook", NOTEBOOKS)
def test_a_notebook_runs_from_top_to_bottom(notebook: str) -> None:
    pytest.importorskip("nbclient", reason="the group docs is not installed")
    pytest.importorskip("matplotlib", reason="the extra plots is not installed")
    from notebooks import executed

    cells = [cell for cell in executed(ROOT / "docs" / "notebooks" / notebook).cells if cell.cell_type == "code"]
    assert len(cells) > 4
    assert all(cell.execution_count == number for number, cell in enumerate(cells, 1))


@pytest.mark.parametrize("notebook", NOTEBOOKS)
def test_a_notebook_is_kept_without_outputs(notebook: str) -> None:
    text = (ROOT / "docs" / "notebooks" / notebook).read_text(encoding="utf-8")
    assert '"outputs": []' in text
    assert '"execution_count": null' in text
    assert '"output_type"' not in text


def test_the_python_page_shows_all_public_names() -> None:
    shown = {line.rpartition(".")[2] for line in (ROOT / "docs/api.md").read_text(encoding="utf-8").splitlines()}
    public = {name for name in vars(dm) if not name.startswith("_") and callable(getattr(dm, name))}
    assert public <= shown


def test_errors_of_a_site_are_detected(tmp_path: Path) -> None:
    from checked import faults

    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "index.html").write_text('<h1 id="top">A</h1><a href="../">up</a><a href="https://example.org">')
    (tmp_path / "index.html").write_text('<a href="a/#top">A</a>')
    assert list(faults(tmp_path)) == []
    faulty = '<a href="a/#end">A</a><img src="b.png"><script src="https://cdn.example.org/x.js">'
    (tmp_path / "index.html").write_text(faulty)
    assert sorted(fault.partition(" ")[2].split()[0] for fault in faults(tmp_path)) == ["links", "links", "loads"]


def test_docstrings_become_pages() -> None:
    from docstrings import body, summary

    docstring = "Halve ``x`` <here>.\n\n``y = x / 2``, for x in R.\n\n"
    docstring += "Parameters\n----------\nx_1 : float\n    Any.\n    More.\n"
    assert summary(docstring) == "Halve <code>x</code> &lt;here&gt;."
    assert '<p class="formula">y = x / 2</p>' in body(docstring)
    assert "<code>x&#95;1</code> <small>float</small>\n:   Any. More." in body(docstring)


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


def test_the_functions_of_the_readme_run_unchanged(tmp_path: Path) -> None:
    snippet = python_blocks("README.md")[0].replace("20_000", "300").replace("progress=True", "progress=False")
    done = subprocess.run(
        [sys.executable, "-c", snippet], cwd=tmp_path, check=True, timeout=300, capture_output=True, text=True
    )
    assert "factorvae" in done.stdout


@pytest.mark.parametrize("page", ["README.md", "docs/index.md"])
def test_the_centre_of_the_readme_is_that_of_the_shape(page: str) -> None:
    function = next(code for code in python_blocks(page) if "def brightness_and_centre" in code)
    names: dict[str, Any] = {}
    exec(function.partition("\nrepresentation =")[0].replace('dm.load_dataset("dsprites")', "None"), names)
    images = np.zeros((2, 64, 64, 1), np.uint8)
    images[0, 10:21, 30:61] = 1
    images[1, 12:19, 40:51] = 1  # smaller, around the same centre
    codes = names["brightness_and_centre"](images)
    assert codes.tolist() == [[11 * 31 / 64**2, 15, 45], [7 * 11 / 64**2, 15, 45]]


def test_commands_of_the_readme_run_as_they_are_or_mark_in_capitals_what_must_be_replaced() -> None:
    page = (ROOT / "README.md").read_text(encoding="utf-8")
    commands = re.findall(r"^(?:\| .*`)?(disentmetrics .*?)(?:`|$)", page, re.MULTILINE)
    assert len(commands) > 20
    for command in commands:
        arguments = shlex.split(command, comments=True)
        outputs = [value for option, value in pairwise(arguments) if option in {"-o", "--out"}]
        for argument in arguments:
            for file in re.findall(r"[\w*./-]+\.(?:csv|h5|json|npz|onnx|pt|py|safetensors|skops)\b", argument):
                known = file in outputs or file.startswith("demo/") or (ROOT / file).exists()
                assert known or re.search("[A-Z]{3}", file), command
    assert "&select=0,1" in page


def test_everything_that_the_readme_calls_exists() -> None:
    code = "import disentmetrics as dm\n" + "\n".join(
        sorted(set(re.findall(r"dm\.[a-zA-Z_]+(?:\.[a-z_]+)?", (ROOT / "README.md").read_text(encoding="utf-8"))))
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_the_metrics_page_contains_a_measured_row_for_every_quick_metric() -> None:
    from disentmetrics.metrics import registered_metrics

    page = (ROOT / "docs/metrics.md").read_text(encoding="utf-8")
    quick = {name for name, metric in registered_metrics().items() if not metric.protocol("default").costly}
    assert quick <= set(re.findall(r"^\| ([a-z_0-9]+) \|", page, re.MULTILINE))


def test_metrics_that_pages_name_exist() -> None:
    from disentmetrics.metrics import registered_metrics

    known = registered_metrics()
    pages = "".join((ROOT / page).read_text(encoding="utf-8") for page in ("README.md", "docs/metrics.md"))
    for name, protocol in re.findall(r"`([a-z_0-9]+)@([a-z_0-9]+)`", pages):
        assert protocol in known[name].protocols
    table = pages[pages.index("| family | metrics |") : pages.index("disentmetrics metrics info dci")]
    for name in re.findall(r"`([a-z_0-9]+)`", table):
        assert name in known or name in {"udr", "agreement"}


def test_the_transforms_page_lists_all_options() -> None:
    from disentmetrics import load_dataset
    from disentmetrics.datasets.transforms.spec import TRANSFORM_OPTIONS

    page = (ROOT / "docs/designs.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (`[a-z].*?) \| `", page, re.MULTILINE)
    options = [option for row in rows for option in re.findall(r"`(\w+=[^`…]+)`", row)]
    for option in options:
        assert load_dataset(f"dsprites?{option}").fingerprint.startswith("dsprites-1+")
    named = {name for row in rows for name in re.findall(r"`(\w+)=", row)}
    assert named == set(TRANSFORM_OPTIONS)


def test_the_options_of_the_page_of_data_sets_exist() -> None:
    import inspect

    from disentmetrics.datasets.catalog import folder
    from disentmetrics.datasets.registry import find_datasets

    page = (ROOT / "docs/datasets.md").read_text(encoding="utf-8")
    options = set(re.findall(r"^\| `(\w+)=", page, re.MULTILINE))
    assert options == {name for name in inspect.signature(folder.load).parameters if name != "target"}
    published = page[page.index("## Published data sets") :]
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


def test_the_data_set_of_the_page_shows_its_factors(tmp_path: Path) -> None:
    (block,) = (block for block in blocks_of("extending.md") if block.title == "my_shapes.py")
    (tmp_path / "my_shapes.py").write_text(block.code, encoding="utf-8")
    page = (ROOT / "docs/extending.md").read_text(encoding="utf-8")
    assert 'my-shapes = "my_shapes"' in page
    assert 'my_framework = "my_framework:load"' in page
    probe = "import numpy as np, my_shapes as m\nd = m.load('')\n"
    probe += "looks = {d.observations([[r, w]], [7]).tobytes() for r in range(16) for w in range(8)}\n"
    probe += "assert len(looks) == 128 and d.observations([[0, 7]], [0]).any(axis=(0, 1, 3)).all()"
    subprocess.run([sys.executable, "-c", probe], cwd=tmp_path, check=True, timeout=60)
    install(tmp_path, datasets="my-shapes = my_shapes")
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "disentmetrics", "score", "baseline:pca", "--samples", "200",
         "--data", "my-shapes?size=32&nuisance=width", "--metrics", "mig", "--interval", "none"],
        cwd=tmp_path, check=True, timeout=120, capture_output=True, text=True,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
    )  # fmt: skip
    assert "my-shapes-1-32+nuisance(width)" in done.stdout


def published_table() -> dict[str, str]:
    text = (ROOT / "docs" / "datasets.md").read_text(encoding="utf-8")
    rows = [line for line in text.partition("## Published data sets")[2].splitlines() if line.startswith("| `")]
    return {name.strip(" `"): row for row in rows for name in row.split("|")[1].split(",")}


@pytest.mark.parametrize("manifest", [m for m in manifests() if m.name != "dsprites"], ids=lambda m: m.name)
def test_the_documents_state_which_published_files_cannot_be_verified(manifest: Manifest) -> None:
    row = published_table()[manifest.name]
    assert ("`verify=false`" in row) == (not all(file.is_verifiable for file in manifest.files))
    assert ("downloaded and verified" in row) == all(file.urls for file in manifest.files)
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
