"""What the docs say is so: commands run, code runs, lists are whole."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

import unmask
from helpers.provenance_files import signer_parts
from helpers.web_site import Answer, sends
from unmask.cli import app
from unmask.report import EXPLANATIONS

ROOT = Path(__file__).parent.parent
# the landing page, and the page with its commands
README = (ROOT / "README.md").read_text() + (ROOT / "docs" / "usage.md").read_text()


def shell_lines(text: str) -> list[str]:
    blocks = re.findall(r"```sh\n(.*?)```", text, flags=re.DOTALL)
    return [
        line.split("  #")[0].split(" #")[0].strip()
        for block in blocks
        for line in block.splitlines()
        if line.strip()
    ]


def test_the_python_example_runs(tmp_path: Path, demo: Path) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
    (tmp_path / "clip.mp4").write_bytes((demo / "5-generated.mp4").read_bytes())
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stdout.split()[0] in ("real", "fake", "inconclusive")


def test_the_commands_of_the_section_on_use_run(
    tmp_path: Path, demo: Path, site: Callable[[str, Answer], str]
) -> None:
    linked = site("/clip.mp4", sends((demo / "5-generated.mp4").read_bytes()))
    (tmp_path / "folder").mkdir()
    (tmp_path / "footage").mkdir()
    for name, source in (
        ("photo.jpg", "1-photograph.jpg"),
        ("clip.mp4", "5-generated.mp4"),
        ("folder/a.jpg", "2-generated.jpg"),
        ("footage/a.mp4", "5-generated.mp4"),
    ):
        (tmp_path / name).write_bytes((demo / source).read_bytes())
    (tmp_path / "me.pem").write_bytes(b"".join(signer_parts()))
    commands = [
        line
        for line in shell_lines(README)
        if line.startswith(
            ("unmask scan", "unmask report", "unmask ledger", "unmask models", "unmask doctor")
        )
    ]
    assert len(commands) >= 5
    for command in commands:
        if "mine.onnx" not in command:
            line = command.replace("unmask", f"{shlex.quote(sys.executable)} -m unmask", 1)
            line = line.replace("https://example.org/clip.mp4", linked)
            subprocess.run(line, shell=True, cwd=tmp_path, capture_output=True, check=True)


LAB = (ROOT / "docs" / "lab.md").read_text()
ARCHIVE = (ROOT / "docs" / "archive.md").read_text()
STARTS = "".join(path.read_text() for path in sorted((ROOT / "docs" / "start").glob("*.md")))


@pytest.mark.parametrize(
    "line",
    [
        line
        for line in shell_lines(README + LAB + ARCHIVE + STARTS)
        if "unmask " in line.split("#")[0][:90]
    ],
)
def test_commands_and_options_of_the_docs_exist(line: str) -> None:
    import typer

    words = shlex.split(line)
    words = words[words.index("unmask") + 1 :]
    command = typer.main.get_command(app)
    while words and hasattr(command, "commands"):
        assert words[0] in command.commands
        command = command.commands[words.pop(0)]
    known = {option for parameter in command.params for option in parameter.opts}
    assert {word for word in words if word.startswith("--")} <= known


def test_the_makefile_has_the_two_commands() -> None:
    makefile = (ROOT / "Makefile").read_text()
    for line in (line for line in shell_lines(README) if line.startswith("make ")):
        assert re.search(rf"^{line.split()[1]}:", makefile, flags=re.MULTILINE)


def test_every_reason_is_explained_in_the_docs_as_in_the_program() -> None:
    text = (ROOT / "docs" / "verdicts.md").read_text()
    rows = dict(
        re.findall(
            r"^\| `(\w+)` \| (.+?) \|$", text[text.index("## Reason codes") :], flags=re.MULTILINE
        )
    )
    assert rows == {str(reason): words for reason, words in EXPLANATIONS.items()}


def test_the_design_names_every_module() -> None:
    """Each package has a row, which names exactly its modules."""
    text = (ROOT / "docs" / "design.md").read_text()
    table = text[text.index("## Modules") : text.index("## The path of one file")]
    named: dict[str, set[str]] = {}
    for row in re.findall(r"^\| (.+?) \| .+? \| (.*?)\|$", table, flags=re.MULTILINE)[1:]:
        folder = row[0].strip("`/").replace("(root)", "")
        modules = re.findall(r"`(\w+)`", re.sub(r"\(.*?\)", "", row[1]))
        named.setdefault(folder, set()).update(modules)
    source = ROOT / "src" / "unmask"
    packages = [source, *(path.parent for path in sorted(source.rglob("*/__init__.py")))]
    for package in packages:
        folder = str(package.relative_to(source)).replace(".", "", 1)
        modules = {path.stem for path in package.glob("*.py")} - {"__init__"}
        assert named[folder] == modules, folder


def test_links_lead_somewhere() -> None:
    for page in (*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")):
        for link, heading in re.findall(r"\]\(([^)#]*)(?:#([^)]+))?\)", page.read_text()):
            target = page.parent / link if link else page
            assert target.exists(), f"{page.name}: {link}"
            if heading:
                assert heading in anchors(target), f"{page.name}: {link}#{heading}"


def prose(page: Path) -> list[str]:
    """The lines that somebody wrote: neither code nor a row of a table, a heading or a picture."""
    generated = r"<!-- generated by .*?<!-- generated: end -->"
    code = r"^ *```.*?^ *```"
    text = re.sub(f"{generated}|{code}", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)
    return [line for line in text.splitlines() if not re.match(r"\||#|!\[|<|    ", line)]


@pytest.mark.parametrize("folder", ["", "docs", "docs/start"])
def test_lines_of_prose_are_short(folder: str) -> None:
    generated = {"api.md", "cli.md"}
    pages = [page for page in (ROOT / folder).glob("*.md") if page.name not in generated]
    assert pages
    for page in pages:
        for line in prose(page):
            assert len(line) <= 100, f"{page.name}: {line}"


def anchors(page: Path) -> set[str]:
    """The headings of a page as links name them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), flags=re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_the_options_of_deployments_are_known() -> None:
    context = typer.main.get_command(app).commands["serve"]  # type: ignore[attr-defined]
    known = {option for parameter in context.params for option in parameter.opts}
    compose = yaml.safe_load((ROOT / "deploy" / "compose.yaml").read_text())
    unit = (ROOT / "deploy" / "unmask.service").read_text()
    (start,) = re.findall(r"^ExecStart=\S+ (.+)$", unit, flags=re.MULTILINE)
    (docker,) = re.findall(r"^CMD (\[.+\])$", (ROOT / "Dockerfile").read_text(), flags=re.MULTILINE)
    for words in (compose["services"]["unmask"]["command"], shlex.split(start), json.loads(docker)):
        assert words[0] == "serve"
        assert {word for word in words if word.startswith("--")} <= known


