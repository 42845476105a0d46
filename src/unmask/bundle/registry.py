"""Bundles by name: those that ship with unmask, and those that were put together here."""

from __future__ import annotations

import hashlib
import json
import os
import sys
from importlib.resources import files
from pathlib import Path

from unmask.bundle.card import parse_card
from unmask.bundle.seal import read_seal
from unmask.errors import BundleNotFoundError
from unmask.types import ModelId

DEFAULT = "default"
"""The bundle that is installed with unmask."""

ACCURATE = "accurate"
"""The bundle of two parts, put together on each machine by `unmask models make accurate`."""


def shipped_bundles() -> dict[str, Path]:
    """The bundles that come with unmask, by name."""
    return {
        path.stem: path for path in sorted(Path(str(files("unmask") / "weights")).glob("*.onnx"))
    }


def made_bundles() -> Path:
    """The folder for bundles that are put together on this machine.

    The environment variable UNMASK_BUNDLES names it; else it lies inside the virtual environment,
    so that it goes with it, or in the home folder.
    """
    named = os.environ.get("UNMASK_BUNDLES")
    if named:
        return Path(named)
    if sys.prefix != sys.base_prefix:
        return Path(sys.prefix) / "share" / "unmask"
    return Path.home() / ".local" / "share" / "unmask"


def shipped_part() -> Path:
    """The learnt part of `accurate` that comes with unmask."""
    return Path(str(files("unmask") / "weights" / f"{ACCURATE}.safetensors"))


def find_bundle(name: str) -> Path:
    """The file of a shipped or made bundle's name, or the file itself.

    Raises BundleNotFoundError.
    """
    shipped = shipped_bundles()
    if name in shipped:
        return shipped[name]
    if Path(name).is_file():
        return Path(name)
    if name == ACCURATE:
        made = made_bundles() / f"{ACCURATE}.onnx"
        if made.is_file():
            return made
        raise BundleNotFoundError(
            "the bundle accurate is put together on each machine, and was not yet on this one:"
            " unmask models make accurate"
        )
    raise BundleNotFoundError(
        f"there is no bundle {name!r}: neither a file nor one of the shipped ones"
        f" ({', '.join(shipped) or 'none'})"
    )


def bundles_here() -> list[str]:
    """The names of the bundles on this machine, the best first: `accurate` where it was made."""
    made = (made_bundles() / f"{ACCURATE}.onnx").is_file()
    return [ACCURATE, DEFAULT] if made else [DEFAULT]


def best_bundle() -> str:
    """The name of the best bundle on this machine: `accurate` where it was made, else `default`."""
    return bundles_here()[0]


def identify(name: str) -> ModelId:
    """Which bundle that is, its digests and card checked, but not loaded.

    Raises BundleError.
    """
    content = find_bundle(name).read_bytes()
    card = parse_card(read_seal(content))
    return ModelId(card.name, card.version, hashlib.sha256(content).hexdigest())


def replacement_for(bundle: ModelId) -> str | None:
    """The version of `accurate` that this unmask would make, where `bundle` is another one of it.

    A bundle that was put together here stays as it is when unmask is updated.
    """
    part = shipped_part()
    if not part.is_file():
        return None
    # the header of a .safetensors file: its length in eight bytes, then JSON
    with part.open("rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
    card = json.loads(header["__metadata__"]["card"])
    if card["name"] != bundle.name or card["version"] == bundle.version:
        return None
    return str(card["version"])
