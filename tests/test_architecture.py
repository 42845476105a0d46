"""The shape of the project: imports point one way, heavy libraries stay where they belong, starting
up is light."""

from __future__ import annotations

import ast
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

SOURCE = Path(__file__).parent.parent / "src" / "unmask"

# A module may import from its own layer's package and from layers above it in this list.
# docs/design.md shows the same.
LAYERS = [
    "errors",
    "types",
    "_internal",
    "media",
    "faces",
    "bundle",
    "analysis",
    "provenance",
    "detector",
    "report",
    "custody",
    "regression",
    "demo",
    "workers",
    "archive",
    "testing",
    "server",
    "lab",
    "cli",
    "__main__",
]

# The same inside the lab.
LAB_LAYERS = [
    "recipe",
    "data",
    "evaluation",
    "audit",
    "models",
    "training",
    "explanation",
    "export",
]

HOMES = {
    "torch": ["lab"],
    "timm": ["lab"],
    "lightning": ["lab"],
    "sklearn": ["lab"],
    "matplotlib": ["lab"],
    "scipy": ["lab"],
    "jinja2": ["report", "archive", "lab"],
    "typst": ["report"],
    "cryptography": ["report", "provenance.trust", "provenance.signing", "custody"],
    "c2pa": ["provenance"],
    "captum": ["lab"],
    "h5py": ["lab"],
    "tensorboardX": ["lab"],
    "pyarrow": ["archive", "lab"],
    "fsspec": ["archive"],
    "filelock": ["archive", "custody"],
    "rfc3161_client": ["report"],
    "mcp": ["server"],
    "transformers": ["lab"],
    "sqlite3": ["archive"],
    "ray": ["archive"],
    "pydantic": ["lab", "server"],
    "yaml": ["lab"],
    "av": ["media"],
    "PIL": ["media", "lab"],
    "onnxruntime": ["_internal.onnx_runtime", "lab"],
    "onnx": ["lab"],
    "openvino": ["bundle", "lab"],
    "typer": ["cli"],
    "rich": ["cli"],
    "fastapi": ["server"],
    "starlette": ["server"],
    "uvicorn": ["server"],
    "prometheus_client": ["server"],
}

# Parts of the lab that are used where torch is not installed or not wanted.
WITHOUT_TORCH = [
    "lab.recipe",
    "lab.data",
    "lab.evaluation",
    "lab.audit",
    "lab.training.augment",
    "lab.training.pseudo_fakes",
]


def modules() -> list[Path]:
    return sorted(SOURCE.rglob("*.py"))


def dotted(path: Path) -> str:
    """The name of a module: `unmask.media.video`; that of a package for its `__init__.py`."""
    parts = ("unmask", *path.relative_to(SOURCE).with_suffix("").parts)
    return ".".join(parts).removesuffix(".__init__")


FRONT_DOORS = ("unmask", "unmask.lab")
"""Packages that offer names of their own modules, which they import on first use only."""

MODULES = {dotted(path): path for path in modules()}


def imports(path: Path, *, at_start: bool = False) -> set[str]:
    """The dotted names that a module imports: modules, and the names it takes out of packages.

    `from unmask.lab import train` may import a module or a name, so both ways to read it are given:
    `unmask.lab` and `unmask.lab.train`. at_start: leave out what is imported inside functions.
    """
    tree = ast.parse(path.read_text())
    inside = set()
    if at_start:
        functions = [
            n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)
        ]
        inside = {id(node) for function in functions for node in ast.walk(function)}
    imported = set()
    for node in ast.walk(tree):
        if id(node) in inside:
            continue
        if isinstance(node, ast.Import):
            imported |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} has a relative import: write the whole name"
            imported.add(str(node.module))
            imported |= {f"{node.module}.{name.name}" for name in node.names}
    return imported


def own_modules(path: Path, *, at_start: bool = False) -> set[str]:
    """The modules of this project that a module imports."""
    return {
        name for name in imports(path, at_start=at_start) if name in MODULES and name != "unmask"
    }


def layer(path: Path) -> str:
    return path.relative_to(SOURCE).parts[0].removesuffix(".py")


def lab_layer(path: Path) -> str:
    return path.relative_to(SOURCE / "lab").parts[0].removesuffix(".py")


def test_imports_are_seen_in_every_form(tmp_path: Path) -> None:
    forms = [
        "import unmask.lab.training.train",
        "from unmask.lab.training import train",
        "from unmask.lab.training.train import train",
        "def f():\n    from unmask.lab.training import train",
    ]
    for form in forms:
        (tmp_path / "module.py").write_text(form)
        assert "unmask.lab.training.train" in own_modules(tmp_path / "module.py"), form


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(SOURCE)))
def test_imports_point_one_way(path: Path) -> None:
    if path.relative_to(SOURCE) == Path("__init__.py"):
        return  # the front door; it imports on first use
    assert layer(path) in LAYERS, (
        f"{path.name} is in no layer: put it into LAYERS and docs/design.md"
    )
    allowed = LAYERS[: LAYERS.index(layer(path)) + 1]
    used = {name.split(".")[1] for name in own_modules(path)}
    assert used <= {*allowed}, f"{layer(path)} may import {allowed}"


