"""What differs on Windows and macOS, as far as it can be tried here: names, links, modules.

Drives, locks and signals of those systems need those systems; .github/workflows runs the fast tests
there.
"""

from __future__ import annotations

import ntpath
import os
import subprocess
import sys
from pathlib import Path, PureWindowsPath

import pytest

from unmask._internal.names import LONGEST_NAME, folder_and_prefix, link_to, portable_name
from unmask.archive.queries import Filter


@pytest.fixture
def windows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Paths as Windows has them, for what asks `os` about them."""
    monkeypatch.setattr(os, "sep", "\\")
    monkeypatch.setattr(os, "path", ntpath)


@pytest.mark.parametrize(
    "path",
    [
        "/footage/what: is this?.jpg",
        "https://example.org/a.jpg?width=100&b=<c>",
        "zip://in/the|archive*.png::/footage/all.zip",
        "/footage/con.jpg",
        "tab\there.jpg",
        'quote".jpg',
        "/",
    ],
)
def test_names_of_reports_are_taken_everywhere(path: str) -> None:
    name = f"{portable_name(path)}-0123abcd.json"
    # one part, without a drive or a stream, and none of the names of devices
    assert PureWindowsPath(name).parts == (name,)
    assert not PureWindowsPath(name).drive
    assert not set(name) & set('<>:"|?*\\/\t')


def test_names_that_need_no_change_have_none() -> None:
    assert portable_name("/footage/Zürich 2026.jpg") == "Zürich 2026.jpg"


def test_names_of_reports_are_not_too_long() -> None:
    name = portable_name("/footage/" + "ü" * 120 + ".jpg")
    assert len(os.fsencode(name)) <= LONGEST_NAME
    assert name.endswith("ü.jpg")


def test_a_folder_holds_what_is_below_it() -> None:
    assert folder_and_prefix("/footage/") == ("/footage", "/footage/")
    assert folder_and_prefix("/") == ("", "/")


@pytest.mark.usefixtures("windows")
def test_a_folder_of_windows_holds_what_is_below_it() -> None:
    assert folder_and_prefix("C:\\footage") == ("C:\\footage", "C:\\footage\\")
    assert folder_and_prefix("s3://bucket/footage/")[1] == "s3://bucket/footage/"
    condition, values = Filter(below="C:\\footage\\").sql()
    assert "substr(folder" in condition
    assert values == ["C:\\footage", len("C:\\footage\\"), "C:\\footage\\"]


@pytest.mark.usefixtures("windows")
def test_links_of_windows_have_slashes() -> None:
    page = PureWindowsPath("C:\\footage\\reports")
    assert link_to("C:\\footage\\a b\\one.jpg", page) == "../a%20b/one.jpg"  # type: ignore[arg-type]


def test_a_scan_needs_none_of_the_modules_that_windows_lacks(demo: Path) -> None:
    code = f"""
import sys
for name in ("resource", "fcntl", "pwd", "grp", "termios"):
    sys.modules[name] = None
from unmask import load_detector
report = load_detector("default").scan({str(demo / "2-generated.jpg")!r}, explain=True)
print(report.verdict.label)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=300, check=False
    )
    assert done.stdout.strip() == "fake", done.stderr
