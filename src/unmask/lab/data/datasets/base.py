"""What a reader of a data set is, and what readers share."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from unmask.errors import ManifestError
from unmask.lab.data.manifest import Item

UNSPLIT = "unsplit"
"""The split of rows for which the set publishes none; `unmask data split` gives them one."""

PICTURES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp"})
VIDEOS = frozenset({".mp4", ".avi", ".mov", ".mkv", ".webm"})


@dataclass(frozen=True)
class Reading:
    """What was read of a data set.

    - items: whose files are there
    - missing: names of files that the set lists but that are not there
    """

    items: list[Item] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class DataSet:
    """A published data set.

    - tree: how it should look on disk, as text
    - source: where to get it
    - terms: of its use

    read: from the root folder to what is there. It raises NotThere where the folder does not look
    like the set.
    """

    title: str
    tree: str
    source: str
    terms: str
    read: Callable[[Path], Reading]


class NotThere(Exception):  # noqa: N818  (a signal within the readers, told to people as a ManifestError)
    """What a reader looked for and did not find."""

    def __init__(self, *looked: Path) -> None:
        self.looked = looked
        super().__init__(", ".join(map(str, looked)))


def read(data_set: DataSet, name: str, root: Path) -> Reading:
    """All that is there, sorted as the reader gives it.

    Raises ManifestError that says where it looked and what to do.
    """
    try:
        if not root.is_dir():
            raise NotThere(root)
        reading = data_set.read(root)
    except NotThere as error:
        looked = "\n".join(f"  looked for {path}" for path in error.looked)
        raise ManifestError(
            f"{data_set.title} ({name}) is not at {root}:\n{looked}\n"
            f"It should look like this:\n{data_set.tree.rstrip()}\n"
            f"Where to get it: {data_set.source}\nTerms: {data_set.terms}"
        ) from error
    if not reading.items:
        some = ", ".join(reading.missing[:3])
        raise ManifestError(
            f"{root} lists {len(reading.missing)} files of {data_set.title}, but not one is there:"
            f" {some} …"
        )
    return reading


def files_under(folder: Path, suffixes: Iterable[str]) -> list[Path]:
    """The files with one of these suffixes under a folder, at any depth, sorted.

    None where there is no such folder.
    """
    wanted = frozenset(suffixes)
    return sorted(
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in wanted and not path.name.startswith(".")
    )


def there(listed: Sequence[tuple[Path, Item]]) -> Reading:
    """Of listed files with their items, those that exist, and the names of the others."""
    items = [item for path, item in listed if path.is_file()]
    return Reading(items, [item.name for path, item in listed if not path.is_file()])


def subfolders(folder: Path) -> Iterator[Path]:
    """The folders in a folder, by name; none where it is no folder."""
    yield from sorted(path for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else ()
