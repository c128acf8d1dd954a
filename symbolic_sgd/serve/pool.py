"""The workers of the page and the questions that wait for them. A worker that takes too long is ended, and another one started."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty, Queue
from threading import Event, Lock, Thread, Timer
from typing import Any

from symbolic_sgd.serve import limits
from symbolic_sgd.serve.worker import READY

ROOT = Path(__file__).parents[2]
"""Where the package is."""

START = 120.0
"""Seconds in which a worker has to have loaded everything."""

NOT_STARTED = "a worker process could not be started, or has not loaded everything in time"

ONE_THREAD = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")
"""Each further thread of these libraries takes address space."""


class Busy(Exception):
    """As many questions wait as may wait."""


@dataclass(eq=False)
class Question:
    """What is asked, and the answer once it is there.

    Args:
        task: one of `answers.TASKS`.
        fields: what is written on the page, as it was sent.
    """

    task: str
    fields: Any
    answer: dict[str, str] = field(default_factory=dict)
    done: Event = field(default_factory=Event)
    given_up: Event = field(default_factory=Event)

    def close(self, answer: dict[str, str]) -> None:
        """The first answer is the one."""
        if not self.done.is_set():
            self.answer = answer
            self.done.set()


class Worker:
    """One process at a time, with a thread that talks to it.

    Args:
        questions: where it takes them from; None ends it.
        seconds: of wall time for an answer.
        memory: bytes of address space.
    """

    def __init__(self, questions: "Queue[Question | None]", seconds: float, memory: int):
        self.questions, self.seconds, self.memory = questions, seconds, memory
        self._process: subprocess.Popen[str] | None = None
        self._killed = False
        self._current: Question | None = None
        self._ending, self._lock = False, Lock()
        self._thread = Thread(target=self._work, daemon=True)
        self._thread.start()

    def abandon(self, question: Question) -> None:
        """End the process if it is at this question: nobody waits for the answer."""
        with self._lock:
            if self._current is question:
                self._kill()

    def end(self) -> None:
        """No more questions, and no process."""
        with self._lock:
            self._ending = True
            self._kill()

    def join(self) -> None:
        """Wait until its process has ended."""
        self._thread.join()

    # --- its thread

    def _work(self) -> None:
        while not self._ending:
            if not self._started():
                question = self.questions.get()
                if question is None:
                    break
                question.close({"refusal": limits.ENDING} if self._ending else {"fault": NOT_STARTED})
                continue
            question = self.questions.get()
            if question is None:
                break
            if not question.given_up.is_set():
                self._ask(question)
            question.close({"refusal": limits.ENDING})
        with self._lock:
            self._kill()
        self._reap()

    def _started(self) -> bool:
        """A process that has loaded everything."""
        if self._process is not None and not self._killed and self._process.poll() is None:
            return True
        self._reap()
        with self._lock:
            if self._ending:
                return False
            self._process, self._killed = _process(self.seconds, self.memory), False
        answer, _ = self._line(START)
        return answer == READY

    def _ask(self, question: Question) -> None:
        with self._lock:
            self._current = question
        try:
            answer, slow = self._asked(question)
        finally:
            with self._lock:
                self._current = None
        if answer is None:
            self._reap()
        if answer is not None:
            question.close(answer)
        elif self._ending or question.given_up.is_set():
            question.close({"refusal": limits.ENDING})
        else:
            words = limits.too_slow(question.task, self.seconds) if slow else limits.ended(question.task)
            question.close({"refusal": words})

    def _asked(self, question: Question) -> tuple[Any, bool]:
        process = self._process
        assert process is not None and process.stdin is not None
        with suppress(OSError):  # it has ended: there will be no line
            process.stdin.write(json.dumps({"task": question.task, "fields": question.fields}) + "\n")
            process.stdin.flush()
        return self._line(self.seconds)

    def _line(self, seconds: float) -> tuple[Any, bool]:
        """What the process says next, None if it has ended; and whether it was ended because it took too long."""
        process, slow = self._process, Event()
        assert process is not None and process.stdout is not None

        def expire() -> None:
            slow.set()
            with self._lock:
                if self._process is process:
                    self._kill()

        timer = Timer(seconds, expire)
        timer.daemon = True
        timer.start()
        try:
            line = process.stdout.readline()
        finally:
            timer.cancel()
        return (json.loads(line) if line.endswith("\n") else None), slow.is_set()

    # --- its process

    def _kill(self) -> None:
        """With the lock held. What is killed is not asked again, even while it is still there."""
        if self._process is not None:
            self._killed = True
            self._process.kill()

    def _reap(self) -> None:
        if self._process is not None:
            self._process.kill()
            for pipe in (self._process.stdin, self._process.stdout):
                if pipe is not None:
                    _close(pipe)
            self._process.wait()
            self._process = None


class Pool:
    """Workers, and a queue that is not longer than it may be.

    Args:
        workers: how many.
        waiting: questions that may wait.
        seconds: of wall time for an answer.
        memory: bytes of address space of a worker.
    """

    def __init__(
        self,
        *,
        workers: int = limits.WORKERS,
        waiting: int = limits.WAITING,
        seconds: float = limits.SECONDS,
        memory: int = limits.MEMORY,
    ):
        self._questions: Queue[Question | None] = Queue()
        self.asked, self._lock, self._ending, self._ended = 0, Lock(), False, False
        self._workers = [Worker(self._questions, seconds, memory) for _ in range(workers)]
        self._most = workers + waiting

    def ask(self, question: Question, gone: Callable[[], bool] = lambda: False) -> dict[str, str]:
        """The answer.

        Args:
            question: what is asked.
            gone: whether whoever asks has gone; looked at from time to time.

        Raises:
            Busy: there is no room for it.
        """
        with self._lock:
            if self.asked >= self._most:
                raise Busy
            self.asked += 1
        try:
            if self._ending:
                return {"refusal": limits.ENDING}
            self._questions.put(question)
            while not question.done.wait(0.1):
                if self._ended:
                    return {"refusal": limits.ENDING}
                if gone():
                    question.given_up.set()
                    for worker in self._workers:
                        worker.abandon(question)
                    return {"refusal": limits.ENDING}
            return question.answer
        finally:
            with self._lock:
                self.asked -= 1

    def close(self) -> None:
        """End every worker, and wait until none is left."""
        self._ending = True
        for worker in self._workers:
            worker.end()
        for _ in self._workers:
            self._questions.put(None)
        for worker in self._workers:
            worker.join()
        while True:
            try:
                question = self._questions.get_nowait()
            except Empty:
                self._ended = True
                return
            if question is not None:
                question.close({"refusal": limits.ENDING})


def _process(seconds: float, memory: int) -> "subprocess.Popen[str]":
    """A worker in a session of its own, which an interruption from the keyboard does not reach; modules of the directory that the
    server runs in are none of its own."""
    paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {**dict.fromkeys(ONE_THREAD, "1"), **os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    command = [sys.executable, "-P", "-m", "symbolic_sgd.serve.worker", str(seconds), str(memory)]
    return subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        encoding="ascii",
        env=environment,
        start_new_session=True,
    )


def _close(pipe: Any) -> None:
    with suppress(OSError):  # what was not written any more
        pipe.close()
