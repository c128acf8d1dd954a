"""What a fresh process waits for: `import symbolic_sgd`, the command's help, and a first derivation, beside `import sympy`.

    python benchmarks/imports.py

Medians of 9 processes each, in turns, so that all of them meet the same machine.
"""

import statistics
import subprocess
import sys
import time

REPEATS = 9

HYPERBOLA = """
import sympy as sp
from symbolic_sgd import LabelNoise, Problem, derive_limiting_sde
u, v = sp.symbols("u v")
sde = derive_limiting_sde(Problem.least_squares([u*v - 1], parameters=(u, v), noise=LabelNoise(1)))
"""

COMMANDS = {
    "import sympy": ["-c", "import sympy"],
    "import symbolic_sgd": ["-c", "import symbolic_sgd"],
    "symbolic-sgd --help": ["-m", "symbolic_sgd", "--help"],
    "importing and deriving the hyperbola": ["-c", HYPERBOLA],
    "the same, printed and evaluated": ["-c", HYPERBOLA + "str(sde); sde.lambdify().drift([2, 0.5])"],
    "from symbolic_sgd import *": ["-c", "from symbolic_sgd import *"],
}


def seconds(arguments: list[str]) -> float:
    """What one fresh process takes."""
    begin = time.perf_counter()
    subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - begin


def main() -> None:
    """Print medians, and ratios to the first row."""
    taken: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for _ in range(REPEATS):
        for name, arguments in COMMANDS.items():
            taken[name].append(seconds(arguments))
    medians = {name: statistics.median(times) for name, times in taken.items()}
    base = medians["import sympy"]
    for name, median in medians.items():
        print(f"{name:40} {median:6.3f} s  {median / base:5.2f} ×")


if __name__ == "__main__":
    main()
