"""The pretrained models of the package: small, complete, and reproducing the scores of their cards."""

import json
import shutil
from pathlib import Path

import pytest
from disentmetrics_reference_models.training.run_folder import find_zoo, load_run
from typer.testing import CliRunner

import disentmetrics as dm
from disentmetrics.cli import app
from disentmetrics.errors import CorruptFileError, InvalidInputError

ZOO = sorted(find_zoo())


def test_four_methods_are_there() -> None:
    assert ZOO == ["beta-tcvae-dsprites", "beta-vae-dsprites", "factor-vae-dsprites", "vae-dsprites"]


@pytest.mark.parametrize("name", ZOO)
def test_a_model_is_small_and_its_card_lists_how_it_was_trained(name: str) -> None:
    folder = find_zoo()[name]
    assert (folder / "weights.safetensors").stat().st_size < 3_000_000
    run, about = load_run(f"zoo/{name}"), json.loads((folder / "config.json").read_text())
    text = (folder / "README.md").read_text()
    assert run.method.name == name.removesuffix("-dsprites").replace("-", "_")
    assert (run.data, run.n_steps) == ("dsprites-1", run.config.n_steps)
    assert f"disentmetrics train {run.method.name} --data dsprites" in text
    for field, value in about["config"].items():
        assert f"{field} {value}" in text
    for score in dm.ScoreCard.from_json(folder / "card.json").every_score():
        assert score.undefined or score.signature.replace("|", "\\|") in text
    assert run.fingerprint in text


@pytest.mark.parametrize("name", ZOO)
def test_a_model_reproduces_the_scores_of_its_card(name: str) -> None:
    card = dm.ScoreCard.from_json(find_zoo()[name] / "card.json")
    data = dm.load_dataset("dsprites")
    representation = dm.encode(f"reference:zoo/{name}", data, n_samples=card.about["rows"], seed=card.about["seed"])
    assert representation.provenance.encoder == card.about["encoder"] == load_run(f"zoo/{name}").fingerprint
    again = dm.score(representation, ["mig", "factorvae"], seed=card.about["seed"], interval=None, null=False)
    for metric in again:
        # Sums in a network are rounded differently on other CPUs, so a few rows may change bins.
        assert again[metric].value == pytest.approx(card[metric].value, abs=0.005), metric
        assert again[metric].signature == card[metric].signature


def test_an_unknown_model_raises_an_error() -> None:
    with pytest.raises(InvalidInputError, match="the zoo contains no model 'beta-vae-dsprite'; did you mean"):
        load_run("zoo/beta-vae-dsprite")


def test_a_local_folder_takes_precedence_over_the_zoo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(find_zoo()["vae-dsprites"], "zoo/beta-vae-dsprites")
    assert load_run("zoo/beta-vae-dsprites").method.name == "vae"
    weights = Path("zoo/beta-vae-dsprites/weights.safetensors")
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(CorruptFileError, match="complete safetensors file"):
        load_run("zoo/beta-vae-dsprites")


def test_a_model_of_the_zoo_is_traversed_by_name(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="figures need matplotlib")
    out = tmp_path / "traversal.png"
    result = CliRunner().invoke(app, ["traverse", "reference:zoo/vae-dsprites", "-o", str(out), "--values", "3"])
    assert result.exit_code == 0, result.output
    assert out.read_bytes().startswith(b"\x89PNG")
