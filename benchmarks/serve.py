"""python -m benchmarks.serve [--users 32] [--seconds 60] [--page]

The server under load, against `Detector.scan` in a loop; the load comes from the same machine, so
the server has less than all of it. --page: instead, what the page weighs and how soon Chromium
paints it."""

from __future__ import annotations

import argparse
import http.client
import itertools
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import threading
from collections import Counter
from contextlib import suppress
from pathlib import Path
from time import monotonic, perf_counter, sleep
from typing import Any

import unmask
import unmask.demo
from unmask.detector import Detector, load_detector
from unmask.report import to_json

DEMO = Path(unmask.demo.__file__).parent
MIX = (
    "1-photograph.jpg",
    "2-generated.jpg",
    "3-generated.jpg",
    "4-swapped.jpg",
    "6-no-face.jpg",
    "5-generated.mp4",
)
"""Five pictures and a clip of three seconds, in turn."""


def start() -> tuple[subprocess.Popen[str], int, float]:
    """A server, its port, and the seconds until it answers that it is ready."""
    began = perf_counter()
    command = [sys.executable, "-m", "unmask", "serve", "--port", "0"]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    assert process.stdout is not None
    port = int(process.stdout.readline().split("http://")[1].split("/")[0].split(":")[1])
    line = http.client.HTTPConnection("127.0.0.1", port)
    line.request("GET", "/readyz")
    assert line.getresponse().read() == b'{"status":"ok"}'
    return process, port, perf_counter() - began


def body(path: Path) -> bytes:
    """A form with this file."""
    head = f'--x\r\nContent-Disposition: form-data; name="file"; filename="{path.name}"\r\n\r\n'
    return head.encode() + path.read_bytes() + b"\r\n--x--\r\n"


def essence(report: dict[str, Any]) -> Any:
    """What must not depend on the load: all but the times, probabilities to four places."""
    report = {key: value for key, value in report.items() if key not in ("timing_s", "media")}
    return json.loads(json.dumps(report), parse_float=lambda text: round(float(text), 4))


class Load:
    """Users who each send one file after the other, and what they were answered."""

    def __init__(self, port: int, expected: dict[str, Any], seconds: float) -> None:
        self._port, self._expected, self._end = port, expected, monotonic() + seconds
        self.statuses: Counter[int] = Counter()
        self.seconds: dict[str, list[float]] = {"picture": [], "clip": []}
        self.differing = 0
        self._bodies = {name: body(DEMO / name) for name in MIX}

    def user(self, number: int) -> None:
        """One of them, until the time is over."""
        line = http.client.HTTPConnection("127.0.0.1", self._port, timeout=120)
        for name in itertools.islice(itertools.cycle(MIX), number % len(MIX), None):
            if monotonic() >= self._end:
                return
            began = perf_counter()
            line.request(
                "POST",
                "/v1/scans",
                self._bodies[name],
                {"Content-Type": "multipart/form-data; boundary=x"},
            )
            answer = line.getresponse()
            text = answer.read()
            self.statuses[answer.status] += 1
            if answer.status in (429, 503):
                sleep(min(float(answer.headers["Retry-After"]), 1))
                continue
            self.seconds["clip" if name.endswith("mp4") else "picture"].append(
                perf_counter() - began
            )
            self.differing += (
                answer.status != 200 or essence(json.loads(text)["report"]) != self._expected[name]
            )

    def run(self, users: int) -> None:
        """All of them."""
        threads = [threading.Thread(target=self.user, args=(number,)) for number in range(users)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()


def megabytes(process: int) -> float:
    """Of the server and its workers: what is theirs alone, and their share of the rest."""
    total = 0.0
    children = Path(f"/proc/{process}/task/{process}/children").read_text().split()
    for pid in (process, *map(int, children)):
        with suppress(OSError):
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
            total += next(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1000
    return total


def alone(detector: Detector, seconds: float) -> float:
    """Files a second by one loop."""
    began, count = perf_counter(), 0
    while perf_counter() - began < seconds:
        for name in MIX:
            detector.scan(DEMO / name)
        count += len(MIX)
    return count / (perf_counter() - began)


def page() -> None:
    """Five first visits."""
    from playwright.sync_api import sync_playwright

    process, port, _ = start()
    folder = Path(unmask.__file__).parent / "server" / "page"
    weight = sum(path.stat().st_size for path in folder.iterdir())
    painted = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        for _ in range(5):
            visit = browser.new_context().new_page()
            visit.goto(f"http://127.0.0.1:{port}/", wait_until="networkidle")
            painted.append(
                visit.evaluate(
                    "performance.getEntriesByName('first-contentful-paint')[0].startTime"
                )
            )
            visit.context.close()
        browser.close()
    process.send_signal(signal.SIGTERM)
    process.wait()
    times = ", ".join(f"{time:.0f}" for time in painted)
    print(f"the page weighs {weight / 1000:.0f} kB; first contentful paint after {times} ms")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--page", action="store_true")
    parser.add_argument("--users", type=int, default=32)
    parser.add_argument("--seconds", type=float, default=60)
    asked = parser.parse_args()
    if asked.page:
        page()
        return
    detector = load_detector()
    expected = {name: essence(to_json(detector.scan(DEMO / name))) for name in MIX}
    before = alone(detector, asked.seconds / 4)
    process, port, ready = start()
    first = megabytes(process.pid)
    load = Load(port, expected, asked.seconds)
    sizes: list[float] = []
    running = threading.Thread(target=load.run, args=(asked.users,))
    began = perf_counter()
    running.start()
    while running.is_alive():
        sizes.append(megabytes(process.pid))
        running.join(0.5)
    took = perf_counter() - began
    after = alone(detector, asked.seconds / 4)
    process.send_signal(signal.SIGTERM)
    assert process.wait() == 0
    single, rate = statistics.mean((before, after)), sum(map(len, load.seconds.values())) / took
    print(
        f"ready after {ready:.2f} s; {os.cpu_count()} cores; {asked.users} users for {took:.0f} s"
    )
    print(f"answers: {dict(load.statuses)}; differing from those alone: {load.differing}")
    print(
        f"server {rate:.1f} files/s, Detector.scan in a loop {single:.1f} ({before:.1f} before,"
        f" {after:.1f} after)"
    )
    print(f"ratio {rate / single:.2f}")
    for kind, values in load.seconds.items():
        cuts = statistics.quantiles(values, n=100)
        print(
            f"{kind}: {len(values)}, p50 {cuts[49]:.2f} s, p95 {cuts[94]:.2f} s, longest"
            f" {max(values):.2f} s"
        )
    quarter = len(sizes) // 4
    early, late = statistics.mean(sizes[quarter : 2 * quarter]), statistics.mean(sizes[-quarter:])
    print(
        f"memory: {first:.0f} MB at first, peak {max(sizes):.0f} MB; second quarter {early:.0f}"
        f" MB, last {late:.0f} MB"
    )


if __name__ == "__main__":
    main()
