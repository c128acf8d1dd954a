"""Exact arithmetic by Python's own integers in every test, whatever is installed."""

import os

os.environ.setdefault("SYMPY_GROUND_TYPES", "python")
