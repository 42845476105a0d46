"""A folder for the Hugging Face hub, read by the hub's own library."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from huggingface_hub import ModelCard

from unmask.bundle import Bundle
from unmask.bundle.registry import find_bundle
from unmask.lab.export.hub import write_hub_folder


def test_the_hubs_own_library_reads_it(tmp_path: Path) -> None:
    bundle = find_bundle("default")
    made = write_hub_folder(bundle, tmp_path / "hub")
    assert {path.name for path in made} == {"README.md", "config.json", "model.onnx"}
    card = ModelCard.load(tmp_path / "hub" / "README.md")
    text = Bundle(bundle).card.text
    assert card.data.pipeline_tag == "image-classification"
    assert "deepfake-detection" in card.data.tags
    results = {
        (result.dataset_name, result.metric_type): result for result in card.data.eval_results
    }
    assert results["dfdc_faces", "auc"].metric_value == pytest.approx(
        text["metrics"]["dfdc_faces"]["auc"], abs=1e-4
    )
    assert all(limit in card.text for limit in text["limits"])
    assert text["training_data_terms"] in card.text


def test_the_graph_is_the_bundle_and_the_weights_are_the_runs(
    tmp_path: Path, tiny_bundle: Path
) -> None:
    weights = tmp_path / "weights.safetensors"
    weights.write_bytes(b"weights")
    write_hub_folder(tiny_bundle, tmp_path / "hub", weights)
    assert (tmp_path / "hub" / "model.onnx").read_bytes() == tiny_bundle.read_bytes()
    assert (tmp_path / "hub" / "model.safetensors").read_bytes() == b"weights"
    config = json.loads((tmp_path / "hub" / "config.json").read_text())
    assert config["id2label"] == {"0": "fake"}
    # nothing was measured: no figures, and no list of results
    assert "Not measured." in (tmp_path / "hub" / "README.md").read_text()
