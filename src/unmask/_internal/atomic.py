"""Writing results: whole or not at all, and with one error where that cannot be done."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from unmask.errors import OutputError


@contextmanager
def output_errors(path: Path, *, advice: str = "") -> Iterator[None]:
    """Turns an OSError within into an OutputError that names `path`.

    - path: a file, or a folder that exists
    - advice: what to do about it
    """
    try:
        yield
    except OSError as error:
        where = f"into {path}" if path.is_dir() else f"{path}"
        why = error.strerror or str(error)
        raise OutputError(
            f"cannot write {where}: {why}" + (f"; {advice}" if advice else "")
        ) from error


@contextmanager
def atomic_path(path: Path, *, make_folder: bool = False, advice: str = "") -> Iterator[Path]:
    """A path beside `path` to write to; the file takes the place of `path` at the end.

    - make_folder: make the folder it lies in, if need be

    If anything fails within, what stood at `path` stays as it was. Raises OutputError where the
    file cannot be written.
    """
    partial = path.with_name(path.name + ".part")
    with output_errors(path, advice=advice):
        try:
            if make_folder:
                path.parent.mkdir(parents=True, exist_ok=True)
            yield partial
            partial.replace(path)
        finally:
            # after an error; otherwise it is gone already
            partial.unlink(missing_ok=True)


def write_atomically(
    path: Path, content: bytes | str, *, make_folder: bool = False, advice: str = ""
) -> Path:
    """Write a file, whole or not at all; text as UTF-8.

    - make_folder: make the folder it lies in, if need be

    Raises OutputError.
    """
    with atomic_path(path, make_folder=make_folder, advice=advice) as partial:
        if isinstance(content, str):
            content = content.encode("utf-8", "backslashreplace")
        partial.write_bytes(content)
    return path


def output_folder(folder: Path) -> Path:
    """The folder, made if need be, and tried for writing before any work is done.

    Raises OutputError.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / ".unmask"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise OutputError(f"cannot write into {folder}: {error.strerror or error}") from error
    return folder
