"""The files of a run, in a folder or a zip: read whole or refused with a sentence, and written whole.

A zip is read where it is and never unpacked, so that no name in it can reach a file elsewhere.
"""

import os
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Protocol

RUN_JSON = "run.json"
TRIALS_CSV = "trials.csv"
LARGEST_FILE_BYTES = 2**30
"""No file of a run is as large; what claims to be (in a zip it may be a bomb) is not read."""
LFS_POINTER = b"version https://git-lfs.github.com/spec/"
"""What stands in place of a file that Git Large File Storage has not fetched (git-lfs, docs/spec.md)."""


class ResultsError(Exception):
    """A run that is not there, cannot be read or cannot be written; the text says what to do."""


class RunFiles(Protocol):
    """Where the files of a run are."""

    def place(self, name: str) -> str:
        """Return where a file is, for people."""
        ...

    def has(self, name: str) -> bool:
        """Return whether there is a file of that name (``deliveries/0001_websocket.parquet``)."""
        ...

    def read(self, name: str) -> bytes:
        """Return what a file holds.

        Raises:
            ResultsError: If it is not there, is empty, or is not the file itself.
        """
        ...


class Folder:
    """The files of a run in a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def place(self, name: str) -> str:
        """Return the path."""
        return str(self._folder / name)

    def has(self, name: str) -> bool:
        """Return whether there is such a file, or anything else in its place."""
        return (self._folder / name).exists()

    def read(self, name: str) -> bytes:
        """Return what a file holds (see :class:`RunFiles`)."""
        path = self._folder / name
        try:
            return _whole(str(path), path.stat().st_size, path.read_bytes)
        except FileNotFoundError:
            raise ResultsError(f"{path} is not there; {_restore(name)}") from None
        except IsADirectoryError:
            raise ResultsError(f"{path} is a folder where a file is due; {_restore(name)}") from None
        except OSError as error:
            raise ResultsError(f"{path} cannot be read: {error.strerror}") from error


class Archive:
    """The files of a run in a zip, at its top or in one folder there.

    Raises:
        ResultsError: If it is no zip, or holds no run, or more than one.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            with zipfile.ZipFile(path) as archive:
                self._entries = {entry.filename: entry for entry in archive.infolist() if not entry.is_dir()}
        except (zipfile.BadZipFile, NotImplementedError, ValueError) as error:
            raise ResultsError(f"{path} is no run: neither a folder nor a whole zip file ({error})") from None
        except OSError as error:
            raise ResultsError(f"{path} cannot be read: {error.strerror}") from error
        paths = [PurePosixPath(name) for name in self._entries]
        tops = [str(path.parent) for path in paths if path.name == RUN_JSON and len(path.parts) <= 2]
        if len(tops) != 1:
            found = "no run" if not tops else f"{len(tops)} runs"
            raise ResultsError(f"{path} holds {found}; a zip that bench export writes holds one")
        self._prefix = "" if tops[0] == "." else f"{tops[0]}/"

    def place(self, name: str) -> str:
        """Return the zip and the name in it."""
        return f"{self._path}/{self._prefix}{name}"

    def has(self, name: str) -> bool:
        """Return whether the zip holds such a file."""
        return self._prefix + name in self._entries

    def read(self, name: str) -> bytes:
        """Return what a file holds (see :class:`RunFiles`)."""
        place, entry = self.place(name), self._entries.get(self._prefix + name)
        if entry is None:
            raise ResultsError(f"{place} is not there; {_restore(name)}")

        def read() -> bytes:
            with zipfile.ZipFile(self._path) as archive, archive.open(entry) as file:
                return file.read(LARGEST_FILE_BYTES)  # zipfile reads no more than the entry's file_size

        try:
            return _whole(place, entry.file_size, read)
        except (
            zipfile.BadZipFile,
            zlib.error,
            EOFError,
            NotImplementedError,
            RuntimeError,
            ValueError,
        ) as error:
            raise ResultsError(
                f"{place} cannot be read: the zip is damaged or encrypted ({error})"
            ) from error
        except OSError as error:
            raise ResultsError(f"{place} cannot be read: {error.strerror or error}") from error


def _whole(place: str, size_bytes: int, read: Callable[[], bytes]) -> bytes:
    """Return what a file holds if it may be a run's.

    Raises:
        ResultsError: If it is too large, or empty, or stands for a file that is elsewhere.
    """
    if size_bytes > LARGEST_FILE_BYTES:
        raise ResultsError(f"{place} says that it holds {size_bytes:,} bytes; no file of a run is as large")
    content = read()
    if not content:
        raise ResultsError(f"{place} is empty; {_restore(place)}")
    if content.startswith(LFS_POINTER):
        raise ResultsError(f"{place} is a Git LFS pointer, not the file itself; fetch it with: git lfs pull")
    return content


def _restore(name: str) -> str:
    return f"restore {PurePosixPath(name).name} as bench wrote it, or measure anew"


def write_whole(path: Path, content: bytes) -> None:
    """Write a file whole or not at all: aside, to the disk, then renamed.

    Raises:
        ResultsError: If it cannot be written.
    """
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with aside.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        aside.replace(path)
    except OSError as error:
        aside.unlink(missing_ok=True)
        raise ResultsError(
            f"cannot write {path}: {error.strerror}; what was written before is whole"
        ) from error
