from __future__ import annotations

import pytest

from unmask.cli import output
from unmask.cli.output import ScanBar
from unmask.detector.progress import Progress, Stage


def words(bar: ScanBar) -> tuple[str, str, float]:
    (task,) = bar._bar.tasks
    return task.description, task.fields["frames"], task.completed


def test_the_bar_names_the_file_and_the_frame() -> None:
    bar = ScanBar(2)
    bar("folder/clip.mp4", Progress(Stage.LOOKING, frames=8, frames_asked=32))
    assert words(bar) == ("file 1 of 2: clip.mp4", "frame 8 of 32", 0.0)
    bar.advance()
    assert words(bar) == ("file 2 of 2: clip.mp4", "", 0.5)
    bar.advance()
    assert words(bar)[0].startswith("file 2 of 2: ")
    bar.stop()


def test_a_single_video_fills_the_bar_by_frames() -> None:
    bar = ScanBar(1)
    bar("clip.mp4", Progress(Stage.LOOKING, frames=8, frames_asked=32))
    assert words(bar) == ("clip.mp4", "frame 8 of 32", 0.25)
    bar("a\nname\x1b[31m.jpg", Progress(Stage.LOOKING, frames=1, frames_asked=1))
    assert "\x1b" not in words(bar)[0]
    assert "\n" not in words(bar)[0]
    bar.stop()


def test_long_work_says_in_a_pipe_how_far_it_is(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = iter([0.0, 10.0, 31.0, 40.0, 62.0, 100.0])
    monkeypatch.setattr(output.time, "monotonic", lambda: next(now))
    with output.progress(5) as advance:
        for _ in range(5):
            advance()
    assert capsys.readouterr().err.splitlines() == ["unmask: 2 of 5", "unmask: 4 of 5"]
