"""Files inside installed packages, used without importing the package, their sha-256 checked."""

from __future__ import annotations

import hashlib
import importlib.util
from pathlib import Path

from unmask.errors import UnmaskError


def package_folders(package: str) -> list[Path]:
    """Where an installed package lies; nowhere if it is not installed."""
    spec = importlib.util.find_spec(package)
    places = None if spec is None else spec.submodule_search_locations
    return [Path(place) for place in places or ()]


def carried_file(
    package: str, file: str, sha256: str, *, advice: str, error: type[UnmaskError]
) -> Path:
    """The path of `file` in the folder of `package`.

    - advice: how to get it

    Raises `error` where it is missing, cannot be read, or is not the known file.
    """
    for folder in package_folders(package):
        path = folder / file
        if not path.is_file():
            continue
        try:
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
        except OSError as fault:
            raise error(f"{path} cannot be read: {fault.strerror or fault}") from fault
        if digest != sha256:
            raise error(
                f"{path} is not the known file: sha-256 {digest}, expected {sha256}; {advice}"
            )
        return path
    raise error(f"{Path(file).name} is missing: {advice}")
