"""All errors that unmask raises on purpose.

    UnmaskError
    ├── MediaError                 one file cannot be judged; other files still are (exit code 3)
    │   ├── MissingFileError       there is no such file
    │   ├── UnreadableFileError    it is there, but cannot be opened or read
    │   ├── EmptyFileError         it has no bytes
    │   ├── UnknownFormatError     neither a picture nor a video, or broken beyond reading
    │   ├── NoVideoError           sound only
    │   ├── NoFramesError          a video without a single frame that can be decoded
    │   ├── TooLargeError          more pixels than allowed; refused before memory is taken
    │   ├── TooLongError           a longer video than allowed
    │   ├── ChangedFileError       the file changed while it was read
    │   ├── UnreachableError       where the file lies does not answer
    │   ├── LinkError              a link that leads to no file, or where it may not
    │   │   └── PageError          it leads to a web page
    │   └── NothingToJudgeError    a folder without a picture or video
    ├── BundleError                a model file cannot be trusted
    │   ├── BundleNotFoundError    no such name or file
    │   ├── BundleFormatError      no ONNX, no card, or a card that breaks the schema
    │   ├── BundleIntegrityError   the bytes differ from what the file says of itself
    │   └── CanaryError            it loads, but does not compute what its maker computed
    ├── PluginError                a part that another installed package brings cannot be loaded
    ├── FinderError                a face finder is unknown, or its model file is not as expected
    ├── MissingExtraError          an optional part is not installed
    ├── DeviceError                the GPU that was asked for cannot be used
    ├── OutputError                a result cannot be written
    ├── SourceError                a place with files cannot be listed, or has gone away
    ├── LedgerError                a ledger cannot be used, or another process is at work on it
    ├── ExecutorError              what does an archive scan's work cannot be started or reached
    ├── ServerError                the server cannot start
    ├── SignatureError             a report was changed, or is signed by another key; a bad key
    └── LabError                   making a bundle
        ├── ManifestError          a data set that cannot be used as it is
        └── RecipeError            a recipe with faults (all of them are listed)

Each says what was given, what was expected and what to do.
"""

from __future__ import annotations

import importlib.metadata
import json
from pathlib import Path
from typing import ClassVar

__all__ = [
    "BundleError",
    "BundleFormatError",
    "BundleIntegrityError",
    "BundleNotFoundError",
    "CanaryError",
    "ChangedFileError",
    "DeviceError",
    "EmptyFileError",
    "ExecutorError",
    "FinderError",
    "LabError",
    "LedgerError",
    "LinkError",
    "ManifestError",
    "MediaError",
    "MissingExtraError",
    "MissingFileError",
    "NoFramesError",
    "NoVideoError",
    "NothingToJudgeError",
    "OutputError",
    "PageError",
    "PluginError",
    "RecipeError",
    "ServerError",
    "SignatureError",
    "SourceError",
    "TooLargeError",
    "TooLongError",
    "UnknownFormatError",
    "UnmaskError",
    "UnreachableError",
    "UnreadableFileError",
    "how_to_install",
]


class UnmaskError(Exception):
    """Base of every error that unmask raises on purpose."""


class MediaError(UnmaskError):
    """One file cannot be judged.

    `kind` is the machine-readable name used in JSON.
    """

    kind: ClassVar[str] = "media"


class MissingFileError(MediaError):
    """There is no such file."""

    kind = "missing"


class UnreadableFileError(MediaError):
    """The file is there, but cannot be opened or read."""

    kind = "unreadable"


class EmptyFileError(MediaError):
    """The file has no bytes."""

    kind = "empty"


class UnknownFormatError(MediaError):
    """Neither a picture nor a video that can be decoded."""

    kind = "unknown_format"


class NoVideoError(MediaError):
    """The file holds sound, but no pictures."""

    kind = "no_video"


class NoFramesError(MediaError):
    """A video without a single frame that can be decoded."""

    kind = "no_frames"


class TooLargeError(MediaError):
    """More pixels than allowed; refused before memory is taken."""

    kind = "too_large"


class TooLongError(MediaError):
    """A longer video than allowed."""

    kind = "too_long"


class ChangedFileError(MediaError):
    """The file changed while it was read."""

    kind = "changed"


class UnreachableError(MediaError):
    """Where the file lies does not answer, or not with the whole file."""

    kind = "unreachable"


class LinkError(MediaError):
    """A link that leads to no picture or video, to a place that is not allowed, or to too much."""

    kind = "link"


class PageError(LinkError):
    """A link that leads to a web page instead of a file."""


class NothingToJudgeError(MediaError):
    """A folder without a picture or video."""

    kind = "nothing_to_judge"


class BundleError(UnmaskError):
    """A model file cannot be trusted."""


class BundleNotFoundError(BundleError):
    """No bundle of that name, and no such file."""


class BundleFormatError(BundleError):
    """No ONNX file, no card, or a card that breaks the schema."""


class BundleIntegrityError(BundleError):
    """The bytes differ from what the file says of itself."""


class CanaryError(BundleError):
    """The bundle does not compute what its maker computed."""


class PluginError(UnmaskError):
    """A part that another installed package brings cannot be loaded."""


class FinderError(UnmaskError):
    """A face finder is unknown, or its model file is not the expected one."""


def how_to_install(extra: str) -> str:
    """The command that brings an optional part, as this unmask was installed itself.

    From a checkout, from a wheel (PEP 610 says where it lay), or from an index.
    """
    checkout = Path(__file__).parents[2]
    if (checkout / "pyproject.toml").is_file() and (checkout / "constraints.txt").is_file():
        return f"pip install -c constraints.txt '.[{extra}]' in {checkout}"
    try:
        said = importlib.metadata.distribution("unmask").read_text("direct_url.json")
        came_from = f" @ {json.loads(said)['url']}" if said else ""
    except (importlib.metadata.PackageNotFoundError, ValueError, KeyError):
        came_from = ""
    return f"pip install 'unmask[{extra}]{came_from}'"


class MissingExtraError(UnmaskError):
    """An optional part is not installed.

    - what: what was asked for
    - extra: its name among the package's optional dependencies
    """

    def __init__(self, what: str, extra: str) -> None:
        self.what, self.extra = what, extra
        super().__init__(
            f"{what} needs an optional part that is not installed: {how_to_install(extra)}"
        )

    def __reduce__(self) -> tuple[type[MissingExtraError], tuple[str, str]]:
        # so that it comes back from a worker process
        return MissingExtraError, (
            self.what,
            self.extra,
        )


class DeviceError(UnmaskError):
    """The GPU that was asked for cannot be used."""


class OutputError(UnmaskError):
    """A result cannot be written."""


class SourceError(UnmaskError):
    """A place with files cannot be listed, or has gone away."""


class LedgerError(UnmaskError):
    """A ledger cannot be used, or another process is at work on it."""


class ExecutorError(UnmaskError):
    """What does the work of an archive scan cannot be started or reached."""


class ServerError(UnmaskError):
    """The server cannot start."""


class SignatureError(UnmaskError):
    """A changed or unsigned report, another key, or a key or list of certificates of no use."""


class LabError(UnmaskError):
    """Base of the errors met while making a bundle."""


class ManifestError(LabError):
    """A data set that cannot be used as it is."""


class RecipeError(LabError):
    """A recipe with faults; the message lists all of them."""
