"""What a question to the page may take, and the words for what takes more. The command line has none of these limits."""

SECONDS = 20.0
"""Of wall time, for one answer."""

SEARCH = 8.0
"""Of processor time, for the search for R, which is a part of it."""

MEMORY = 2 << 30
"""Bytes of address space of a worker."""

WORKERS = 2
WAITING = 16
"""Questions that wait for a worker."""

CONNECTIONS = 64
"""That are open at the same time."""

BODY = 1 << 20
"""Bytes of a question."""

ANSWER = 8 << 20
"""Characters of an answer: what is longer is for a file."""

IDLE = 10.0
"""Seconds after which a connection is closed over which nothing comes."""


def without_limit(task: str) -> str:
    """What to do where a limit of the page is met.

    >>> without_limit("check")
    'save the problem file as problem.toml and run `symbolic-sgd verify problem.toml`, which has no limit'
    """
    command = "verify" if task == "check" else "derive"
    option = {"latex": " --latex problem.tex"}.get(task, "")
    return f"save the problem file as problem.toml and run `symbolic-sgd {command} problem.toml{option}`, which has no limit"


def too_slow(task: str, seconds: float) -> str:
    """A question that takes too long."""
    return f"this takes more than the {seconds:g} seconds that the page has for an answer: {without_limit(task)}"


def ended(task: str) -> str:
    """A question whose process did not end by itself."""
    return f"the process at work was ended by the system, most likely for want of memory: {without_limit(task)}"


def too_large(task: str) -> str:
    """A question that takes too much memory."""
    return (
        f"this takes more than the {MEMORY >> 30} GiB of memory that the page has for an answer: {without_limit(task)}"
    )


def too_long(task: str) -> str:
    """An answer that is no page."""
    return f"the answer is longer than a page can show: {without_limit(task)}"


BUSY = "all workers are busy, and as many questions as may wait are waiting: try again in a few seconds"
ENDING = "the server is ending: start it again with `symbolic-sgd serve`"
