"""The shape of the project: imports point one way, heavy libraries stay where they belong, starting up is light."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).parent.parent / "src" / "unmask"

# A module may import from its own layer's package and from layers above it in this list. docs/design.md shows the same.
LAYERS = [
    "errors",
    "types",
    "jpeg",
    "protobuf",
    "carried",
    "ort",
    "media",
    "crop",
    "yunet",
    "faces",
    "bundle",
    "sface",
    "people",
    "timeline",
    "verdict",
    "stability",
    "faithful",
    "provenance",
    "report",
    "table",
    "pipeline",
    "detector",
    "wire",
    "process",
    "doctor",
    "demo",
    "archive",
    "testing",
    "server",
    "lab",
    "cli",
    "__main__",
]

LAB_ORDER = [
    "recipe", "manifest", "datasets", "metrics", "plots", "pages", "likeness", "samples", "generate", "prepare",
    "identities", "leaks", "splits", "facts", "audit",
    "augment", "blend", "data", "inception_resnet_v1", "weights", "unfold", "heads", "backbones", "checkpoint", "loop",
    "train", "results", "evaluate", "stress", "pointing", "grading", "gradcam", "familiar",
    "export", "tower", "accurate",
]  # fmt: skip

HOMES = {
    "torch": ["lab"],
    "timm": ["lab"],
    "lightning": ["lab"],
    "sklearn": ["lab"],
    "matplotlib": ["lab"],
    "scipy": ["lab"],
    "jinja2": ["report", "archive", "lab"],
    "typst": ["report"],
    "cryptography": ["report"],
    "c2pa": ["provenance"],
    "captum": ["lab"],
    "h5py": ["lab"],
    "tensorboardX": ["lab"],
    "pyarrow": ["archive", "lab"],
    "fsspec": ["archive"],
    "filelock": ["archive"],
    "sqlite3": ["archive"],
    "ray": ["archive"],
    "pydantic": ["lab", "server"],
    "yaml": ["lab"],
    "av": ["media"],
    "PIL": ["media", "lab"],
    "onnxruntime": ["ort", "lab"],
    "onnx": ["lab"],
    "openvino": ["bundle", "lab"],
    "typer": ["cli"],
    "rich": ["cli", "table"],
    "fastapi": ["server"],
    "starlette": ["server"],
    "uvicorn": ["server"],
    "prometheus_client": ["server"],
}

WITHOUT_TORCH = {*LAB_ORDER[: LAB_ORDER.index("blend") + 1], "results", "evaluate", "stress"}


def modules() -> list[Path]:
    return sorted(SOURCE.rglob("*.py"))


def layer(path: Path) -> str:
    return path.relative_to(SOURCE).parts[0].removesuffix(".py")


def imports(path: Path) -> set[str]:
    """The dotted names that a module imports, at its top or inside functions."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            found |= {node.module} | ({f"unmask.{n.name}" for n in node.names} if node.module == "unmask" else set())
    return found


def own(path: Path) -> set[str]:
    return {name.split(".")[1] for name in imports(path) if name.startswith("unmask.")}


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(SOURCE)))
def test_imports_point_one_way(path: Path) -> None:
    if path.relative_to(SOURCE) == Path("__init__.py"):
        return  # the front door; it imports on first use
    assert layer(path) in LAYERS, f"{path.name} is in no layer: put it into LAYERS and docs/design.md"
    allowed = LAYERS[: LAYERS.index(layer(path)) + 1]
    assert own(path) <= {*allowed, "__version__"}, f"{layer(path)} may import {allowed}"


def lab_part(path: Path) -> str:
    return path.relative_to(SOURCE / "lab").parts[0].removesuffix(".py")


@pytest.mark.parametrize("path", sorted((SOURCE / "lab").rglob("*.py")), ids=lambda path: path.stem)
def test_imports_in_the_lab_point_one_way(path: Path) -> None:
    if path == SOURCE / "lab" / "__init__.py":
        return
    used = {name.split(".")[2] for name in imports(path) if name.startswith("unmask.lab.")}
    part = lab_part(path)
    itself = {part} if (SOURCE / "lab" / part).is_dir() else set()
    assert used <= {*LAB_ORDER[: LAB_ORDER.index(part)], *itself}


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(SOURCE)))
def test_libraries_stay_at_home(path: Path) -> None:
    for name in {name.split(".")[0] for name in imports(path)}:
        assert layer(path) in HOMES.get(name, [*LAYERS, "__init__"]), f"{name} belongs to {HOMES[name]}"
    if layer(path) == "lab" and lab_part(path) in WITHOUT_TORCH:
        assert not {name.split(".")[0] for name in imports(path)} & {"torch", "timm", "lightning"}


def test_no_module_is_too_long() -> None:
    long = {str(path): n for path in modules() if (n := len(path.read_text().splitlines())) > 450}
    assert not long


def loaded_after(code: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys; print(*sys.modules)"], capture_output=True, text=True, check=True
    )
    return {name.split(".")[0] for name in done.stdout.splitlines()[-1].split()}


HEAVY = {"torch", "av", "cv2", "onnxruntime", "numpy", "PIL", "sklearn", "matplotlib", "pyarrow", "lightning"}


def test_import_is_light() -> None:
    assert not loaded_after("import unmask") & HEAVY


def test_help_is_light() -> None:
    code = (
        "import sys; sys.argv = ['unmask', '--help']\nfrom unmask import cli\ntry: cli.app()\nexcept SystemExit: pass"
    )
    assert not loaded_after(code) & HEAVY


def test_the_runtime_never_loads_torch(tiny_bundle: Path, demo: Path) -> None:
    picture = str(demo / "2-generated.jpg")
    code = f"import unmask; unmask.load_detector({str(tiny_bundle)!r}).scan({picture!r}, explain=True)"
    assert not loaded_after(code) & {"torch", "timm", "lightning", "sklearn", "matplotlib", "onnx"}


def test_evaluation_never_loads_torch() -> None:
    assert not loaded_after("import unmask.lab.evaluate") & {"torch", "timm", "lightning"}


def test_importing_changes_nothing() -> None:
    code = """
import threading, warnings, os, PIL.Image, PIL.ImageFile, cv2
before = (threading.active_count(), list(warnings.filters), dict(os.environ), PIL.Image.MAX_IMAGE_PIXELS,
          PIL.ImageFile.LOAD_TRUNCATED_IMAGES, cv2.getNumThreads())
import unmask.detector, unmask.cli
after = (threading.active_count(), list(warnings.filters), dict(os.environ), PIL.Image.MAX_IMAGE_PIXELS,
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
        f"import unmask; unmask.load_detector({str(tiny_bundle)!r}).scan({str(demo / '2-generated.jpg')!r})",
        "import unmask.lab.export, unmask.lab.tower",
    ):
        environment = os.environ | {"TMPDIR": str(tmp_path)}
        subprocess.run([sys.executable, "-c", code], check=True, env=environment)
        assert not (tmp_path / ".ses").exists()
    for path in modules():
        text = path.read_text()
        if path.stem != "ort" and "onnxruntime" in {name.split(".")[0] for name in imports(path)}:
            assert "unmask.ort" in text, path
