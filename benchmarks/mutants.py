"""Who rejects which wrong formula, and how often the random checks reject the right one.

    python benchmarks/mutants.py [--reruns 200]

First a table mutant × method on two problems; a mutant counts as killed by a method if a check of it failed. Then slips
outside the formulas (regularizers, guards, simulators, schemes), each on a problem of its own, by the methods without
chance. Then the false alarms: the random method alone on right formulas, with new seeds, beside its stated α.
"""

import argparse
import sys
import time
from pathlib import Path

import numpy as np
from scipy.stats import beta

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests" / "helpers"))

from mutants import MUTANTS, mutant, two_equations  # noqa: E402
from slips import SLIPS, derived  # noqa: E402

from symbolic_sgd import FULL, derive_limiting_sde  # noqa: E402
from symbolic_sgd.checks.ensembles import Ensembles  # noqa: E402
from symbolic_sgd.checks.methods import POINTS  # noqa: E402
from symbolic_sgd.checks.witness import Witness  # noqa: E402
from symbolic_sgd.errors import Undecided  # noqa: E402
from symbolic_sgd.problems.problem_file import read_problem  # noqa: E402

RERUN = ("hyperbola_label.toml", "hyperbola_isotropic.toml")


def verdicts(sde, methods, claimed, ensembles=None, seen=None) -> dict[str, str]:
    """× where a check of the method failed, ? where one is undecided, · where all hold, and nothing where it was not run."""
    witness = Witness.of(sde.derivation, np.random.default_rng(0), POINTS, claimed)
    found = {}
    for method in methods:
        rng, random = np.random.default_rng(1), isinstance(method, Ensembles)
        checks = ensembles.judge(sde.derivation, seen, rng) if random else method(witness, rng)
        outcomes = {check.verdict for check in checks}
        shown = "×" if "failed" in outcomes else "?" if "undecided" in outcomes else "·"
        found[type(method).__name__] = "" if outcomes == {"not run"} else shown
    return found


def searched(sde):
    """The claim of a regularizer, searched for once."""
    try:
        evidence = sde.regularizer_evidence
    except Undecided as reason:
        failure = reason

        def undecided():
            raise failure

        return undecided
    return lambda: evidence


def table(title, problem, replicas) -> None:
    sde, ensembles = derive_limiting_sde(problem), Ensembles(replicas=replicas)
    witness = Witness.of(sde.derivation, np.random.default_rng(0), POINTS)
    seen = ensembles.observe(witness, witness.points[0], np.random.default_rng(2))
    kinds, claimed = [type(method).__name__ for method in FULL], searched(sde)
    print(f"\n{title}\n{'mutant':<46}" + "  ".join(kinds))
    exact = whole = 0
    for name in ("", *MUTANTS):
        found = verdicts(mutant(sde, name) if name else sde, FULL, claimed, ensembles, seen)
        cells = "  ".join(found[kind].center(len(kind)) for kind in kinds)
        print(f"{name or '(none: the right formulas)':<46}{cells}", flush=True)
        if name:
            whole += "×" in found.values()
            exact += any(found[kind] == "×" for kind in kinds if kind != "Ensembles")
    count = len(MUTANTS)
    print(
        f"killed without randomness: {exact} of {count} ({exact / count:.0%}); "
        f"by all together: {whole} of {count} ({whole / count:.0%})"
    )


def slips() -> None:
    methods = [method for method in FULL if not isinstance(method, Ensembles)]
    kinds = [type(method).__name__ for method in methods]
    print(f"\nslips outside the formulas; [×] is the method that has to see it\n{'':<46}" + "  ".join(kinds))
    killed = quiet = 0
    for name, slip in SLIPS.items():
        right = derived(slip)
        alarms = "×" in verdicts(right, methods, searched(right)).values()
        with slip.wrong(right) as wrong:
            found = verdicts(wrong, methods, lambda wrong=wrong: wrong.regularizer_evidence)
        marked = found | {slip.method: f"[{found[slip.method]}]"}
        print(f"{name:<46}" + "  ".join(marked[kind].center(len(kind)) for kind in kinds), flush=True)
        killed, quiet = killed + ("×" in found.values()), quiet + (not alarms)
    print(f"killed: {killed} of {len(SLIPS)}; the right package passes on {quiet} of these {len(SLIPS)} problems")


def false_alarms(reruns: int, replicas: int) -> None:
    print(f"\nfalse alarms of right formulas, {reruns} reruns with new seeds, {replicas} replicas")
    for file in RERUN:
        sde = derive_limiting_sde(read_problem(ROOT / "derivations" / file))
        for alpha in (0.05, 1e-3):
            alarms, begun = 0, time.perf_counter()
            for seed in range(reruns):
                method = Ensembles(alpha=alpha, replicas=replicas)
                witness = Witness.of(sde.derivation, np.random.default_rng(seed), 1)
                checks = method(witness, np.random.default_rng([seed, 7]))
                alarms += any(check.verdict != "consistent" for check in checks)
            low, high = beta.ppf(
                [0.025, 0.975], [alarms or 1e-9, alarms + 1], [reruns - alarms + 1, reruns - alarms or 1e-9]
            )
            print(
                f"{file:<28} α = {alpha:<6g} alarms {alarms}/{reruns} = {alarms / reruns:.3f} "
                f"(95 %: {low:.3f} … {high:.3f}), {time.perf_counter() - begun:.0f} s",
                flush=True,
            )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--reruns", type=int, default=200)
    parser.add_argument("--replicas", type=int, default=2**14)
    options = parser.parse_args()
    table("quadric uv + w² = 1, dense noise (M = 1)", read_problem(ROOT / "derivations" / "quadric_dense.toml"), 2**15)
    table("two equations in R³, dense noise (M = 2)", two_equations(), 2**15)
    slips()
    false_alarms(options.reruns, options.replicas)
