"""The pictures of the docs: `python docs/pictures.py [--data FACES.parquet]`.

Needs the development install and Chromium. The file whose way is shown is the demo's video, made by
this project. With `--data` (face crops with both labels and a split) the pictures of an evaluation
and an audit are made as well; the others stay as they are.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import cv2
import numpy as np
from PIL import Image
from playwright.sync_api import Browser, sync_playwright

import unmask.demo
from unmask import Detector, Report, load_detector
from unmask.faces import load_finder
from unmask.faces.alignment import crop_face
from unmask.media import open_media
from unmask.report.figures import overlay
from unmask.types import Face, Frame

OUT = Path(__file__).parent / "pictures"
CLIP = Path(unmask.demo.__file__).parent / "5-generated.mp4"
HEIGHT = 200
"""Of a picture in a strip, in pixels."""

INK = (20, 90, 220)


def save(picture: np.ndarray | Image.Image, name: str) -> None:
    """Write a picture of the docs."""
    image = picture if isinstance(picture, Image.Image) else Image.fromarray(picture)
    path = OUT / f"{name}.webp"
    image.convert("RGB").save(path, quality=80)
    print(f"{path.name}  {image.width}×{image.height}  {path.stat().st_size / 1000:.0f} kB")


def strip(pictures: list[np.ndarray]) -> np.ndarray:
    """Pictures side by side, equally high, on white."""
    gap = np.full((HEIGHT, 8, 3), 255, np.uint8)
    parts: list[np.ndarray] = []
    for picture in pictures:
        width = round(picture.shape[1] * HEIGHT / picture.shape[0])
        parts += [cv2.resize(picture, (width, HEIGHT), interpolation=cv2.INTER_AREA), gap]
    return np.hstack(parts[:-1])


def marked(frame: Frame, face: Face) -> np.ndarray:
    """The frame with the face's box and its five landmarks."""
    picture = frame.image.copy()
    thick = max(2, picture.shape[0] // 160)
    x0, y0, x1, y1 = (round(edge) for edge in face.box)
    cv2.rectangle(picture, (x0, y0), (x1, y1), INK, thick, cv2.LINE_AA)
    assert face.landmarks is not None
    for x, y in face.landmarks:
        cv2.circle(picture, (round(x), round(y)), 2 * thick, INK, -1, cv2.LINE_AA)
    return picture


def journey(detector: Detector) -> Report:
    """The steps from a file to its scores, each as a strip of pictures."""
    with open_media(CLIP) as media:
        frames = list(media.frames(6))
    finder = load_finder("yunet")
    faces = [max(finder.find(frame), key=lambda face: face.confidence) for frame in frames]
    spec = detector.bundle.card.crop
    crops = [crop_face(f.image, face, spec) for f, face in zip(frames, faces, strict=True)]
    save(strip([frame.image for frame in frames]), "1-frames")
    save(strip([marked(f, face) for f, face in zip(frames, faces, strict=True)]), "2-faces")
    save(strip(crops), "3-crops")
    report = detector.scan(CLIP, explain=True)
    maps = [
        overlay(exhibit.crop, exhibit.score.heatmap)
        for exhibit in report.people[0].exhibits
        if exhibit.score.heatmap is not None
    ]
    if maps:
        save(strip(maps), "4-maps")
    return report


def shoot_report(browser: Browser, folder: Path) -> None:
    """The report of the clip, and its course over time."""
    _unmask("scan", str(CLIP), "--report", str(folder))
    page = browser.new_page(viewport={"width": 1000, "height": 900})
    page.goto((next(folder.glob("*.html"))).as_uri())
    page.screenshot(path=folder / "report.png", full_page=True)
    # down to the table of the file's facts, which begins with a path of this machine
    facts = page.locator("table").first.bounding_box()
    assert facts is not None
    page.locator("figure.chart").first.screenshot(path=folder / "timeline.png")
    with Image.open(folder / "report.png") as whole:
        save(whole.crop((0, 0, whole.width, round(facts["y"]) - 8)), "report")
    with Image.open(folder / "timeline.png") as chart:
        save(chart, "5-timeline")


def shoot_lab(browser: Browser, folder: Path, data: Path) -> None:
    """The upper part of an evaluation's and of an audit's page."""
    evaluation, audit = folder / "evaluation", folder / "audit"
    of_test = ("--data", str(data), "--split", "test")
    _unmask("evaluate", "default", "--crops", *of_test, "--out", str(evaluation))
    _unmask("data", "audit", str(data), "--no-identities", "--out", str(audit))
    page = browser.new_page(viewport={"width": 1000, "height": 900})
    for name, path in (
        ("evaluation", evaluation / "report.html"),
        ("audit", audit / "audit.html"),
    ):
        page.goto(path.as_uri())
        page.screenshot(path=folder / f"{name}.png", full_page=True)
        with Image.open(folder / f"{name}.png") as whole:
            save(whole.crop((0, 0, whole.width, min(whole.height, 1300))), name)
    with Image.open(evaluation / "roc.png") as plot:
        save(plot, "roc")


def _unmask(*words: str) -> None:
    """Run a command; 1 is the exit code of an audit that found something, too."""
    subprocess.run([sys.executable, "-m", "unmask", *words], check=False)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, help="face crops with both labels and a split")
    asked = parser.parse_args()
    OUT.mkdir(exist_ok=True)
    journey(load_detector("default"))
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        shoot_report(browser, Path(folder) / "report")
        if asked.data:
            shoot_lab(browser, Path(folder), asked.data)
        browser.close()


if __name__ == "__main__":
    main()
