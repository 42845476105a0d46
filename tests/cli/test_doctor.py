"""`unmask doctor` believes the package's own metadata, not a list kept by hand."""

from __future__ import annotations

from importlib import import_module, metadata

import pytest
from packaging.requirements import Requirement

# by its name, for the package has a command that is called so, too
doctor = import_module("unmask.cli.doctor")


def test_every_package_that_unmask_requires_is_looked_at() -> None:
    required = [Requirement(line) for line in metadata.requires("unmask") or ()]
    names = {requirement.name for requirement in doctor.needed(required)}
    assert {"numpy", "onnxruntime", "filelock", "fsspec"} <= names
    assert names <= {diagnosis.what for diagnosis in doctor.examine()}


@pytest.mark.parametrize("package", ["filelock", "fsspec", "numpy"])
def test_a_missing_package_is_named_with_what_to_do(
    package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    true_version = metadata.version

    def version(name: str) -> str:
        if name == package:
            raise metadata.PackageNotFoundError(name)
        return true_version(name)

    monkeypatch.setattr(metadata, "version", version)
    (line,) = [line for line in doctor.examine() if line.what == package]
    assert not line.ok
    assert not line.optional
    assert line.detail.startswith("missing: pip install '")
    assert package in line.detail


def test_a_version_that_is_too_old_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    true_version = metadata.version
    monkeypatch.setattr(
        metadata, "version", lambda name: "1.0" if name == "fsspec" else true_version(name)
    )
    (line,) = [line for line in doctor.examine() if line.what == "fsspec"]
    assert not line.ok
    assert "version 1.0, but unmask needs >=" in line.detail


def test_an_extra_names_what_it_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    true_version = metadata.version

    def version(name: str) -> str:
        if name == "prometheus-client":
            raise metadata.PackageNotFoundError(name)
        return true_version(name)

    monkeypatch.setattr(metadata, "version", version)
    (line,) = [line for line in doctor.examine() if line.what == "[web]"]
    assert not line.ok
    assert line.optional
    assert "pip install -c constraints.txt '.[web]'" in line.detail
    assert "prometheus-client (missing)" in line.detail


def test_the_purposes_are_those_of_the_extras() -> None:
    extras = set(metadata.metadata("unmask").get_all("Provides-Extra") or ())
    assert doctor.PURPOSES.keys() == extras - {"dev", "release", "all"}
