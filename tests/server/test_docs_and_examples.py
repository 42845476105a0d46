"""The lines of docs/server.md and the example client, against a server."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from helpers.api_requests import LATER, send
from helpers.serving import Served

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "server.md").read_text()


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_the_curl_lines(
    served: Served, demo: Path, tmp_path: Path, client: httpx.Client, clip: bytes
) -> None:
    (tmp_path / "photo.jpg").write_bytes((demo / "2-generated.jpg").read_bytes())
    (tmp_path / "clip.mp4").write_bytes(clip)
    lines = re.findall(r"^curl .+$", TEXT, flags=re.MULTILINE)
    assert len(lines) == 7
    answer = send(client, clip, "clip.mp4", LATER, explain="true")
    environment = os.environ | {"ID": answer.json()["id"]}
    said = []
    for line in lines:
        own = line.replace("http://127.0.0.1:8000/", served.url).replace(
            "curl ", "curl --fail-with-body ", 1
        )
        done = subprocess.run(
            own,
            check=False,
            shell=True,
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
        )
        if "report.pdf" in line and done.returncode:
            # the events before ended with it, so it is done by now
            pytest.fail(done.stdout)
        assert done.returncode == 0, (line, done.stdout)
        said.append(done.stdout)
    assert json.loads(said[1])["report"]["media"]["frames_read"] == 10
    assert "event: end" in said[4]
    assert (tmp_path / "report.pdf").read_bytes().startswith(b"%PDF")


def test_the_client_example(served: Served, demo: Path, tmp_path: Path) -> None:
    (tmp_path / "none.jpg").write_bytes(b"none")
    files = [
        str(demo / "2-generated.jpg"),
        str(demo / "5-generated.mp4"),
        str(tmp_path / "none.jpg"),
    ]
    command = [
        sys.executable,
        str(ROOT / "examples" / "api_client.py"),
        "--server",
        served.url,
        *files,
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    first, second, third = done.stdout.splitlines()
    assert re.search(r": (real|fake|inconclusive), 0\.\d+$", first)
    assert re.search(r": (real|fake|inconclusive), 0\.\d+$", second)
    assert "neither a picture nor a video" in third


def test_every_error_is_in_the_docs() -> None:
    source = "".join(
        path.read_text() for path in (ROOT / "src" / "unmask" / "server").rglob("*.py")
    )
    used = set(re.findall(r'ProblemError\(\s*(\d{3}),\s*"(\w+)"', source))
    assert len(used) > 12
    rows = dict(re.findall(r"^\| (\d{3}) \| (.+) \|$", TEXT, flags=re.MULTILINE))
    for status, kind in used - {("500", "internal")}:
        assert f"`{kind}`" in rows[status], (status, kind)
    from unmask.errors import MediaError

    named = "".join(rows.values())
    never = {"missing", "nothing_to_judge", "changed", "unreachable"}  # of files that lie somewhere
    for kind in {error.kind for error in MediaError.__subclasses__()} - never:
        assert f"`{kind}`" in named, kind
