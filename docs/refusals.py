"""Writes docs/refusals.md: each error, a question that is refused by it, what is said, and what to change: `python docs/refusals.py`.

A further error is a further row of `CASES`. The messages are those of the errors that the questions raise, and the meaning of each
error is its docstring; the tree is that of the classes.
"""

import contextlib
import re
import warnings
from dataclasses import dataclass
from inspect import cleandoc
from pathlib import Path
from tempfile import TemporaryDirectory
from textwrap import indent
from typing import Any

from symbolic_sgd import errors
from symbolic_sgd.errors import SymbolicSGDError
from symbolic_sgd.simulate.stability import StabilityWarning

PAGE = Path(__file__).with_suffix(".md")

PRELUDE = """
import sympy as sp
from symbolic_sgd import *
from symbolic_sgd.problems.problem_file import problem_from_text

u, v, w = sp.symbols("u v w")
hyperbola = (u*v - 1)**2/2


def labels(*residuals, noise=LabelNoise(1), **further):
    return Problem.least_squares(
        residuals, parameters=(u, v), noise=noise, **further
    )


def loss(expression, noise=IsotropicNoise(1), **further):
    return Problem(
        loss=expression, parameters=(u, v), noise=noise, **further
    )


def refused(question):
    try:
        question()
    except (SymbolicSGDError, StabilityWarning) as error:
        return type(error).__name__
"""
"""What every question is asked with."""


@dataclass(frozen=True)
class Case:
    """One error.

    Args:
        question: an expression, or the body of a function where it has several lines, that is refused by it.
        change: what helps.
        before: lines that make what the question is about.
    """

    question: str
    change: str
    before: str = ""