@pytest.mark.parametrize(
    "path", sorted((SOURCE / "lab").rglob("*.py")), ids=lambda path: str(path.relative_to(SOURCE))
)
def test_imports_in_the_lab_point_one_way(path: Path) -> None:
    if path == SOURCE / "lab" / "__init__.py":
        return
    allowed = LAB_LAYERS[: LAB_LAYERS.index(lab_layer(path)) + 1]
    used = {name.split(".")[2] for name in own_modules(path) if name.startswith("unmask.lab.")}
    assert used <= {*allowed}, f"lab.{lab_layer(path)} may import {allowed}"


def test_no_module_imports_itself_by_way_of_others() -> None:
    """No cycles among modules, those inside functions included."""
    graph = {
        name: own_modules(path) - {name}
        for name, path in MODULES.items()
        if name not in FRONT_DOORS
    }
    order = TopologicalSorter(graph)
    order.prepare()  # raises CycleError, which names the cycle


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(SOURCE)))
def test_libraries_stay_at_home(path: Path) -> None:
    libraries = {name.split(".")[0] for name in imports(path)}
    place = dotted(path).removeprefix("unmask.")
    for library in libraries & HOMES.keys():
        at_home = any(place == home or place.startswith(f"{home}.") for home in HOMES[library])
        assert at_home, f"{library} belongs to {HOMES[library]}"
    if any(place == part or place.startswith(f"{part}.") for part in WITHOUT_TORCH):
        assert not libraries & {"torch", "timm", "lightning"}


def test_no_module_is_too_long() -> None:
    long = {str(path): n for path in modules() if (n := len(path.read_text().splitlines())) > 450}
    assert not long


def loaded_after(code: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys; print(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    )
    return {name.split(".")[0] for name in done.stdout.splitlines()[-1].split()}


HEAVY = {
    "torch",
    "av",
    "cv2",
    "onnxruntime",
    "numpy",
    "PIL",
    "sklearn",
    "matplotlib",
    "pyarrow",
    "lightning",
}


def test_import_is_light() -> None:
    assert not loaded_after("import unmask") & HEAVY


def test_help_is_light() -> None:
    code = (
        "import sys; sys.argv = ['unmask', '--help']\nfrom unmask import cli\ntry:"
        " cli.app()\nexcept SystemExit: pass"
    )
    assert not loaded_after(code) & HEAVY


def test_the_runtime_never_loads_torch(tiny_bundle: Path, demo: Path) -> None:
    picture = str(demo / "2-generated.jpg")
    code = (
        f"import unmask; unmask.load_detector({str(tiny_bundle)!r}).scan({picture!r}, explain=True)"
    )
    assert not loaded_after(code) & {"torch", "timm", "lightning", "sklearn", "matplotlib", "onnx"}


def test_evaluation_never_loads_torch() -> None:
    assert not loaded_after("import unmask.lab.evaluation.evaluate") & {
        "torch",
        "timm",
        "lightning",
    }


def test_importing_changes_nothing() -> None:
    code = """
import threading, warnings, os, PIL.Image, PIL.ImageFile, cv2
before = (threading.active_count(), list(warnings.filters), dict(os.environ),
          PIL.Image.MAX_IMAGE_PIXELS,
          PIL.ImageFile.LOAD_TRUNCATED_IMAGES, cv2.getNumThreads())
import unmask.detector, unmask.cli
after = (threading.active_count(), list(warnings.filters), dict(os.environ),
          PIL.Image.MAX_IMAGE_PIXELS,
         PIL.ImageFile.LOAD_TRUNCATED_IMAGES, cv2.getNumThreads())
assert before == after, (before, after)
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_only_the_command_line_prints() -> None:
    for path in modules():
        calls = [n for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.Call)]
        prints = [n for n in calls if isinstance(n.func, ast.Name) and n.func.id == "print"]
        assert not prints or layer(path) == "cli", path


def test_nothing_is_sent_to_anybody(tiny_bundle: Path, demo: Path, tmp_path: Path) -> None:
    """ONNX Runtime's telemetry leaves its session's file in the temporary folder where it is on."""
    import os

    for code in (
        (
            "import unmask;"
            f" unmask.load_detector({str(tiny_bundle)!r}).scan({str(demo / '2-generated.jpg')!r})"
        ),
        "import unmask.lab.export.export, unmask.lab.models.clip_encoder",
    ):
        environment = os.environ | {"TMPDIR": str(tmp_path)}
        subprocess.run([sys.executable, "-c", code], check=True, env=environment)
        assert not (tmp_path / ".ses").exists()
    for path in modules():
        text = path.read_text()
        if path.stem != "onnx_runtime" and "onnxruntime" in {
            name.split(".")[0] for name in imports(path)
        }:
            assert "unmask._internal.onnx_runtime" in text, path


@pytest.mark.parametrize(
    "path", sorted((SOURCE.parents[1] / "benchmarks").glob("[a-z]*.py")), ids=lambda path: path.stem
)
def test_what_benchmarks_import_is_there(path: Path) -> None:
    """Their own imports, those inside functions included; they are run by hand only."""
    import importlib

    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith("unmask"):
            module = importlib.import_module(str(node.module))
            missing = [name.name for name in node.names if not hasattr(module, name.name)]
            submodules = [f"{node.module}.{name}" for name in missing]
            assert not [name for name in submodules if name not in MODULES], path
