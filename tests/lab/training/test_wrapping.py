"""What training crops still tell of how their pictures were saved."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from helpers.lab import TINY
from unmask.errors import LabError
from unmask.lab.audit.audit import audit, measure_shortcut
from unmask.lab.data.manifest import Item, read_manifest
from unmask.lab.recipe import Recipe, load_recipe
from unmask.lab.training.wrapping import training_crops

CHAIN = "{resize: 1, smallest_px: 24, jpeg: 1, jpeg_quality: [20, 40], blur: 1, noise: 1, erase: 0}"


def recipe(augment: str) -> Recipe:
    kept = [one for one in TINY if not one.startswith("augment")]
    return load_recipe("unmask-lite0", [*kept, f"augment={augment}"])


def wrapped(toy_set: Path) -> list[Item]:
    """The toy set, its labels given out anew: every second picture is `fake`, and blurred."""
    items = []
    for number, item in enumerate(read_manifest(toy_set)):
        image = item.decode()
        if number % 2:
            image = cv2.GaussianBlur(image, (0, 0), 1.2)
        data = bytes(cv2.imencode(".png", image[..., ::-1])[1])
        group = f"{item.group} {number}"
        items.append(replace(item, label=number % 2, split="train", group=group, data=data))
    return items


def test_a_chain_of_degradations_hides_how_pictures_were_made(toy_set: Path) -> None:
    items = wrapped(toy_set)
    plain = "{resize: 0, jpeg: 0, blur: 0, noise: 0, erase: 0, colour: 0, smallest_px: 24}"
    aucs = {}
    for name, augment in (("plain", plain), ("chain", CHAIN)):
        crops = training_crops(items, recipe(augment), count=300, jobs=1)
        assert len(crops.items) == len(crops.facts) == 300
        aucs[name] = measure_shortcut(crops.name, crops.items, crops.facts).wrapping[0]
    assert aucs["plain"] > 0.9
    assert aucs["chain"] < aucs["plain"] - 0.15


def test_crops_repeat_and_are_drawn_as_the_recipe_draws(toy_set: Path) -> None:
    items = wrapped(toy_set)
    some = [item for number, item in enumerate(items) if not number % 2 or not number % 3]
    first, again = (training_crops(some, recipe(CHAIN), count=60, jobs=1) for _ in range(2))
    assert first.facts == again.facts
    labels = np.array([item.label for item in first.items])
    assert abs(labels.mean() - 0.5) < 0.1  # balanced, though there are fewer fakes
    assert {"crop_sharpness", "crop_noise", "crop_blockiness", "crop_bytes"} <= set(first.facts[0])


def test_the_audit_tells_of_crops(toy_set: Path, tmp_path: Path) -> None:
    items = wrapped(toy_set)
    found = audit(
        items,
        tmp_path,
        identities=False,
        crops=lambda: training_crops(items, recipe(CHAIN), count=120, jobs=1),
        jobs=1,
    )
    of_crops = found.shortcuts[-1]
    assert of_crops.data == "training crops of unmask-lite0"
    assert "of the crops alone" in of_crops.words()
    assert "training crops of unmask-lite0" in (tmp_path / "audit.html").read_text()


def test_a_recipe_that_changes_nothing_is_refused(toy_set: Path) -> None:
    plain = recipe(CHAIN).model_copy(update={"augment": None})
    with pytest.raises(LabError, match="changes no pictures"):
        training_crops(wrapped(toy_set), plain)
