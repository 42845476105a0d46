"""The page of an archive, on the server."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from helpers.serving import Served


@pytest.fixture(scope="module")
def archive(tiny_bundle: Path, demo: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a ledger of two pictures, and their reports."""
    place = tmp_path_factory.mktemp("archive")
    (place / "in").mkdir()
    for name in ("2-generated.jpg", "6-no-face.jpg"):
        shutil.copy(demo / name, place / "in")
    command = [sys.executable, "-m", "unmask", "scan", "in", "--ledger", "a.ledger"]
    command += ["--report", "out", "--model", str(tiny_bundle)]
    subprocess.run(command, cwd=place, check=True, capture_output=True)
    return place


def test_an_archive_in_the_browser(serve: Callable[..., Served], archive: Path) -> None:
    before = (archive / "a.ledger").read_bytes()
    server = serve(workers=1, ledger=str(archive / "a.ledger"), reports=str(archive / "out"))
    page = httpx.get(f"{server.url}archive")
    assert page.status_code == 200
    assert "2-generated.jpg" in page.text
    assert "script-src 'sha256-" in page.headers["content-security-policy"]
    assert "no face was found" in page.text
    (report,) = sorted(archive.glob("out/2-generated*.html"))
    assert f'<a href="/archive/reports/{report.name}">' in page.text
    shown = httpx.get(f"{server.url}archive/reports/{report.name}")
    assert shown.content == report.read_bytes()
    assert "script-src" not in shown.headers["content-security-policy"]
    assert (archive / "a.ledger").read_bytes() == before


@pytest.mark.parametrize(
    "name", ["../a.ledger", "..%2Fa.ledger", "a.ledger", "none-00000000.html", "%2Fetc%2Fpasswd"]
)
def test_nothing_else_is_served(serve: Callable[..., Served], archive: Path, name: str) -> None:
    server = serve(workers=1, ledger=str(archive / "a.ledger"), reports=str(archive / "out"))
    assert httpx.get(f"{server.url}archive/reports/{name}").status_code == 404


def test_with_keys_it_needs_one(serve: Callable[..., Served], archive: Path) -> None:
    server = serve(workers=1, keys=["sesame"], ledger=str(archive / "a.ledger"))
    assert httpx.get(f"{server.url}archive").status_code == 401
    allowed = httpx.get(f"{server.url}archive", headers={"authorization": "Bearer sesame"})
    assert allowed.status_code == 200


def test_without_a_ledger_there_is_none(serve: Callable[..., Served]) -> None:
    assert httpx.get(f"{serve(workers=1).url}archive").status_code == 404