def test_what_contributors_look_for_is_there_and_valid() -> None:
    for name in ("workflows/tests.yaml", "dependabot.yml", "ISSUE_TEMPLATE/wrong.yaml"):
        assert yaml.safe_load((ROOT / ".github" / name).read_text())
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["version"] == unmask.__version__
    assert yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]


def test_dependencies_are_explained_and_pinned() -> None:
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [
        *project["dependencies"],
        *(w for extra in project["optional-dependencies"].values() for w in extra),
    ]
    names = {re.split(r"[<>=; \[]", text)[0] for text in wanted} - {"unmask", "types-PyYAML"}
    explained = (ROOT / "docs" / "dependencies.md").read_text()
    pins = dict(line.split("==") for line in (ROOT / "constraints.txt").read_text().splitlines())
    pinned = {name.lower().replace("_", "-") for name in pins}
    for name in names:
        assert name.replace("_", "-") in explained.replace("_", "-"), f"{name} is not explained"
        assert name.lower().replace("_", "-") in pinned, f"{name} is not pinned"


def test_the_cards_say_what_the_readme_says() -> None:
    from unmask.bundle import load_bundle
    from unmask.bundle.registry import shipped_part
    from unmask.lab.export.joining import read_learnt

    rows = [line for line in README.splitlines() if line.startswith("|")]
    small = load_bundle("default").card.text["metrics"]
    larger = read_learnt(shipped_part())[2]["metrics"]
    for name, row_begins in (("dfdc_faces", "| DFDC"), ("ffhq_stylegan", "| FFHQ")):
        (row,) = [row for row in rows if row.startswith(row_begins)]
        _, _, _, auc_small, auc_larger, called_fake, _ = (cell.strip() for cell in row.split("|"))
        assert auc_small == interval(small[name])
        assert called_fake.split("; ")[0] == share(small[name]["fpr_at_threshold"])
        if name == "ffhq_stylegan":  # of DFDC's test the larger model's card has a part
            assert auc_larger.replace("*", "") == interval(larger[name])
            assert called_fake.split("; ")[1] == share(larger[name]["fpr_at_threshold"])
    (row,) = [row for row in rows if row.startswith("| LFW")]
    both = "; ".join(share(metrics["lfw"]["fpr_at_threshold"]) for metrics in (small, larger))
    assert row.endswith(f"| {both} |")


def interval(figures: Mapping[str, Any]) -> str:
    low, high = figures["auc_ci95"]
    return f"{figures['auc']:.3f} ({low:.3f}–{high:.3f})"


def share(value: float) -> str:
    return f"{value:.1%}".replace("%", " %")


def test_every_kind_of_error_is_in_the_docs() -> None:
    from unmask.errors import MediaError

    text = (ROOT / "docs" / "json.md").read_text()
    kinds = set(re.findall(r"^\| `(\w+)` \|", text[text.index("| kind |") :], flags=re.MULTILINE))
    assert kinds == {c.kind for c in MediaError.__subclasses__()} | {"internal"}
