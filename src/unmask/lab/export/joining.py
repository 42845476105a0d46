"""The bundle `accurate`, put together on the machine where it is used.

It is too large to be handed on whole: CLIP's tower comes from a package of its own. What we trained
is a small file: norms and head of the tower, how the two parts are mixed, and the card.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from unmask.bundle import Bundle, seal
from unmask.bundle.registry import ACCURATE, find_bundle, made_bundles, shipped_part
from unmask.bundle.session import write_bundle
from unmask.errors import LabError, OutputError
from unmask.lab.models.clip_encoder import read_tower
from unmask.lab.models.pair import Mix, join
from unmask.lab.models.tuned_tower import TunedTower, read_tuned

SCHEMA = "unmask.accurate/4"
READABLE = ("unmask.accurate/3", SCHEMA)
"""/3 has no heads for videos, and is otherwise the same."""


def make(out: Path | None = None, learnt: Path | None = None, tower: bytes | None = None) -> Path:
    """Put the bundle together; returns the file.

    - out: by default the place where scans look for it
    - learnt: what `learn` wrote, by default the part that comes with unmask
    - tower: its graph, by default that of the installed package

    Raises LabError where the parts do not belong together, BundleError where what comes out does
    not compute what its maker got, OutputError.
    """
    learnt = learnt or shipped_part()
    tuned, mix, card, wanted = read_learnt(learnt)
    small = find_bundle("default")
    bundle = Bundle(small)
    graph_sha256 = bundle.card.text["graph_sha256"]  # its card may have changed since
    if graph_sha256 != wanted["graph_sha256"]:
        raise LabError(
            f"{learnt} was learnt with {wanted['name']} {wanted['version']} (its graph's sha-256"
            f" {wanted['graph_sha256'][:12]}…), but the default bundle is {bundle.id.name}"
            f" {bundle.id.version} (its graph's {graph_sha256[:12]}…)"
        )
    tower = read_tower() if tower is None else tower
    graph = join(small.read_bytes(), bundle.card.crop.size, tower, tuned, mix)
    if out is None:
        out = made_bundles() / f"{ACCURATE}.onnx"
        try:
            out.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(f"cannot make the folder {out.parent}: {error}") from error
    write_bundle(seal(graph, card), out)
    return out


def write_learnt(
    out: Path, tuned: TunedTower, mix: Mix, card: Mapping[str, Any], base: Bundle
) -> None:
    """Write what `make` needs.

    - card: of the joint bundle, without the digest of its graph
    - base: the default bundle that it was learnt with
    """
    notes = {
        "schema": SCHEMA,
        "mix": json.dumps(asdict(mix)),
        "base": json.dumps(
            {
                "name": base.id.name,
                "version": base.id.version,
                "graph_sha256": base.card.text["graph_sha256"],
            }
        ),
        "card": json.dumps(card, ensure_ascii=False),
    }
    tuned.write(out, notes)


def read_learnt(path: Path) -> tuple[TunedTower, Mix, dict[str, Any], dict[str, Any]]:
    """What `write_learnt` wrote: tower, mix, card, and which bundle it was learnt with.

    Raises LabError.
    """
    if not path.is_file():
        raise LabError(f"there is no file {path}: no learnt part of the accurate bundle")
    tuned, notes = read_tuned(path)
    try:
        if notes["schema"] not in READABLE:
            raise ValueError(f"its schema is {notes['schema']!r}, not {' or '.join(READABLE)}")
        fields = json.loads(notes["mix"])
        video = fields.pop("video", None)
        mix = Mix(**fields, video=None if video is None else Mix(**video))
        return tuned, mix, dict(json.loads(notes["card"])), dict(json.loads(notes["base"]))
    except (ValueError, KeyError, TypeError) as error:
        raise LabError(f"{path} cannot be read as what `models learn` writes: {error!r}") from error
