"""Parts that other packages bring: found, used, listed; a broken one is named."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from helpers import plugin_package
from helpers.clips import write_video
from unmask.cli import app
from unmask.cli.doctor import PLUGIN_GROUPS, installed_plugins
from unmask.detector import Detector, load_detector
from unmask.errors import FinderError, ManifestError, PluginError
from unmask.faces import load_finder
from unmask.report import to_json
from unmask.types import Label

Install = Callable[..., None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    folder = tmp_path / "site"
    folder.mkdir()
    yield lambda **points: plugin_package.install(
        folder, monkeypatch, {f"unmask.{group}": entries for group, entries in points.items()}
    )
    monkeypatch.undo()
    plugin_package.forget()


def bright(path: Path) -> Path:
    Image.fromarray(np.full((120, 160, 3), 250, np.uint8)).save(path)
    return path


def test_a_finder_a_detector_and_a_check(install: Install, tmp_path: Path) -> None:
    install(
        finders={"everywhere": "unmask_plugin:Finder"},
        detectors={"by-brightness": "unmask_plugin:FakeScorer"},
        checks={"tags-count": "unmask_plugin:check"},
    )
    report = load_detector("by-brightness", faces="everywhere").scan(bright(tmp_path / "a.png"))
    assert report.verdict.label is Label.FAKE
    assert report.settings.finder == "everywhere"
    assert report.model.name == "example"
    assert report.provenance.traces["seen_by_plugin"].startswith("has ")
    assert "seen_by_plugin" in {finding.code for finding in report.findings}


def test_a_second_kind_of_evidence_is_in_every_form_of_report(
    install: Install, tmp_path: Path
) -> None:
    from unmask.cli.tables import report_table
    from unmask.report.files import view_of
    from unmask.report.render import html, pdf

    install(
        finders={"everywhere": "unmask_plugin:Finder"},
        detectors={"by-brightness": "unmask_plugin:FakeScorer"},
        analyzers={"brightness": "unmask_plugin:Brightness"},
    )
    detector = load_detector("by-brightness", faces="everywhere")
    clip = write_video(tmp_path / "clip.mp4", [np.full((120, 160, 3), 250, np.uint8)] * 30)
    report = detector.scan(clip, frames=8)
    (finding,) = report.further_findings
    words = "the picture is bright, seen in 8 frames"
    assert (finding.analyzer, finding.code, finding.summary) == ("brightness", "bright", words)
    assert {found.analyzer for found in report.findings} >= {"faces", "brightness"}
    assert to_json(report)["findings"] == [
        {
            "analyzer": "brightness",
            "code": "bright",
            "summary": words,
            "points_to": "fake",
            "probability_fake": None,
        }
    ]
    view = view_of(report, detector.bundle.card)
    assert view["findings"] == [{"analyzer": "brightness", "words": f"{words} (points to fake)"}]
    assert words in html(view).decode()
    assert pdf(view).startswith(b"%PDF")
    table = report_table(report, detector.bundle.card)
    assert words in " ".join(str(cell) for cell in table.columns[1].cells)


def test_a_broken_analysis_is_told_and_costs_no_verdict(install: Install, tmp_path: Path) -> None:
    install(
        finders={"everywhere": "unmask_plugin:Finder"},
        detectors={"by-brightness": "unmask_plugin:FakeScorer"},
        analyzers={"broken": "unmask_plugin:Broken"},
    )
    detector = load_detector("by-brightness", faces="everywhere")
    report = detector.scan(bright(tmp_path / "a.png"))
    assert report.verdict.label is Label.FAKE
    (finding,) = report.further_findings
    assert (finding.analyzer, finding.code) == ("broken", "failed")
    assert "ZeroDivisionError" in finding.summary


def test_a_reader_of_a_data_set(install: Install, tmp_path: Path) -> None:
    from unmask.lab.data.datasets import all_datasets, read_dataset

    install(datasets={"nobodys": "unmask_plugin:SET"})
    assert all_datasets()["nobodys"].title == "A set of nobody's"
    with pytest.raises(ManifestError, match="not one is there"):
        read_dataset("nobodys", tmp_path)


def test_what_is_installed_is_listed(install: Install) -> None:
    install(finders={"everywhere": "unmask_plugin:Finder"})
    (plugin,) = installed_plugins()
    assert (plugin.group, plugin.name, plugin.package) == (
        "unmask.finders",
        "everywhere",
        "unmask-plugin 1.2",
    )
    output = CliRunner().invoke(app, ["plugins"]).output
    assert "everywhere" in output
    assert all(group in output for group in PLUGIN_GROUPS)


def test_one_that_cannot_be_loaded_is_named_with_its_package(install: Install) -> None:
    install(finders={"gone": "unmask_plugin:Nothing"}, checks={"bad": "no_such_module:check"})
    with pytest.raises(PluginError, match=r"'gone' \(unmask.finders\) of unmask-plugin"):
        load_finder("gone")
    with pytest.raises(FinderError, match="mtcnn, dlib, gone and yunet=FILE"):
        load_finder("none")
    from unmask.provenance import all_checks

    with pytest.raises(PluginError, match="No module named 'no_such_module'"):
        all_checks()


def test_the_projects_own_names_cannot_be_taken(install: Install) -> None:
    install(
        finders={"yunet": "unmask_plugin:Finder"}, detectors={"default": "unmask_plugin:FakeScorer"}
    )
    detector = load_detector()
    assert isinstance(detector, Detector)
    assert detector.bundle.id.name != "example"
    assert type(detector.finder).__name__ == "YuNet"
