from __future__ import annotations

import pytest

from unmask.report.file_words import file_words, format_words

SAID = {
    "format": "mov,mp4,m4a,3gp,3g2,mj2",
    "codec": "h264",
    "software": "Some editor",
    "camera": "Model 1",
    "taken": "2026:05:04 03:02:01",
    "place": "48.85840, 2.29450",
    "something_new": "a\nline",
}


def test_where_and_when_come_first_and_the_format_last() -> None:
    assert list(file_words(SAID, "clip.mp4")) == [
        ("Place (latitude, longitude)", "48.85840, 2.29450"),
        ("Taken", "2026:05:04 03:02:01"),
        ("Camera", "Model 1"),
        ("Software", "Some editor"),
        ("Something new", "a line"),
        ("Format", "MP4 (H.264)"),
    ]


@pytest.mark.parametrize(
    ("said", "path", "words"),
    [
        ({"format": "mov,mp4,m4a,3gp,3g2,mj2", "codec": "hevc"}, "a.MOV", "QuickTime (H.265)"),
        ({"format": "matroska,webm", "codec": "vp9"}, "a.webm", "WebM (VP9)"),
        ({"format": "matroska,webm", "codec": "av1"}, "a", "Matroska (AV1)"),
        ({"format": "mpegts", "codec": "mpeg2video"}, "a.ts", "MPEG transport stream (MPEG-2)"),
        ({"format": "JPEG"}, "a.mov", "JPEG"),
        ({"format": "avi", "codec": "rare"}, "a.avi", "AVI (rare)"),
        ({}, "a.png", ""),
    ],
)
def test_formats_have_the_names_that_people_use(
    said: dict[str, str], path: str, words: str
) -> None:
    assert format_words(said, path) == words
