"""A process that judges files for the server: `python -m unmask.server.worker`, spoken to over its stdin and stdout.

It loads its models once. A file that crashes it, or takes more memory or time than it may, costs this process alone.
"""

from __future__ import annotations

import json
import os
import queue
import sys
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO

from unmask.detector import Detector, load_detector
from unmask.errors import MediaError, UnmaskError
from unmask.pipeline import one_opencv_thread
from unmask.process import is_out_of_memory, limit_memory, limit_processor, take_streams
from unmask.report import to_json
from unmask.report.page import pack
from unmask.report.write import view_of
from unmask.types import Progress
from unmask.wire import Message, receive


class CancelledError(Exception):
    """The file is not wanted any more."""


class Worker:
    """Judges one file after the other."""

    def __init__(self, asked: Mapping[str, Any], out: BinaryIO) -> None:
        self._out = out
        self._cancelled = threading.Event()
        self._cpu_s, self._memory_bytes = float(asked["time_s"]), int(asked["memory_bytes"])
        self._detectors: dict[str, Detector] = {
            name: load_detector(
                model,
                faces=asked["faces"],
                engine=asked["engine"],
                threads=1,
                max_pixels=asked["pixels"],
                max_duration_s=asked["duration_s"],
            )
            for name, model in asked["models"].items()
        }

    def run(self, source: BinaryIO) -> None:
        """Until there is nobody to work for."""
        self._warm_up()
        limit_memory(self._memory_bytes)
        waiting: queue.SimpleQueue[Message] = queue.SimpleQueue()

        def listen() -> None:
            with suppress(Exception):  # whatever ends the line, ends the work
                while (message := receive(source)) is not None:
                    if message.kind == "cancel":
                        self._cancelled.set()
                    else:
                        self._cancelled.clear()
                        waiting.put(message)
            os._exit(0)

        threading.Thread(target=listen, name="unmask-listen", daemon=True).start()
        self._say(Message("ready", {"models": {name: self._known(name) for name in self._detectors}}))
        while True:
            asked = waiting.get().words
            limit_processor(self._cpu_s)
            self._say(self._judge(asked))

    def _judge(self, asked: Mapping[str, Any]) -> Message:
        try:
            return self._report(asked)
        except CancelledError:
            return Message("cancelled")
        except Exception as error:  # whatever a hostile file sets off
            kind, words = self._fault(error)
            return Message("failed", {"error": kind, "message": words.replace(asked["path"], asked["name"])})

    def _fault(self, error: Exception) -> tuple[str, str]:
        """Its kind and words."""
        if is_out_of_memory(error):
            most = f"{self._memory_bytes / 1e6:.0f} MB"
            return "too_heavy", f"judging this file takes more than the {most} of memory that are allowed"
        if isinstance(error, MediaError):
            return error.kind, str(error)
        what = str(error) if isinstance(error, UnmaskError) else type(error).__name__
        return "internal", f"a fault of unmask set off by this file: {what}"

    def _report(self, asked: Mapping[str, Any]) -> Message:
        def watch(progress: Progress) -> None:
            if self._cancelled.is_set():
                raise CancelledError
            words = {
                "stage": progress.stage,
                "frames": progress.frames,
                "frames_asked": progress.frames_asked,
                "faces": progress.faces,
                "scores": [[round(time, 3), round(p, 4)] for time, p in progress.scores],
            }
            self._say(Message("progress", words))

        detector = self._detectors[asked["model"]]
        report = detector.scan(
            asked["path"],
            frames=asked["frames"],
            explain=asked["explain"],
            stability=asked["stability"],
            watch=watch,
        )
        report = replace(report, media=replace(report.media, path=asked["name"]))
        view, pictures = pack(view_of(report, detector.bundle.card, asked["prevalence"]))
        frames = {f"frame{number}.jpeg": data for number, data in report.pictures.items()}
        view["frames"] = sorted(report.pictures)
        parts = {"report": _json(to_json(report, asked["prevalence"])), "view": _json(view)}
        words = {"label": report.verdict.label}
        return Message("done", words, parts | {f"picture/{name}": data for name, data in (pictures | frames).items()})

    def _known(self, name: str) -> dict[str, Any]:
        bundle = self._detectors[name].bundle
        return {"version": bundle.id.version, "bundle": bundle.id.name, "sha256": bundle.id.sha256} | {
            "card": bundle.card.text
        }

    def _warm_up(self) -> None:
        """What is loaded at first use is loaded now: nobody waits for it, and it counts for no file."""
        import unmask.demo

        folder = Path(unmask.demo.__file__).parent
        for detector in self._detectors.values():
            for name in ("2-generated.jpg", "5-generated.mp4"):
                with suppress(MediaError):  # the limits may be narrow
                    view_of(detector.scan(folder / name, frames=1), detector.bundle.card)

    def _say(self, message: Message) -> None:
        try:
            self._out.write(message.pack())
            self._out.flush()
        except OSError:
            os._exit(0)  # nobody listens


def _json(tree: Mapping[str, Any]) -> bytes:
    return json.dumps(tree, ensure_ascii=False, allow_nan=False).encode("utf-8", "backslashreplace")


def main() -> None:
    """Work for whoever started this."""
    asked = json.loads(sys.argv[1])
    source, out = take_streams()
    with suppress(OSError, AttributeError):
        os.nice(5)  # the server answers while all cores judge
    try:
        worker = Worker(asked, out)
    except UnmaskError as error:
        out.write(Message("refused", {"message": str(error)}).pack())
        out.flush()
        return
    with one_opencv_thread(True):
        worker.run(source)


if __name__ == "__main__":
    main()
