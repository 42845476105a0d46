"""A process that judges files for the server: `python -m unmask.server.worker`."""

from __future__ import annotations

import json
import os
import queue
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any

from unmask._internal.ipc import Message
from unmask._internal.sandbox import is_out_of_memory, limit_processor
from unmask.detector import Detector, Progress, load_detector
from unmask.errors import MediaError, UnmaskError
from unmask.report import to_json
from unmask.report.files import view_of
from unmask.report.language import LANGUAGES
from unmask.report.people_view import Drawings
from unmask.report.render import pack
from unmask.server.requests import ScanRequest, WorkerConfig
from unmask.types import Fetched, Report
from unmask.workers import Fault, MasterChannel, run_worker, too_heavy, warm_up


class CancelledError(Exception):
    """The file is no longer wanted."""


class ScanWorker:
    """Judges the files that its master sends.

    Messages it is sent: `scan` (a ScanRequest) and `cancel`. Messages it sends: `progress`, then
    `done` (with the report and its view), `failed` or `cancelled`.
    """

    def __init__(self, config: Mapping[str, Any], channel: MasterChannel) -> None:
        self._config = WorkerConfig(**config)
        self.memory_bytes = self._config.memory_bytes
        self._channel = channel
        self._cancelled = threading.Event()
        self._waiting: queue.SimpleQueue[ScanRequest] = queue.SimpleQueue()
        self._detectors: dict[str, Detector] = {
            name: load_detector(
                model,
                faces=self._config.faces,
                engine=self._config.engine,
                device=self._config.device,
                threads=1,
                max_pixels=self._config.max_pixels,
                max_duration_s=self._config.max_duration_s,
            )
            for name, model in self._config.models.items()
        }

    def warm_up(self) -> None:
        """As `Worker.warm_up`."""
        warm_up(
            self._detectors.values(),
            lambda report, detector: view_of(report, detector.bundle.card),
        )

    def introduction(self) -> Mapping[str, Any]:
        """The models by name, with their cards."""
        models = {}
        for name, detector in self._detectors.items():
            bundle = detector.bundle
            models[name] = {
                "version": bundle.id.version,
                "bundle": bundle.id.name,
                "sha256": bundle.id.sha256,
                "card": bundle.card.text,
            }
        return {"models": models}

    def run(self) -> None:
        """As `Worker.run`."""
        threading.Thread(target=self._listen, name="unmask-listen", daemon=True).start()
        while True:
            request = self._waiting.get()
            limit_processor(self._config.time_s)
            self._channel.send(self._judge(request))

    def _listen(self) -> None:
        with suppress(Exception):  # whatever ends the line, ends the work
            for message in self._channel.messages():
                if message.kind == "cancel":
                    self._cancelled.set()
                else:
                    self._cancelled.clear()
                    self._waiting.put(ScanRequest(**message.words))
        os._exit(0)

    def _judge(self, request: ScanRequest) -> Message:
        try:
            return self._report(request)
        except CancelledError:
            return Message("cancelled")
        except Exception as error:  # whatever a hostile file sets off
            kind, words = self._fault(error)
            message = words.replace(request.path, request.name)
            return Message("failed", {"error": kind, "message": message})

    def _fault(self, error: Exception) -> Fault:
        if is_out_of_memory(error):
            return too_heavy(self._config.memory_bytes)
        if isinstance(error, MediaError):
            return Fault(error.kind, str(error))
        what = str(error) if isinstance(error, UnmaskError) else type(error).__name__
        return Fault("internal", f"an error in unmask, triggered by this file: {what}")

    def _report(self, request: ScanRequest) -> Message:
        detector = self._detectors[request.model]
        report = detector.scan(
            request.path,
            frames=request.frames,
            explain=request.explain,
            stability=request.stability,
            on_progress=self._tell_progress,
        )
        fetched = Fetched(**request.fetched) if request.fetched is not None else None
        report = replace(report, media=replace(report.media, path=request.name, fetched=fetched))
        return _result(report, detector, request.prevalence)

    def _tell_progress(self, progress: Progress) -> None:
        if self._cancelled.is_set():
            raise CancelledError
        values = {
            "stage": progress.stage,
            "frames": progress.frames,
            "frames_asked": progress.frames_asked,
            "faces": progress.faces,
            "scores": [[round(time, 3), round(p, 4)] for time, p in progress.scores],
        }
        self._channel.send(Message("progress", values))


def _result(report: Report, detector: Detector, prevalence: float | None) -> Message:
    """The report as JSON, and what pages and PDFs are made of.

    That is its words in every language, and its pictures, which are the same in all of them.
    """
    parts = {"report": _json(to_json(report, prevalence))}
    pictures = {f"frame{number}.jpeg": data for number, data in report.pictures.items()}
    drawings = Drawings()
    for language in LANGUAGES:
        view, shown = pack(
            view_of(report, detector.bundle.card, prevalence, language=language, drawings=drawings)
        )
        view["frames"] = sorted(report.pictures)
        parts[f"view/{language}"] = _json(view)
        pictures |= shown
    for name, data in pictures.items():
        parts[f"picture/{name}"] = data
    return Message("done", {"label": report.verdict.label}, parts)


def _json(tree: Mapping[str, Any]) -> bytes:
    return json.dumps(tree, ensure_ascii=False, allow_nan=False).encode("utf-8", "backslashreplace")


def main() -> None:
    """Work for whoever started this process."""
    run_worker(ScanWorker, niceness=5)


if __name__ == "__main__":
    main()
