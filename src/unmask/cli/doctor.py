"""`unmask doctor`: what is installed, what is missing, and how to get it."""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from importlib import metadata

from packaging.requirements import Requirement

from unmask._internal.plugins import find_plugins
from unmask.errors import BundleNotFoundError, UnmaskError, how_to_install

PURPOSES = {
    "finders": "face finders MTCNN and dlib (--faces)",
    "openvino": "scoring by OpenVINO (--engine openvino)",
    "web": "the page and the API (unmask serve)",
    "agents": "a server for agents (unmask mcp)",
    "case": "times confirmed by an authority (--timestamp)",
    "large": "the accurate bundle (models make accurate)",
    "links": "videos on platforms' pages (scan https://…)",
    "archive": "buckets, web listings, Parquet (scan --ledger)",
    "ray": "many machines (scan --ledger --executor ray)",
    "foreign": "detectors in folders of the Hugging Face hub (models wrap)",
    "train": "train, evaluate and export",
}
"""What the extras are for; `dev` and `release` are for developers."""


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """One line of the doctor's.

    - what: a package, an extra or a part
    - ok: whether all is well
    - detail: the version found, or what to do
    - optional: whether unmask works without it
    """

    what: str
    ok: bool
    detail: str
    optional: bool = False


def examine() -> list[Diagnosis]:
    """Python, required packages, the default bundle and the face models, each really tried."""
    requirements = [Requirement(line) for line in metadata.requires("unmask") or ()]
    return [
        Diagnosis("Python", True, f"{platform.python_version()} on {platform.machine()}"),
        *(_package(requirement) for requirement in needed(requirements)),
        _tried("default bundle", _load_bundle),
        _accurate(),
        _tried("face finder yunet", _load_finder),
        _tried("face comparison SFace", _load_embedding),
        replace(_tried("GPU (--device cuda)", _on_gpu), optional=True),
        *(_extra(extra, requirements) for extra in PURPOSES),
    ]


def needed(requirements: Iterable[Requirement], extra: str = "") -> list[Requirement]:
    """Those that this machine needs for an extra; '' for unmask itself."""
    here = []
    for requirement in requirements:
        applies = requirement.marker is None or requirement.marker.evaluate({"extra": extra})
        needed_anyway = requirement.marker is None or requirement.marker.evaluate({"extra": ""})
        if applies and (not extra or not needed_anyway):
            here.append(requirement)
    return here


def _fault(requirement: Requirement) -> str | None:
    """What is wrong with a package, or None."""
    try:
        version = metadata.version(_installed_as(requirement.name))
    except metadata.PackageNotFoundError:
        return "missing"
    if not requirement.specifier.contains(version, prereleases=True):
        return f"version {version}, but unmask needs {requirement.specifier}"
    return None


def _installed_as(name: str) -> str:
    """The distribution that brings a package: ONNX Runtime's build for GPUs has its own name."""
    if name == "onnxruntime":
        with suppress(metadata.PackageNotFoundError):
            return str(metadata.distribution("onnxruntime-gpu").name)
    return name


def _package(requirement: Requirement) -> Diagnosis:
    fault = _fault(requirement)
    if fault is None:
        name = _installed_as(requirement.name)
        return Diagnosis(name, True, metadata.version(name))
    wanted = f"{requirement.name}{requirement.specifier}"
    return Diagnosis(requirement.name, False, f"{fault}: pip install '{wanted}'")


def _extra(extra: str, requirements: Iterable[Requirement]) -> Diagnosis:
    faults = {package.name: _fault(package) for package in needed(requirements, extra)}
    bad = [f"{name} ({fault})" for name, fault in faults.items() if fault is not None]
    advice = "installed"
    if bad:
        advice = f"{how_to_install(extra)}; {', '.join(bad)}"
    return Diagnosis(f"[{extra}]", not bad, f"{PURPOSES[extra]}: {advice}", optional=True)


def _on_gpu() -> str:
    from unmask.bundle import load_bundle

    load_bundle("default", device="cuda")
    return "the default bundle runs on it, self-test passed"


def _tried(what: str, attempt: Callable[[], str]) -> Diagnosis:
    try:
        return Diagnosis(what, True, attempt())
    except Exception as error:  # a doctor reports, whatever is broken
        return Diagnosis(what, False, str(error))


def _load_bundle() -> str:
    from unmask.bundle import load_bundle

    bundle = load_bundle("default")
    return f"{bundle.id.name} {bundle.id.version}, self-test passed"


def _accurate() -> Diagnosis:
    from unmask.bundle import load_bundle
    from unmask.bundle.registry import ACCURATE, replacement_for

    what = f"{ACCURATE} bundle"
    try:
        bundle = load_bundle(ACCURATE)
    except BundleNotFoundError:
        advice = "not made here: make accurate, or unmask models make accurate"
        return Diagnosis(what, False, advice, optional=True)
    except UnmaskError as error:
        return Diagnosis(what, False, str(error))
    replacement = replacement_for(bundle.id)
    if replacement is not None:
        advice = (
            f"{bundle.id.version}, but this unmask makes {replacement}:"
            f" unmask models make {ACCURATE}"
        )
        return Diagnosis(what, False, advice, optional=True)
    return Diagnosis(what, True, f"{bundle.id.name} {bundle.id.version}, self-test passed")


def _load_finder() -> str:
    from unmask.faces import load_finder

    load_finder("yunet")
    return "model file found, sha-256 right"


def _load_embedding() -> str:
    from unmask.faces.embedding import load_sface

    load_sface()
    return "model file found, sha-256 right"


PLUGIN_GROUPS = {
    "unmask.finders": "face finders (--faces NAME)",
    "unmask.datasets": "data-set readers (unmask data read NAME)",
    "unmask.detectors": "detectors (--model NAME)",
    "unmask.checks": "provenance checks",
    "unmask.analyzers": "further kinds of evidence",
}
"""The groups of entry points, and what they hold."""


@dataclass(frozen=True, slots=True)
class Plugin:
    """A part that an installed package brings.

    - group, name, target: of its entry point
    - package: the distribution, with its version
    """

    group: str
    name: str
    target: str
    package: str


def installed_plugins() -> list[Plugin]:
    """All parts that other packages bring, group by group; they are not loaded."""
    plugins = []
    for group in PLUGIN_GROUPS:
        for name, point in find_plugins(group).items():
            package = "unknown" if point.dist is None else f"{point.dist.name} {point.dist.version}"
            plugins.append(Plugin(group, name, point.value, package))
    return plugins
