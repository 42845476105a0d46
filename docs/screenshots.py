"""Screenshots of the page in all its states: `python docs/screenshots.py OUT [--only NAME]`.

Needs the development install and Chromium. The page is served by `unmask serve` with the default
model; the files are those of the demo, and a few made here.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, Page, Route, expect, sync_playwright

import unmask.demo

DEMO = Path(unmask.demo.__file__).parent

DEVICES: Mapping[str, Mapping[str, object]] = {
    "desktop": {"viewport": {"width": 1280, "height": 900}},
    "phone": {"viewport": {"width": 360, "height": 740}, "is_mobile": True, "has_touch": True},
    "dark": {"viewport": {"width": 1280, "height": 900}, "color_scheme": "dark"},
    "print": {"viewport": {"width": 800, "height": 1100}},
    "german": {"viewport": {"width": 1280, "height": 900}, "locale": "de-DE"},
    "spanish": {"viewport": {"width": 360, "height": 740}, "is_mobile": True, "locale": "es-ES"},
}


@contextmanager
def served() -> Iterator[str]:
    """The address of a server with the default model, for as long as it is needed."""
    command = [sys.executable, "-m", "unmask", "serve", "--port", "0", "--workers", "1"]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        for line in server.stdout:
            if found := re.search(r"http://[\w.:]+/?", line):
                yield found.group().rstrip("/")
                return
        raise RuntimeError("the server did not start")
    finally:
        server.terminate()
        server.wait()


def group(folder: Path) -> Path:
    """Eighteen faces in one picture, eleven of them generated."""
    names = ["2-generated.jpg", "3-generated.jpg", "1-photograph.jpg"]
    faces = [Image.open(DEMO / name).convert("RGB").resize((320, 320)) for name in names]
    sheet = Image.new("RGB", (6 * 320, 3 * 320))
    for place in range(18):
        face = faces[2] if place in (1, 4, 7, 9, 12, 14, 17) else faces[place % 2]
        sheet.paste(face, (place % 6 * 320, place // 6 * 320))
    path = folder / "eighteen people.jpg"
    sheet.save(path, quality=92)
    return path


def files(folder: Path) -> dict[str, list[Path]]:
    """What is given to the page, by the state's name."""
    broken = folder / "broken.jpg"
    broken.write_bytes(b"no picture at all")
    return {
        "empty": [],
        "picture": [DEMO / "2-generated.jpg"],
        "real": [DEMO / "1-photograph.jpg"],
        "video": [DEMO / "5-generated.mp4"],
        "no-face": [DEMO / "6-no-face.jpg"],
        "group": [group(folder)],
        "error": [broken],
        "many": sorted(DEMO.glob("*.[jm]p*g*")) + sorted(DEMO.glob("*.mp4")) + [broken],
    }


def shoot(browser: Browser, url: str, out: Path, name: str, given: list[Path]) -> None:
    """One state on every device."""
    for device, options in DEVICES.items():
        context = browser.new_context(**options)  # type: ignore[arg-type]
        page = context.new_page()
        page.goto(url)
        expect(page.locator("#server[data-state=ready]")).to_be_visible(timeout=60_000)
        if given:
            page.locator("#files").set_input_files([str(path) for path in given])
            expect(page.locator("#list .pill")).to_have_count(len(given), timeout=180_000)
            time.sleep(1.5)  # pictures and the player's first frame
        _save(page, out / f"{name}-{device}.png", as_printed=device == "print")
        context.close()


def shoot_between(browser: Browser, url: str, out: Path, clip: Path) -> None:
    """What is seen only for a while: sending, judging, and a result that has expired."""
    for device, options in DEVICES.items():
        context = browser.new_context(**options)  # type: ignore[arg-type]
        page = context.new_page()
        page.clock.install()
        page.goto(url)
        expect(page.locator("#server[data-state=ready]")).to_be_visible(timeout=60_000)
        # the upload waits until it is let on
        held: list[Route] = []
        page.route("**/v1/scans", partial(list.append, held))
        page.locator("#files").set_input_files(str(clip))
        expect(page.locator("#list .state")).not_to_be_empty()
        _save(page, out / f"sending-{device}.png", as_printed=False)
        held[0].continue_()
        expect(page.locator(".judging .peek")).to_be_visible(timeout=60_000)
        _save(page, out / f"judging-{device}.png", as_printed=False)
        expect(page.locator("#list .pill")).to_have_count(1, timeout=180_000)
        page.clock.fast_forward("11:00")
        expect(page.locator(".result .warn").first).to_be_visible()
        _save(page, out / f"expired-{device}.png", as_printed=device == "print")
        context.close()


def _save(page: Page, path: Path, *, as_printed: bool) -> None:
    if as_printed:
        page.emulate_media(media="print")
    page.evaluate("scrollTo(0, 0)")
    page.screenshot(path=path, full_page=True)
    assert page.viewport_size is not None
    wide = page.evaluate("document.documentElement.scrollWidth") - page.viewport_size["width"]
    print(f"{path.name}{f'  {wide} pixels too wide' if wide > 0 else ''}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--readme", action="store_true", help="also write docs/page.webp")
    parser.add_argument("--only", nargs="*", help="states: empty, picture, real, …, between")
    asked = parser.parse_args()
    asked.out.mkdir(parents=True, exist_ok=True)
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    with tempfile.TemporaryDirectory() as folder, served() as url, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        for name, given in files(Path(folder)).items():
            if not asked.only or name in asked.only:
                shoot(browser, url, asked.out, name, given)
        if not asked.only or "between" in asked.only:
            shoot_between(browser, url, asked.out, DEMO / "5-generated.mp4")
        browser.close()
    if asked.readme:
        with Image.open(asked.out / "video-desktop.png") as whole:
            whole.crop((0, 0, 1280, 1560)).save(Path(__file__).parent / "page.webp", quality=80)


if __name__ == "__main__":
    main()
