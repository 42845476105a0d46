"""The wheel in an empty environment, without the checkout: as somebody who was sent it."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import urllib.request
import venv
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder with the commands of an environment that holds the wheel and what it needs."""
    place = tmp_path_factory.mktemp("install")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "-q"]
    subprocess.run([*pip, "wheel", "--no-deps", "-w", str(place), str(ROOT)], check=True)
    (wheel,) = place.glob("unmask-*.whl")
    assert wheel.stat().st_size < 20_000_000
    venv.create(place / "env", with_pip=True)
    bin_folder = place / "env" / ("Scripts" if os.name == "nt" else "bin")
    command = [str(bin_folder / "python"), *pip[1:], "install", "-c", str(ROOT / "constraints.txt")]
    subprocess.run([*command, f"{wheel}[web]"], check=True)
    yield bin_folder
    shutil.rmtree(place)


def unmask(bin_folder: Path, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A command in an empty folder, with nothing of this process's environment."""
    return subprocess.run(
        [str(bin_folder / "unmask"), *arguments],
        cwd=folder,
        env={"PATH": os.defpath, "HOME": str(folder), "LANG": "C.UTF-8"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@pytest.mark.slow
def test_the_wheel_works_without_the_checkout(installed: Path, tmp_path: Path, demo: Path) -> None:
    shown = unmask(installed, tmp_path, "demo")
    assert shown.returncode == 0, shown.stderr
    assert shown.stdout.count("truth:") == 6
    judged = unmask(installed, tmp_path, "scan", "--json", str(demo / "2-generated.jpg"))
    assert json.loads(judged.stdout)["verdict"]["label"] == "fake"
    made = unmask(
        installed,
        tmp_path,
        "scan",
        "--report",
        "out",
        "--language",
        "de",
        str(demo / "1-photograph.jpg"),
    )
    assert made.returncode == 0, made.stderr
    assert {path.suffix for path in (tmp_path / "out").iterdir()} == {".html", ".json", ".pdf"}
    version = unmask(installed, tmp_path, "--version").stdout
    assert re.fullmatch(r"unmask \d+\.\d+\.\d+\n", version)
    # torch stays out, and a hint names the wheel that there is
    assert "torch" not in {path.name for path in installed.parent.rglob("site-packages/*")}
    trained = unmask(installed, tmp_path, "train", "unmask-lite0", "--data", "x", "--out", "y")
    assert trained.returncode == 1
    assert re.search(r"pip install 'unmask\[train\] @ file://.*\.whl'", trained.stderr)


@pytest.mark.slow
def test_the_page_of_the_wheel(installed: Path, tmp_path: Path) -> None:
    server = subprocess.Popen(
        [str(installed / "unmask"), "serve", "--port", "0", "--workers", "1"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert server.stdout is not None
        found = next(m for line in server.stdout if (m := re.search(r"http://[\w.:]+", line)))
        for path in ("/", "/strings.js", "/words/de.json", "/readyz", "/docs"):
            with urllib.request.urlopen(found.group() + path, timeout=60) as answer:
                assert answer.status == 200
    finally:
        server.terminate()
        server.wait()
        if server.stdout is not None:
            server.stdout.close()
