"""What a model makes of the set now, against what it should, and what was said before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from unmask.detector import Detector
from unmask.media import find_media
from unmask.media.files import file_sha256
from unmask.regression.known import Known
from unmask.types import Failure, Report

Change = Literal["mended", "worse", "same", "first"]
"""Against what was said before: an accusation or a miss is gone; there is one; neither; nothing was
said before."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one file.

    - label, probability_fake: now; `missing` where the file was not found, else an error's kind
    - wrong: a real file that is called fake, or a fake one real; `inconclusive` is not wrong
    """

    known: Known
    label: str
    probability_fake: float | None
    wrong: bool
    change: Change


def compare(
    detector: Detector,
    known: Sequence[Known],
    base: Path,
    folders: Sequence[Path] = (),
) -> list[Outcome]:
    """Judge every file of the set.

    - base: the set's folder; its paths may be relative to it
    - folders: where files are looked for by their content
    """
    by_digest = _by_digest(folders) if folders else {}
    paths = [find_file(one, base, by_digest) for one in known]
    results = detector.scan_many([path for path in paths if path is not None])
    return [
        _missing(one) if path is None else _outcome(one, next(results))
        for one, path in zip(known, paths, strict=True)
    ]


def find_file(known: Known, base: Path, by_digest: Mapping[str, Path]) -> Path | None:
    """The file with the content that the set names, at its path or in one of the folders."""
    if known.path:
        path = base / known.path
        if path.is_file() and file_sha256(path) == known.sha256:
            return path
    return by_digest.get(known.sha256)


def _missing(known: Known) -> Outcome:
    return Outcome(known, "missing", None, wrong=False, change="same")


def _outcome(known: Known, result: Report | Failure) -> Outcome:
    if isinstance(result, Failure):
        label, probability = result.kind, None
    else:
        label, probability = str(result.verdict.label), result.verdict.probability_fake
    wrong = _is_wrong(label, known)
    return Outcome(known, label, probability, wrong, _change(known, wrong))


def _is_wrong(label: str, known: Known) -> bool:
    return label in ("real", "fake") and label != known.expected


def _change(known: Known, wrong: bool) -> Change:
    if known.before is None:
        return "first"
    was_wrong = _is_wrong(str(known.before.get("label")), known)
    if wrong == was_wrong:
        return "same"
    return "worse" if wrong else "mended"


def _by_digest(folders: Sequence[Path]) -> dict[str, Path]:
    return {file_sha256(path): path for folder in folders for path in find_media(folder)}