CASES = {
    # --- what is stated
    "BadInput": Case(
        "labels(u*v - 1, noise=LabelNoise(1, batch_size=2))",
        "Give what the message asks for. Label noise wants `Problem.least_squares`, a family one amplitude, an optimizer numbers that "
        "make sense together.",
    ),
    "BadSymbol": Case(
        "labels(u*v*w - 1)",
        "Name every symbol in `parameters=` (it is trained) or in `constants=` (it stays a symbol), make them by one call of "
        "`sp.symbols`, and leave out `complex=True` and the like.",
    ),
    "InexactNumber": Case(
        "labels(u*v - 0.1)",
        "Write `sp.Rational(1, 10)`, or say by `exact(0.1)` that the rational is meant which the float prints as; `exact` takes lists, "
        "arrays and expressions too.",
    ),
    "UnsupportedExpression": Case(
        "labels(sp.gamma(u)*v - 1)",
        "Write the loss by the functions that the message lists ([what each is](problem_file.md#functions)).",
    ),
    "BadShape": Case("loss(hyperbola, noise=sp.eye(3))", "Give σ a row for each parameter, in their order."),
    "ExpressionSyntaxError": Case(
        "problem_from_text(wrong_power)",
        "Write [what a file may hold](problem_file.md#expressions): powers are `**`, products `*`, and no code is read.",
        """
wrong_power = '''
parameters = ["u", "v"]
residuals = ["u^2*v - 1"]
noise = { kind = "label" }
'''
""",
    ),
    "ProblemFileError": Case(
        "problem_from_text(wrong_key)",
        "Use [the keys of the format](problem_file.md#keys); the message names the nearest.",
        """
wrong_key = '''
parameters = ["u", "v"]
residual = ["u*v - 1"]
noise = { kind = "label" }
'''
""",
    ),
    "CoupledCoordinates": Case(
        """
return Family(
    residual=sp.Sum(x[j]*x[j + 1], (j, 1, d)) - y[i],
    sample=(i, 1, n), parameters=(x,), noise=LabelNoise(1),
)
""",
        "State a model that is no sum over coordinates as a `MatrixFamily`, or as a `Problem` of one size.",
        """
i, j = sp.symbols("i j", integer=True)
n, d = sp.symbols("n d", integer=True, positive=True)
x, y = map(sp.IndexedBase, "xy")
""",
    ),
    "ProblemTooLarge": Case(
        "problem_from_text(high_power)",
        "State residuals in place of one long loss; or a `Family` or `MatrixFamily`, whose formulas do not grow with the size. The limits "
        "of files are [listed](problem_file.md#limits).",
        """
high_power = '''
parameters = ["u", "v"]
loss = "(u - v)**100"
noise = { kind = "isotropic" }
'''
""",
    ),
    # --- what the loss turns out to be
    "NoMinimum": Case(
        "derive_limiting_sde(loss(u + v))",
        "Say by `near=` where a minimum is. A loss that only falls, as the logistic loss of separable data, has none.",
    ),
    "IsolatedMinimum": Case(
        "derive_limiting_sde(loss(u**2 + v**2))",
        "There is nothing to derive: SGD stays at the point. More parameters than equations make a manifold.",
    ),
    "SaddlePoint": Case(
        "derive_limiting_sde(loss(u*v))", "Check the sign of the loss, or say by `near=` where it has a minimum."
    ),
    "DegenerateMinimum": Case(
        "derive_limiting_sde(loss((u*v - 1)**4, manifold=[u*v - 1]))",
        "The theorem needs quadratic growth across Γ: take a loss that has it, or say by `near=` and `domain=` which part of Γ is regular.",
    ),
    "ConstantLoss": Case("derive_limiting_sde(loss(sp.Integer(1)))", "State a loss that depends on the parameters."),
    "NotSmooth": Case(
        "derive_limiting_sde(loss(sp.Abs(u*v - 1)))",
        "Take a loss that is smooth at its minimizers (squares, not moduli), or keep by `domain=` to a cell where it is.",
    ),
    "ComplexValue": Case(
        "derive_limiting_sde(loss(sp.sqrt(-1 - u**2 - v**2)))", "Say by `domain=` and `near=` where the loss is real."
    ),
    "RankNotConstant": Case(
        "derive_limiting_sde(sphere_and_line)",
        "Γ has parts of several dimensions: say by `near=` which is meant.",
        """
sphere, line = u**2 + v**2 + w**2 - 1, (v - 2)**2 + (w - 2)**2
sphere_and_line = Problem(
    loss=sphere**2*line, parameters=(u, v, w), noise=IsotropicNoise(1)
)
""",
    ),
    "ManifoldMismatch": Case(
        "derive_limiting_sde(labels(u*v - 1, manifold=[u*v - 2]))",
        "Correct the equations, or leave `manifold=` out: they are found.",
    ),
    "Undecided": Case(
        "by_moments.regularizer",
        "What was asked is neither proved nor excluded: nothing that is only likely is claimed. Ask what the message names, or state "
        "`domain=` or assumptions of constants where a sign is open.",
        """
rmsprop = RMSprop(second_moment_rate=1)
by_moments = derive_limiting_sde(labels(u*v - 1), optimizer=rmsprop)
""",
    ),
    "BudgetSpent": Case(
        "bell.find_regularizer(seconds=1e-9)",
        "Give it more time: `sde.find_regularizer(seconds=…)`, `sde.attractors(seconds=…)`, `chart.find_fixed_points(seconds=…)`, or "
        "`--seconds` of the command.",
        """
sigma = sp.Matrix([sp.atan(u), 1 + u**2])
bell = derive_limiting_sde(loss((v - sp.exp(-u**2))**2/2, noise=sigma))
""",
    ),
    "NoRegularizerFormula": Case(
        "bell.regularizer",
        "Take its numbers: `sde.regularizer_along(point, length=…)`. `bell` is the SDE of the question before.",
    ),
    # --- formulas and numbers
    "ExpressionTooLarge": Case(
        "large.drift",
        "Read `sde.structure`, the formulas in vectors; take numbers by `sde.lambdify()`, or the straight-line program `sde.program`.",
        """
U, V = (sp.Matrix(6, 6, sp.symbols(f"{name}:36")) for name in "pq")
large = derive_limiting_sde(Problem.least_squares(
    list(U*V.T - sp.eye(6)), parameters=(*U, *V), noise=LabelNoise(1)
))
""",
    ),
    "NoClosedForm": Case(
        "numeric.jacobian",
        "Take the numbers: `phi(x)`, `phi.jacobian_at(x)`, `phi.second_derivative_at(x, B)` are always there.",
        "numeric = gradient_flow_limit(labels(u*v + sp.sin(u + v) - 1))",
    ),
    "BadPoint": Case(
        "f.drift([1.0, 1.0, 1.0])",
        "Give points (…, D), finite, with one entry for each parameter in their order.",
        "f = derive_limiting_sde(labels(u*v - 1)).lambdify()",
    ),
    "OffManifold": Case(
        "f.drift([1.0, 2.0])",
        "Bring the point onto Γ by `gradient_flow_limit(problem)(x)`, or leave the check out by `lambdify(check=False)`.",
    ),
    "Unstable": Case(
        "derive_limiting_sde(labels(u*v - 1), optimizer=SAM(learning_rate=2))",
        "Take a smaller learning rate (Γ attracts up to an edge that depends on the curvature), or name a flatter part of Γ by `near=`.",
    ),
    "SingularPoint": Case(
        "singular.lambdify().diffusion([0.0, 0.0])",
        "Stay where the loss and the noise are smooth, and where `sde.valid_where` holds.",
        """
sigma = sp.Matrix([1/u, 1])
singular = derive_limiting_sde(loss(v**2*(1 + u**2)/2, noise=sigma))
""",
    ),
    "Diverged": Case(
        """
return simulate_sgd(
    labels(u*v - 1), [1, 1], learning_rate=2, steps=100, replicas=10, rng=0
)
""",
        "Take a smaller learning rate or step, or start nearer to Γ.",
        """
import warnings

warnings.simplefilter("ignore", StabilityWarning)   # see below
""",
    ),
    "BadCheckpoint": Case(
        """
return simulate_sgd(
    labels(u*v - 1), [1, 1], learning_rate=0.1, steps=10, replicas=10,
    rng=0, checkpoint="run.npz",
)
""",
        "Give the run a file of its own, or remove the old one.",
        """
from pathlib import Path

Path("run.npz").write_bytes(b"something else")
""",
    ),
    "BadCertificate": Case(
        "recheck('{\"format\": 0}')",
        "Write it anew: `verify(sde).to_json()`, or `symbolic-sgd verify FILE.toml --certificate F`.",
    ),
    "FlowDidNotConverge": Case(
        "phi([0.5, -0.5])",
        "Start where the flow reaches Γ, not on what leads into a saddle.",
        "phi = gradient_flow_limit(labels(u*v - 1))",
    ),
    "MissingExtra": Case(
        """
with patch.dict(sys.modules, torch=None):       # as if it were absent
    sys.modules.pop("symbolic_sgd.numeric.backends.torch_functions", None)
    return symbolic_sgd.Torch
""",
        "Install the extra that the message names, or take another back end.",
        """
import sys
from unittest.mock import patch

import symbolic_sgd
""",
    ),
    # --- charts and charges
    "NotDeterministic": Case(
        "noisy.in_chart().fixed_points",
        "Ask for `chart.stationary_density`, or take noise that leaves none along Γ, as that of labels.",
        "noisy = derive_limiting_sde(loss(hyperbola))",
    ),
    "NoStationaryDensity": Case(
        "noisy.in_chart().stationary_density",
        "There is none; `chart.scale_function` and `chart.speed_measure` say what the process does instead.",
    ),
    "NoCharges": Case(
        "sharp.charges",
        "Ask them of an optimizer whose noiseless iteration is known to conserve something: the message lists them.",
        "sharp = derive_limiting_sde(labels(u*v - 1), optimizer=SAM())",
    ),
    "StabilityWarning": Case(
        """
return simulate_sgd(
    labels(u*v - 1), [1, 1], learning_rate=1.2, steps=1, replicas=1, rng=0
)
""",
        "Take a learning rate below the bound that the message names. It is a warning, and the run goes on; here it is made an error.",
        'warnings.simplefilter("error", StabilityWarning)',
    ),
}
"""Error → the question; those that are never raised themselves are `ROOTS`."""

