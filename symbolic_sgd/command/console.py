"""What a command tells its user, and the workers that end with it: the only place that prints."""

import io
import os
import signal
import sys
from collections.abc import Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import contextmanager, suppress
from multiprocessing import active_children, get_context
from shutil import get_terminal_size

from symbolic_sgd.files import named

OUTPUT = "standard output"


def escape_what_cannot_be_shown() -> None:
    """Characters that the encoding of a stream lacks are written as `\\u0393`: there is no error in a formula's Γ."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def say(text: str) -> None:
    """A result. Who has closed standard output (`| head`) has read enough, and changes nothing else.

    Raises:
        OSError: it cannot be written.
    """
    try:
        with named(OUTPUT):
            print(text, flush=True)
    except OSError as error:
        _close_output()
        if not isinstance(error, BrokenPipeError):
            raise


def complain(text: str) -> None:
    """One line of an error or a warning."""
    if sys.stderr is not None:  # print takes None for standard output
        with suppress(OSError):
            print(f"symbolic-sgd: {text}", file=sys.stderr, flush=True)


def progress(doing: str) -> None:
    """What is being done, on the line of a terminal that `status` keeps."""
    status(f"{doing} …" if doing else "")


def status(text: str) -> None:
    """One line of a terminal that the next one overwrites; nothing elsewhere."""
    if sys.stderr is not None and sys.stderr.isatty():
        with suppress(OSError):
            room = get_terminal_size().columns - 1  # what is longer than a line could not be taken back
            print(
                f"\r\033[K{text if len(text) <= room else text[: room - 1] + '…'}", end="", file=sys.stderr, flush=True
            )


def _close_output() -> None:
    """What the interpreter would try once more to write when it ends goes nowhere."""
    with suppress(OSError):  # standard output is none of the system's files
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


# --- workers ------------------------------------------------------------------------------------


@contextmanager
def workers(count: int) -> Iterator[Executor | None]:
    """So many processes as an executor; None for one, whose work is done here.

    An interruption is for the command alone, which ends its workers: each of them would say on its own where it was.
    """
    if count == 1:
        yield None
        return
    others = set(active_children())
    executor = ProcessPoolExecutor(count, mp_context=get_context("spawn"), initializer=_ignore_interruptions)
    try:
        with _interruptions_held():  # they are born with what is held, and the initializer comes late
            for _ in range(count):
                executor.submit(_nothing)
        yield executor
    except BaseException:
        for process in set(active_children()) - others:
            process.terminate()
        raise
    finally:
        executor.shutdown(cancel_futures=True)


def _nothing() -> None:
    """The first task of a worker, for which it is started."""


def _ignore_interruptions() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)


@contextmanager
def _interruptions_held() -> Iterator[None]:
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
