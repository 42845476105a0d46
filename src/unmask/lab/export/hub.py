"""A bundle as a folder that the Hugging Face hub takes: a model card, the graph, the weights."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from unmask._internal.atomic import output_folder, write_atomically
from unmask.bundle import Bundle

TAGS = ["deepfake-detection", "image-classification", "onnx", "unmask"]

SHOWN_METRICS = {"auc": "ROC AUC", "ap": "average precision", "eer": "equal error rate"}
"""Keys of a card's metrics, and how the hub's list names them."""


def write_hub_folder(bundle: Path, folder: Path, weights: Path | None = None) -> list[Path]:
    """Write README.md, config.json, model.onnx and, if given, model.safetensors.

    - bundle: the .onnx file
    - weights: the run's, before they were turned into a graph

    Raises BundleError, OutputError.
    """
    card = Bundle(bundle).card.text
    output_folder(folder)
    made = [
        write_atomically(folder / "README.md", readme(card)),
        write_atomically(folder / "config.json", json.dumps(_config(card), indent=2) + "\n"),
        write_atomically(folder / "model.onnx", bundle.read_bytes()),
    ]
    if weights is not None:
        made.append(folder / "model.safetensors")
        shutil.copyfile(weights, made[-1])
    return made


def readme(card: Mapping[str, Any]) -> str:
    """The card as Markdown, with what the hub reads of it as YAML in front."""
    front: dict[str, Any] = {
        "license": "other",
        "license_name": str(card["licence"])[:80],
        "library_name": "onnx",
        "pipeline_tag": "image-classification",
        "tags": TAGS,
    }
    if results := _results(card):
        front["model-index"] = [{"name": card["name"], "results": results}]
    thresholds = card["thresholds"]
    lines = [
        f"# {card['name']} {card['version']}",
        "",
        card["intended_use"],
        "",
        "The output is the probability that a face was faked (positive class: fake). It is a"
        " screening aid, not proof.",
        "",
        "```sh",
        "unmask scan --model model.onnx photo.jpg",
        "```",
        "",
        f"Called fake from a probability of {thresholds['fake']['probability']:.3f} on, real up to"
        f" {thresholds['real']['probability']:.3f}, undecided between them.",
        "",
        "## Limits",
        "",
        *(f"- {limit}" for limit in card["limits"]),
        "",
        "## Figures",
        "",
        *_table(card["metrics"]),
        "",
        "## Training data",
        "",
        str(card.get("training_data_terms", "Not said.")),
        "",
        f"Licence: {card['licence']}",
        "",
    ]
    return f"---\n{yaml.safe_dump(front, sort_keys=False, allow_unicode=True)}---\n\n" + "\n".join(
        lines
    )


def _results(card: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The hub's list of results, for its tables of many models."""
    return [
        {
            "task": {"type": "image-classification"},
            "dataset": {"name": data, "type": data},
            "metrics": [
                {"type": key, "name": name, "value": round(float(found[key]), 4)}
                for key, name in SHOWN_METRICS.items()
                if found.get(key) is not None
            ],
        }
        for data, found in card["metrics"].items()
        if isinstance(found, Mapping) and found.get("auc") is not None
    ]


def _table(metrics: Mapping[str, Any]) -> list[str]:
    rows = [
        f"| {data} | {found.get('real', '–')} | {found.get('fake', '–')} | {_number(found)} |"
        for data, found in metrics.items()
        if isinstance(found, Mapping)
    ]
    if not rows:
        return ["Not measured."]
    return ["| data | real | fake | AUC (95 %) |", "|---|--:|--:|--:|", *rows]


def _number(found: Mapping[str, Any]) -> str:
    if found.get("auc") is None:
        return "–"
    low, high = found.get("auc_ci95") or (float("nan"), float("nan"))
    return f"{found['auc']:.3f} ({low:.3f}–{high:.3f})"


def _config(card: Mapping[str, Any]) -> dict[str, Any]:
    """What programs ask a folder of the hub for."""
    made_by = card["made_by"]
    return {
        "architecture": made_by.get("backbone", "onnx"),
        "num_labels": 1,
        "id2label": {"0": "fake"},
        "label2id": {"fake": 0},
        "preprocessing": card["preprocessing"],
        "calibration": card["calibration"],
        "thresholds": card["thresholds"],
    }
