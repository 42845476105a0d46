"""What is done with a batch of files, in a worker process of this machine or on a cluster."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from unmask._internal.sandbox import is_out_of_memory
from unmask.archive.fetch import Fetched, Fetcher
from unmask.archive.model import Outcome, ScanJob, ScanPass, Task
from unmask.detector import Detector, load_detector
from unmask.detector.further import installed_analyzers
from unmask.errors import MediaError, UnmaskError
from unmask.faces import load_finder
from unmask.report import to_json
from unmask.types import Failure, Report
from unmask.workers import too_heavy, warm_up

if TYPE_CHECKING:
    from unmask.bundle import Scorer


class BatchScanner:
    """Fetches and judges batches of files, as a ScanJob says."""

    def __init__(self, job: ScanJob, scorers: Mapping[str, Scorer] | None = None) -> None:
        """Load the detectors of all passes.

        - scorers: by model, where faces are not scored in this process

        Raises as `load_detector`, and SignatureError.
        """
        self._job = job
        self._detectors: dict[tuple[str, str, str], Detector] = {}
        for scan_pass in job.passes.values():
            key = _detector_key(scan_pass)
            if key not in self._detectors:
                self._detectors[key] = self._load(scan_pass, scorers)
        self._fetcher = Fetcher(job.spool)
        self._key = None
        if job.signing_key is not None:
            from unmask.report.signature import read_key

            self._key = read_key(job.signing_key)

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
        """Judge files of one pass, in their order."""
        if not files:
            return
        scan_pass = self._job.passes[files[0].task.scan_pass]
        detector = self._detectors[_detector_key(scan_pass)]
        results = detector.scan_many(
            [file.path for file in files],
            frames=None if scan_pass.settings.by_length else scan_pass.settings.frames,
            explain=scan_pass.settings.explain,
            stability=scan_pass.settings.stability,
            jobs=1,
        )
        for file, result in zip(files, results, strict=True):
            yield self._outcome(file, result, detector)
            file.discard()

    def warm_up(self) -> None:
        """Load what is loaded at first use, so that it counts for no file."""
        warm_up(self._detectors.values())

    def _outcome(self, file: Fetched, result: Report | Failure, detector: Detector) -> Outcome:
        task = file.task
        if isinstance(result, Failure):
            if "MemoryError" in result.message or is_out_of_memory(Exception(result.message)):
                return _failed(task, file, *too_heavy(self._job.memory_bytes))
            return _failed(task, file, result.kind, result.message.replace(file.path, task.path))
        try:
            file.check(result.media.sha256)
            report = replace(result, media=replace(result.media, path=task.path))
            tree = to_json(report, self._job.prevalence)
            documents: dict[str, bytes] = {}
            if self._job.documents and task.scan_pass == "full":
                documents = dict(self._documents(report, detector))
        except MediaError as error:
            return _failed(task, file, error.kind, str(error))
        except UnmaskError:
            raise
        except Exception as error:
            return _failed(task, file, "internal", f"{type(error).__name__}: {error}")
        return Outcome(
            task.file,
            file.sha256,
            task.scan_pass,
            tree,
            documents=documents,
            fetch_s=file.fetch_s,
        )

    def _documents(self, report: Report, detector: Detector) -> Iterator[tuple[str, bytes]]:
        from unmask.report.files import documents

        return documents(
            report,
            detector.bundle.card,
            prevalence=self._job.prevalence,
            key=self._key,
            language=self._job.language,
        )

    def _load(self, scan_pass: ScanPass, scorers: Mapping[str, Scorer] | None) -> Detector:
        engine = scan_pass.settings.engine
        if scorers is None:
            return load_detector(
                scan_pass.model,
                faces=scan_pass.faces,
                engine=engine,
                threads=1,
                max_pixels=self._job.max_pixels,
                decode_threads=1,
                device=self._job.device,
            )
        return Detector(
            scorers[scan_pass.model],
            load_finder(scan_pass.faces),
            engine=engine,
            analyzers=installed_analyzers(),
            max_pixels=self._job.max_pixels,
            decode_threads=1,
        )


def _detector_key(scan_pass: ScanPass) -> tuple[str, str, str]:
    return scan_pass.model, scan_pass.faces, scan_pass.settings.engine


def _failed(task: Task, file: Fetched | None, kind: str, message: str) -> Outcome:
    digest, seconds = (None, 0.0) if file is None else (file.sha256, file.fetch_s)
    return Outcome(
        task.file, digest, task.scan_pass, error_kind=kind, error_message=message, fetch_s=seconds
    )