ROOTS = {
    "SymbolicSGDError": "`except SymbolicSGDError` catches every refusal; it is a `ValueError`. An error of another kind is a fault of "
    "the toolkit: please report it.",
    "NoManifold": "`except NoManifold` catches all that a loss, or an optimizer on it, can lack.",
}

HEAD = """# Refusals

Where a question cannot be answered rightly it is refused, with what is wrong, where, and what to change. This page has a question for
each kind of error, what is said, and what helps. `e.__class__.__mro__` is the tree; seconds of processor time are left out below.
[A clinic of refusals](notebooks/refusals.ipynb) takes eight of them, and mends each.
All questions begin so:"""


# --- what is said -------------------------------------------------------------------------------


def asked() -> dict[str, tuple[str, str]]:
    """Case → the name of the error that its question raises, and its message; "" where it is answered."""
    names: dict[str, Any] = {}
    found = {}
    with TemporaryDirectory() as place, contextlib.chdir(place), warnings.catch_warnings():
        exec(PRELUDE, names)
        for name, case in CASES.items():
            exec(f"{case.before}\n{asking(case.question)}", names)
            found[name] = _answer(names["question"])
    return found


def _answer(question: Any) -> tuple[str, str]:
    try:
        question()
    except (SymbolicSGDError, StabilityWarning) as error:
        return type(error).__name__, re.sub(
            r"[\d.e-]+ s of processor time were", "… s of processor time were", str(error)
        )
    return "", ""


