"""Bundles by name."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from unmask.bundle.registry import replacement_for, shipped_part
from unmask.types import ModelId


def shipped_card() -> dict[str, str]:
    """The card of the part of `accurate` that ships, read by the library that writes such files."""
    safetensors = pytest.importorskip("safetensors")
    with safetensors.safe_open(shipped_part(), "numpy") as part:
        return dict(json.loads(part.metadata()["card"]))


def test_only_another_version_of_the_same_bundle_is_to_be_replaced() -> None:
    card = shipped_card()
    assert replacement_for(ModelId(card["name"], "0.0.1", "")) == card["version"]
    assert replacement_for(ModelId(card["name"], card["version"], "")) is None
    assert replacement_for(ModelId("unmask-lite0-abroad", "0.0.1", "")) is None


def test_without_its_part_nothing_is_to_be_replaced(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("unmask.bundle.registry.shipped_part", lambda: tmp_path / "none")
    assert replacement_for(ModelId("unmask-accurate", "0.0.1", "")) is None
