"""The example projects work unchanged, in separate runs."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import disentmetrics as dm

ROOT = Path(__file__).parents[1]
PROJECT = ROOT / "examples" / "ci"
WORKFLOW = PROJECT / ".github" / "workflows" / "disentmetrics.yml"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of the example as it is committed."""
    kept = shutil.ignore_patterns("__pycache__", ".pytest_cache", "card.json", "scores.xml")
    return Path(shutil.copytree(PROJECT, tmp_path / "project", ignore=kept))


def run(project: Path, command: str) -> "subprocess.CompletedProcess[str]":
    """Run a line as a workflow does, by the programs of this environment."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "GITHUB_"))}
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        ["bash", "-e", "-o", "pipefail", "-c", command], cwd=project, check=False, capture_output=True, text=True,
        timeout=300, env={**ours, "PATH": path, "DISENTMETRICS_CACHE": str(project.parent / "cache"), "COLUMNS": "160"},
    )  # fmt: skip


def steps() -> list[dict[str, Any]]:
    yaml = pytest.importorskip("yaml", reason="workflows are written in YAML")
    workflow = yaml.safe_load(WORKFLOW.read_text(encoding="utf-8"))
    assert set(workflow[True]) == {"push", "pull_request"}  # "on" is a boolean in YAML 1.1, and a key for GitHub
    assert workflow["permissions"] == {"contents": "read"}
    (job,) = workflow["jobs"].values()
    assert job["runs-on"] == "ubuntu-latest"
    found: list[dict[str, Any]] = job["steps"]
    return found


def test_the_workflow_is_valid_for_github() -> None:
    for step in steps():
        assert ("uses" in step) != ("run" in step)
        assert set(step) <= {"name", "uses", "run", "with", "if"}
        assert "@" in step.get("uses", "@")
    (install,) = (step["run"] for step in steps() if step.get("name") == "Install")
    assert install == "python -m pip install -r requirements.txt"
    assert (PROJECT / "requirements.txt").read_text().split() == ["disentmetrics", "pytest"]


def test_the_steps_of_the_workflow_pass(project: Path) -> None:
    before = (project / "baselines" / "encoder.json").read_bytes()
    commands = [step["run"] for step in steps() if "run" in step and step["name"] != "Install"]
    assert len(commands) == 3
    said = [run(project, command) for command in commands]
    assert [one.returncode for one in said] == [0, 0, 0], [one.stdout + one.stderr for one in said]
    assert "2 passed" in said[0].stdout
    assert "passed: 2 ok (tolerance interval)" in said[2].stdout + said[2].stderr
    assert 'failures="0"' in (project / "scores.xml").read_text()
    (upload,) = (step["with"]["path"].split() for step in steps() if "upload-artifact" in step.get("uses", ""))
    assert all((project / name).is_file() for name in upload)
    assert (project / "baselines" / "encoder.json").read_bytes() == before


def test_a_worse_encoder_fails_readably_until_it_is_accepted(project: Path) -> None:
    encoder = project / "encoder.py"
    good = encoder.read_text()
    worse = good.replace("[x, y, np.sqrt(mass)]", "[x, y + 0.15 * x, np.sqrt(mass)]")
    assert worse != good
    encoder.write_text(worse)

    failed = run(project, "python -m pytest")
    assert failed.returncode == 1, failed.stdout + failed.stderr
    assert "AssertionError: baselines/encoder.json: mig regressed: 0." in failed.stdout
    assert "95 % interval of the change: [-0." in failed.stdout
    assert "E       signature: mig|protocol:default|rows:1000|" in failed.stdout
    assert "pytest --disentmetrics-update 'tests/test_encoder.py::test_no_score_regressed'" in failed.stdout
    assert "pytest_plugin" not in failed.stdout.replace("disentmetrics_adapters.integrations.pytest_plugin", "")

    # The limit of the other test still applies, whatever baseline is accepted.
    accepted = run(project, "python -m pytest --disentmetrics-update -k regressed && python -m pytest -k regressed")
    assert accepted.returncode == 0, accepted.stdout + accepted.stderr
    folders = (PROJECT, project)
    first, second = (dm.ScoreCard.from_json(folder / "baselines" / "encoder.json")["mig"] for folder in folders)
    assert second.value < first.value


def test_the_page_of_the_example_names_existing_files_and_commands() -> None:
    page = (PROJECT / "README.md").read_text(encoding="utf-8")
    rows = [line.split("`")[1] for line in page.splitlines() if line.startswith("| `")]
    assert all((PROJECT / name).is_file() for name in rows)
    for step in steps():
        if "run" in step:
            assert step["run"] in page
