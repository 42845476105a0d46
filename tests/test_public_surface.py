"""What is public: named in `__all__`, described in docs/api.md, and all that examples need."""

from __future__ import annotations

import ast
import importlib
import importlib.resources
import inspect
import json
import re
import runpy
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
REFERENCE = runpy.run_path(str(ROOT / "docs" / "reference.py"))
PUBLIC: tuple[str, ...] = REFERENCE["PUBLIC"]


@pytest.mark.parametrize("name", PUBLIC)
def test_all_names_exactly_what_a_module_offers(name: str) -> None:
    """Sorted by ruff (RUF022)."""
    module = importlib.import_module(name)
    for member in module.__all__:
        assert getattr(module, member) is not None, member
    made_here = {
        member
        for member, value in vars(module).items()
        if not member.startswith("_") and getattr(value, "__module__", None) == name
    }
    assert made_here <= set(module.__all__)


@pytest.mark.parametrize("name", PUBLIC)
def test_what_is_public_has_a_docstring_with_a_summary_line(name: str) -> None:
    module = importlib.import_module(name)
    for member in module.__all__:
        value = getattr(module, member)
        if not (inspect.isclass(value) or inspect.isfunction(value)):
            continue
        lines = (inspect.getdoc(value) or "").splitlines()
        assert lines, f"{name}.{member}"
        assert len(lines) == 1 or not lines[1], f"{name}.{member}: {lines[:2]}"


@pytest.mark.parametrize("name", PUBLIC)
def test_every_field_of_a_public_value_is_described(name: str) -> None:
    """By a bullet in the docstring of its class: `- width, height: in pixels`."""
    module = importlib.import_module(name)
    for member in module.__all__:
        value = getattr(module, member)
        fields = getattr(value, "__dataclass_fields__", {})
        bullets = re.findall(r"^- ([\w, ]+):", inspect.getdoc(value) or "", flags=re.MULTILINE)
        described = {field for names in bullets for field in names.split(", ")}
        shown = {field for field in fields if not field.startswith("_")}
        assert shown <= described, f"{name}.{member}: {sorted(shown - described)}"


def imported_by(code: str) -> Iterator[tuple[str, str]]:
    """Module and name of what some code takes from unmask."""
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.ImportFrom) and str(node.module).split(".")[0] == "unmask":
            for alias in node.names:
                yield str(node.module), alias.name


def examples() -> dict[str, str]:
    """The Python of each example; that of a notebook without its shell commands."""
    folder = ROOT / "examples"
    code = {path.name: path.read_text() for path in folder.glob("*.py")}
    for path in folder.glob("*.ipynb"):
        cells = json.loads(path.read_text())["cells"]
        lines = [line for cell in cells if cell["cell_type"] == "code" for line in cell["source"]]
        python = [line.rstrip("\n") for line in lines if line.lstrip()[:1] not in ("!", "%")]
        code[path.name] = "\n".join(python)
    return code


# makes the demo's files once, of the project's own parts; nobody copies it
INTERNAL = {"make_demo.py"}


@pytest.mark.parametrize("name", sorted(examples().keys() - INTERNAL))
def test_examples_use_only_what_is_public(name: str) -> None:
    used = list(imported_by(examples()[name]))
    for module, member in used:
        assert module in PUBLIC, f"from {module} import {member}"
        assert member in importlib.import_module(module).__all__, f"{module}.{member}"


def test_examples_with_imports_are_found() -> None:
    assert sum(bool(list(imported_by(code))) for code in examples().values()) >= 4


@pytest.mark.parametrize("name", list(REFERENCE["pages"]()))
def test_the_generated_pages_are_up_to_date(name: str) -> None:
    assert (ROOT / "docs" / name).read_text() == REFERENCE["pages"]()[name], "run make reference"


def test_the_package_is_marked_as_typed() -> None:
    assert importlib.resources.files("unmask").joinpath("py.typed").is_file()
