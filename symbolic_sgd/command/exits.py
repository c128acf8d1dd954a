"""Exit codes. A fault is the toolkit's own, and says nothing of the problem."""

DONE, CHECK_FAILED, BAD_INPUT, FAULT, INTERRUPTED = 0, 1, 2, 3, 130