def asking(question: str) -> str:
    """The definition of the question."""
    if question.startswith("\n"):
        return "def question():\n" + indent(question.strip("\n"), "    ") + "\n"
    return f"question = lambda: {question}"


# --- the page -----------------------------------------------------------------------------------


def meaning(name: str) -> str:
    return plain(cleandoc(_class(name).__doc__ or "").split("\n\n")[0])


def _class(name: str) -> type[Exception]:
    return StabilityWarning if name == "StabilityWarning" else getattr(errors, name)


def plain(message: str) -> str:
    """A message as text: what Markdown would read as its own is escaped, but in what stands between backticks."""
    parts = message.split("`")
    texts = [part if k % 2 else re.sub(r"([\\*_\[\]<>$|#{}~])", r"\\\1", part) for k, part in enumerate(parts)]
    return "`".join(texts)


def section(name: str, said: str) -> str:
    case = CASES[name]
    lines = "\n\n".join(part for part in (case.before.strip("\n"), asking(case.question).strip("\n")) if part)
    gap = "\n\n" if "def question" in lines else "\n"
    shown = f"```python\n{lines}{gap}print(refused(question))        # {name}\n```"
    above = ", ".join(f"`{c.__name__}`" for c in _class(name).__mro__[1:-1] if c.__module__ == errors.__name__)
    under = f" (Under {above}.)" if above not in ("", "`SymbolicSGDError`") else ""
    return "\n\n".join(
        [f"## {name}", f"{meaning(name)}{under}", shown, f"> {plain(said)}", f"**What to change.** {case.change}"]
    )


def page() -> str:
    """All of it."""
    said = asked()
    roots = [f"## {name}\n\n{meaning(name)}\n\n{words}" for name, words in ROOTS.items()]
    return "\n\n".join(
        [HEAD, f"```python{PRELUDE}```", *roots, *(section(name, message) for name, (_, message) in said.items())]
    )


if __name__ == "__main__":
    PAGE.write_text(page() + "\n", encoding="utf-8")
