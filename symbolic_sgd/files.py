"""Files: only regular ones are read, what is written is there whole or not at all, and every error of the system says where."""

import errno
import glob
import os
import secrets
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

KINDS: tuple[tuple[Callable[[int], bool], str], ...] = (
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)
"""What a name may stand for beside files and directories: reading there may wait for ever, or never end."""

PART = ".part"
"""The end of the name of a file that is being written."""

TOKEN = 8
"""Random bytes in that name, so that no two writers have the same."""

ABANDONED = 3600.0
"""Seconds after its last change at which a part is nobody's any more: its writer was killed."""


@contextmanager
def named(place: object) -> Iterator[None]:
    """Errors of the system are of this place: of themselves some name none ("No space left on device"), some a part of it."""
    try:
        yield
    except OSError as error:
        if error.errno is None:
            raise
        raise OSError(error.errno, error.strerror, str(place)) from error


@contextmanager
def opened(path: str | Path) -> Iterator[BinaryIO]:
    """A regular file, to be read.

    Raises:
        OSError: it cannot be opened, or it is none; `strerror` says what it is.
    """
    _refuse_special(os.stat(path).st_mode, path)  # before it is opened, which a pipe or a device would notice
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0))
    with open(descriptor, "rb") as file, named(path):
        _refuse_special(os.fstat(descriptor).st_mode, path)  # it may have been put in the file's place since
        yield file


def _refuse_special(mode: int, path: str | Path) -> None:
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, "it is a directory, and a file is wanted", str(path))
    for is_kind, words in KINDS:
        if is_kind(mode):
            advice = "save what it holds in a file, and name that"
            raise OSError(errno.EINVAL, f"it is {words}, and a regular file is wanted: {advice}", str(path))


def write(path: str | Path, content: bytes) -> None:
    """The content of a file, or of a pipe or device that somebody reads. Who reads no further has read enough.

    Raises:
        OSError: it cannot be written there, or not all of it: then the file holds the beginning, at the most.
    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_BINARY", 0)
    descriptor = os.open(path, flags | getattr(os, "O_NONBLOCK", 0), 0o666)  # a pipe without a reader is an error
    with named(path), suppress(BrokenPipeError), open(descriptor, "wb") as file:
        if hasattr(os, "set_blocking"):
            os.set_blocking(descriptor, True)
        file.write(content)


def replace(path: str | Path, fill: Callable[[BinaryIO], None]) -> None:
    """A regular file anew: it is written beside, and put in its place when it is on the disk.

    So it is whole at every moment, whoever else replaces it, and whatever interrupts.

    Args:
        path: the file; where it is a link, what it leads to.
        fill: writes the content.

    Raises:
        OSError: it cannot be written; the file is what it was.
    """
    place = Path(os.path.realpath(path))
    part = place.with_name(f"{place.name}.{secrets.token_hex(TOKEN)}{PART}")
    with named(path):
        try:
            with open(part, "xb") as file:
                fill(file)
                file.flush()
                os.fsync(file.fileno())
            os.replace(part, place)
        except BaseException:
            with suppress(OSError):
                part.unlink()
            raise


def remove_abandoned_parts(path: str | Path) -> None:
    """Away with what killed writers of this file have left beside it."""
    place = Path(os.path.realpath(path))
    for part in place.parent.glob(f"{glob.escape(place.name)}.{'[0-9a-f]' * 2 * TOKEN}{PART}"):
        with suppress(OSError):  # another one may just have removed it, or it is not ours to remove
            if part.is_file() and time.time() - part.stat().st_mtime > ABANDONED:
                part.unlink()
