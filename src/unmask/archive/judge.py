"""What is done with a lot of files, wherever it is done: in a worker process of this machine, or on a cluster."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unmask.archive.fetch import Fetched, Fetcher
from unmask.archive.words import Outcome, Task
from unmask.detector import Detector, load_detector
from unmask.errors import MediaError, UnmaskError
from unmask.process import is_out_of_memory
from unmask.report import to_json
from unmask.types import Failure, Report

if TYPE_CHECKING:
    from unmask.bundle import Scorer


class Judge:
    """asked: JSON values. looks: by name `model`, `faces`, `engine`, `frames`, `explain`, `stability`; max_pixels;
    documents: whether `--report` asks for them, of full looks; prevalence; sign: path of a key, or null; spool: folder.

    scorers: by model, where faces are not scored in this process. Raises as `load_detector`, and SignatureError.
    """

    def __init__(self, asked: Mapping[str, Any], scorers: Mapping[str, Scorer] | None = None) -> None:
        self._asked, self._looks = asked, asked["looks"]
        self._detectors: dict[tuple[str, ...], Detector] = {}
        for look in self._looks.values():
            if self._which(look) not in self._detectors:
                self._detectors[self._which(look)] = self._load(look, scorers)
        self._fetcher = Fetcher(Path(asked["spool"]))
        self._key = None
        if asked["sign"]:
            from unmask.report.sign import read_key

            self._key = read_key(Path(asked["sign"]))

    def fetch(self, tasks: Iterable[Task]) -> Iterator[Fetched | Outcome]:
        """Bring the files here, in their order; what cannot be had is an outcome already."""
        for task in tasks:
            try:
                yield self._fetcher.fetch(task)
            except UnmaskError as error:
                if not isinstance(error, MediaError):
                    raise  # no room: not the file's fault
                yield _failed(task, None, error.kind, str(error))
            except Exception as error:
                yield _failed(task, None, "internal", f"{type(error).__name__}: {error}")

    def judge(self, files: Sequence[Fetched]) -> Iterator[Outcome]:
        """Judge files of one look, in their order."""
        if not files:
            return
        look = self._looks[files[0].task.look]
        detector = self._detectors[self._which(look)]
        results = detector.scan_many(
            [file.path for file in files],
            frames=look["frames"],
            explain=look["explain"],
            stability=look["stability"],
            jobs=1,
        )
        for file, result in zip(files, results, strict=True):
            yield self._outcome(file, result, detector)
            file.discard()

    def warm_up(self) -> None:
        """Load now what is loaded at first use, so that it counts for no file."""
        import unmask.demo

        folder = Path(unmask.demo.__file__).parent
        for detector in self._detectors.values():
            for name in ("2-generated.jpg", "5-generated.mp4"):
                with suppress(MediaError):  # the limits may be narrow
                    detector.scan(folder / name, frames=1)

    def _outcome(self, file: Fetched, result: Report | Failure, detector: Detector) -> Outcome:
        task = file.task
        if isinstance(result, Failure):
            if "MemoryError" in result.message or is_out_of_memory(Exception(result.message)):
                return _failed(task, file, "too_heavy", "judging this file takes more memory than a worker is allowed")
            return _failed(task, file, result.kind, result.message.replace(file.path, task.path))
        try:
            file.check(result.media.sha256)
            report = replace(result, media=replace(result.media, path=task.path))
            tree = to_json(report, self._asked["prevalence"])
            wanted = self._asked["documents"] and task.look == "full"
            made = dict(self._documents(report, detector)) if wanted else {}
            return Outcome(task.file, file.sha256, task.look, tree, documents=made, fetch_s=file.fetch_s)
        except MediaError as error:
            return _failed(task, file, error.kind, str(error))
        except UnmaskError:
            raise
        except Exception as error:
            return _failed(task, file, "internal", f"{type(error).__name__}: {error}")

    def _documents(self, report: Report, detector: Detector) -> Iterator[tuple[str, bytes]]:
        from unmask.report.write import documents

        return documents(report, detector.bundle.card, prevalence=self._asked["prevalence"], key=self._key)

    def _load(self, look: Mapping[str, Any], scorers: Mapping[str, Scorer] | None) -> Detector:
        pixels = self._asked["max_pixels"]
        if scorers is not None:
            from unmask.faces import load_finder

            finder = load_finder(look["faces"])
            return Detector(scorers[look["model"]], finder, engine=look["engine"], max_pixels=pixels, decode_threads=1)
        return load_detector(
            look["model"], faces=look["faces"], engine=look["engine"], threads=1, max_pixels=pixels, decode_threads=1
        )

    @staticmethod
    def _which(look: Mapping[str, Any]) -> tuple[str, ...]:
        return look["model"], look["faces"], look["engine"]


def _failed(task: Task, file: Fetched | None, kind: str, message: str) -> Outcome:
    digest, seconds = (None, 0.0) if file is None else (file.sha256, file.fetch_s)
    return Outcome(task.file, digest, task.look, error_kind=kind, error_message=message, fetch_s=seconds)
