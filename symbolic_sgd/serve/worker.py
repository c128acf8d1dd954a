"""A worker: a process of its own that reads questions, a line each, and writes answers, until its input ends.

Both are JSON. `python -m symbolic_sgd.serve.worker SECONDS MEMORY`.
"""

import json
import os
import signal
import sys
import traceback
import warnings
from typing import Any, TextIO

from symbolic_sgd.serve import limits
from symbolic_sgd.serve.answers import Answers

try:
    import resource
except ImportError:  # there is none on Windows
    resource = None

READY = "ready"
"""What it says first, when everything has been loaded."""

GRACE = 5.0
"""Seconds after its time is up at which a worker is ended by the system, if whoever has started it has not done so."""


def main() -> None:
    """Answer every question."""
    seconds, memory = float(sys.argv[1]), int(sys.argv[2])
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # an interruption is for the server, which ends its workers
    warnings.simplefilter("ignore")
    limit_memory(memory)
    answers = Answers(seconds)
    output, sys.stdout = sys.stdout, sys.stderr  # whatever may be printed is no answer
    _write(output, READY)
    for line in sys.stdin:
        _limit_time(seconds + GRACE)
        question = json.loads(line)
        _write(output, _answered(answers, question))
        _limit_time(0)


def limit_memory(size: int) -> None:
    """No more than so many bytes of address space, where a system can limit it; and no image of the memory if it is ended."""
    if resource is None:
        return
    for kind, most in ((resource.RLIMIT_AS, size), (resource.RLIMIT_CORE, 0)):
        _, hard = resource.getrlimit(kind)
        bound = most if hard == resource.RLIM_INFINITY else min(most, hard)
        try:
            resource.setrlimit(kind, (bound, bound))
        except (OSError, ValueError):  # a system that knows the limit and does not set it
            continue


def _answered(answers: Answers, question: dict[str, Any]) -> dict[str, str]:
    try:
        answer = answers.answer(question["task"], question["fields"])
    except Exception:
        return {"fault": traceback.format_exc()}
    if max(map(len, answer.values())) > limits.ANSWER:
        return {"refusal": limits.too_long(question["task"])}
    return answer


def _limit_time(seconds: float) -> None:
    if hasattr(signal, "setitimer"):
        signal.setitimer(signal.ITIMER_REAL, seconds)


def _write(output: TextIO, value: Any) -> None:
    try:
        output.write(json.dumps(value) + "\n")
        output.flush()
    except BrokenPipeError:
        os._exit(0)  # nobody reads any more


if __name__ == "__main__":
    main()
