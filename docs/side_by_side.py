"""Writes docs/side_by_side.md and draws docs/side_by_side.svg: one loss under many optimizers, `python docs/side_by_side.py`.

A further optimizer is a further row of `ROWS`. Every formula is that of the derived SDE, in the coordinate u of Γ.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import sympy as sp
from scipy.optimize import brentq

from symbolic_sgd import (
    SAM,
    SGD,
    Adam,
    ColouredNoise,
    HeavyBall,
    LabelNoise,
    LocalSGD,
    MirrorDescent,
    Nesterov,
    NormalizedGD,
    Preconditioned,
    Problem,
    RandomReshuffling,
    RMSprop,
    RootLoss,
    Shampoo,
    derive_limiting_sde,
    simulate_sde,
)
from symbolic_sgd.api.limiting_sde import LimitingSDE
from symbolic_sgd.errors import NoRegularizerFormula
from symbolic_sgd.optimizers.optimizer import Optimizer
from symbolic_sgd.printing.displays import expression_latex

PAGE = Path(__file__).with_suffix(".md")
PICTURE = Path(__file__).with_suffix(".svg")

u, v, w = sp.symbols("u v w", positive=True)
eta = sp.Symbol("eta", positive=True)
HALF = sp.Rational(1, 2)

RATE = 0.25
"""η of the paths."""

MOMENTS = 0.5
"""Where second moments begin."""

LEAST = 0.8
"""The smallest u at which a path may rest."""


def reshuffled(problem: Problem) -> Problem:
    """Two samples for each residual, with its label moved by ±1 once and for all, as deviations whose sum is zero."""
    slopes = [[sp.diff(r, x) for x in problem.parameters] for r in problem.residuals]
    columns = [sign * sp.Matrix(slope) / sp.sqrt(2 * len(slopes)) for slope in slopes for sign in (1, -1)]
    return Problem(loss=problem.loss, parameters=problem.parameters, noise=sp.Matrix.hstack(*columns))


def perturbed(problem: Problem, noisy: Callable[[sp.Symbol, sp.Symbol], sp.Expr], variance: sp.Expr) -> Problem:
    """The loss at parameters that every step perturbs: x becomes noisy(x, ξ)."""
    noise = sp.symbols(f"xi1:{problem.dimension + 1}")
    moved = {x: noisy(x, a) for x, a in zip(problem.parameters, noise, strict=True)}
    return Problem.perturbed(problem.loss.xreplace(moved), problem.parameters, noise, variance * sp.eye(len(noise)))


@dataclass(frozen=True)
class Row:
    """One optimizer.

    Args:
        label: what the row is called, in Markdown.
        name: what its path is called.
        of: the optimizer, for a problem.
        stated: the problem as it is stated to it, for one with label noise.
    """

    label: str
    name: str
    of: Callable[[Problem], Optimizer]
    stated: Callable[[Problem], Problem] = lambda problem: problem


ROWS = (
    Row("`SGD()`", "SGD, η → 0", lambda p: SGD()),
    Row("`SGD(η)`", "SGD", lambda p: SGD(learning_rate=eta)),
    Row("`HeavyBall(½, η)`", "heavy ball, β = ½", lambda p: HeavyBall(momentum=HALF, learning_rate=eta)),
    Row("`Nesterov(½, η)`", "Nesterov, β = ½", lambda p: Nesterov(momentum=HALF, learning_rate=eta)),
    Row("`LocalSGD(2, 2, η)`", "Local SGD, K = n = 2", lambda p: LocalSGD(workers=2, steps=2, learning_rate=eta)),
    Row("`LocalSGD(2, round_time=1)`", "Local SGD, K = 2, ηn = 1", lambda p: LocalSGD(workers=2, round_time=1)),
    Row("`ColouredNoise(½, η)`", "coloured noise, r = ½", lambda p: ColouredNoise(correlation=HALF, learning_rate=eta)),
    Row("`RandomReshuffling(η)`", "random reshuffling", lambda p: RandomReshuffling(learning_rate=eta), reshuffled),
    Row(
        "`Preconditioned(diag(2, 1, …))`",
        "preconditioned, S = diag(2, 1, …)",
        lambda p: Preconditioned(sp.diag(2, *[1] * (p.dimension - 1))),
    ),
    Row(
        "`MirrorDescent(Σ x ln x − x)`",
        "mirror descent, entropy",
        lambda p: MirrorDescent(sp.Add(*[x * sp.log(x) - x for x in p.parameters])),
    ),
    Row("`RMSprop(1)`", "RMSprop, c = 1", lambda p: RMSprop(second_moment_rate=1)),
    Row("`Adam(9/10, 8)`", "Adam, c = 8", lambda p: Adam(beta1=sp.Rational(9, 10), second_moment_rate=8)),
    Row(
        "`Shampoo([u v …], 1, sides=1)`",
        "Shampoo, a row, c = 1",
        lambda p: Shampoo(sp.Matrix([p.parameters]), second_moment_rate=1, sides=1),
    ),
    Row("`SAM()`", "SAM, η → 0", lambda p: SAM()),
    Row("`SAM(η)`", "SAM", lambda p: SAM(learning_rate=eta)),
    Row("`NormalizedGD()`", "normalised GD", lambda p: NormalizedGD()),
    Row("`RootLoss()`", "GD on √L", lambda p: RootLoss()),
    Row(
        "`SGD(η)`, noise on the weights",
        "noise on the weights",
        lambda p: SGD(learning_rate=eta),
        lambda p: perturbed(p, lambda x, a: x + a, sp.S.One),
    ),
    Row(
        "`SGD(η)`, DropConnect at the rate ⅕",
        "DropConnect, p = ⅕",
        lambda p: SGD(learning_rate=eta),
        lambda p: perturbed(p, lambda x, a: x * (1 + a), sp.Rational(1, 4)),
    ),
)
"""A further row is a further optimizer of the tables and of the picture."""


@dataclass(frozen=True)
class Model:
    """A loss whose Γ is the curve of all u > 0.

    Args:
        title: of its section.
        problem: the loss.
        words: what is said of it.
        start: u at t = 0.
        time: how long paths are.
    """

    title: str
    problem: Problem
    words: str
    start: float
    time: float

    @cached_property
    def lines(self) -> tuple["Line", ...]:
        """A line for every row."""
        stated = [row.stated(self.problem) for row in ROWS]
        return tuple(
            Line(row, self, derive_limiting_sde(problem, optimizer=row.of(problem)))
            for row, problem in zip(ROWS, stated, strict=True)
        )

    @cached_property
    def embedding(self) -> dict[sp.Symbol, sp.Expr]:
        """The parameters on Γ, in u."""
        (first, *_) = self.lines
        return dict(zip(self.problem.parameters, first.sde.in_chart(u).embedding, strict=True))


@dataclass(frozen=True)
class Line:
    """A row for a model."""

    row: Row
    model: Model
    sde: LimitingSDE

    @property
    def moments(self) -> tuple[sp.Symbol, ...]:
        """Slow variables beside the parameters."""
        return self.sde.slow_variables[self.model.problem.dimension :]

    @cached_property
    def drift(self) -> sp.Expr:
        """du/dt along Γ: the shortest of a few ways to write it."""
        ambient = self.sde.drift[0].xreplace(self.model.embedding)
        charted = self.sde.in_chart((u, *self.moments)).drift[0]
        written = (charted, ambient, sp.factor(ambient), sp.factor(charted), sp.factor(sp.simplify(ambient)))
        return min(map(sp.factor_terms, written), key=sp.count_ops)

    @cached_property
    def second_moments(self) -> tuple[sp.Expr, ...]:
        """dv/dt."""
        return tuple(
            sp.simplify(entry.xreplace(self.model.embedding))
            for entry in self.sde.drift[self.model.problem.dimension :, 0]
        )

    @cached_property
    def potential(self) -> sp.Expr | None:
        """R on Γ where all of the drift descends one, and E of slow second moments; None where the step bends the noise besides."""
        if self.moments:
            return self.sde.joint_potential.xreplace(self.model.embedding)
        if isinstance(self.sde.optimizer, MirrorDescent):
            return None
        try:
            found = self.sde.regularizer.xreplace(self.model.embedding)
        except NoRegularizerFormula:
            found = self.sde.in_chart(u).regularizer.replace(sp.Abs, self._signed)
        return sp.simplify(found)

    def _signed(self, entry: sp.Expr) -> sp.Expr:
        """|entry| where it has the sign that it has at the start: it is 0 at the edge of stability only."""
        return entry if entry.subs({u: self.model.start, eta: RATE}) > 0 else -entry

    @cached_property
    def rest(self) -> float:
        """Where u rests at η = `RATE`, second moments at rest."""
        settled = {s: sp.solve(entry, s)[0] for s, entry in zip(self.moments, self.second_moments, strict=True)}
        return float(
            brentq(sp.lambdify(u, self.drift.subs(settled).subs(eta, RATE)), LEAST, self.model.start, xtol=1e-12)
        )

    def path(self, cells: int = 200) -> tuple[np.ndarray, np.ndarray]:
        """t and u along the path from the model's start."""
        values = {s.name: RATE for s in self.sde.problem.constants}
        on_manifold = [float(e.subs(u, self.model.start)) for e in self.model.embedding.values()]
        begin = [*on_manifold, *[MOMENTS] * len(self.moments)]
        time = self.model.time
        run = simulate_sde(self.sde, begin, time=time, step=time / cells, replicas=1, records=cells, **values)
        return run.times, run.mean[:, 0]


MODELS = (
    Model(
        "The hyperbola",
        Problem.least_squares([u * v - 1], parameters=(u, v), noise=LabelNoise(1)),
        r"$L = \frac12(uv-1)^2$ with labels $\pm1$: $D = 2$, $M = 1$, and on $\Gamma$ $v = 1/u$, $\lambda = u^2 + u^{-2}$.",
        start=2.0,
        time=2.0,
    ),
    Model(
        "One hidden unit, two outputs",
        Problem.least_squares([u * v - 1, u * w - 2], parameters=(u, v, w), noise=LabelNoise(1, batch_size=2)),
        r"$L = \frac14(uv-1)^2 + \frac14(uw-2)^2$, the full gradient with labels $\pm1$: $D = 3$, $M = 2$, and on $\Gamma$ $v = 1/u$, "
        r"$w = 2/u$, $\lambda_1 = \frac12(u^2 + 5u^{-2})$, $\lambda_2 = \frac12u^2$.",
        start=3.0,
        time=5.0,
    ),
)

HEAD = r"""# One loss, many optimizers

What label noise, or the method itself, makes of the same minimizers, optimizer by optimizer. $\dot u$ is the motion along $\Gamma$ in its
coordinate $u$, per unit of the $t$ of each method; nothing is random in these limits. $R$ is what it descends: $\dot u = -R'(u)/g(u)$ with
the metric $g = \lVert x'(u)\rVert^2$ of $\Gamma$ ($g = \langle x', S^{-1}x'\rangle$ with a preconditioner $S$). For slow second moments $E$
is the joint potential of $(x, v)$, or of $(x, L)$: to Shampoo the parameters are one row, which shares one second moment. A dash stands
where the drift is more than regularization: mirror descent bends the noise.
The last column is where $\dot u = 0$, with $\eta = \frac14$ where the learning rate stays. `NonlinearUpdate` has no row: a step
along $\psi(\nabla f)$ is not across $\Gamma$ where $\psi$ is not linear, so that its limit is random in general.

All formulas are printed from the derived equations by `python docs/side_by_side.py`, and compared with them by the tests.
[Any optimizer](optimizers.md) says what the names mean.
"""

FOOT = rf"""## Their paths

```{{image}} side_by_side.svg
:alt: The two curves Γ, and u against t for every optimizer, from one start.
:width: 100%
```

From one point of $\Gamma$, again with $\eta = \frac14$ where the learning rate stays, and second moments that begin at
{sp.nsimplify(MOMENTS)}. Each runs in its own unit of time. On the hyperbola all but one end at $u = 1$, where $\lambda$ is smallest; the
preconditioner measures lengths in another metric, and ends at $u^4 = 2$. With two outputs they want different things: SGD, and Shampoo
with one row, the smallest trace, $u^4 = \frac52$; SAM and its kin the smallest $\lambda_1$, $u^4 = 5$; RMSprop and Adam the smallest
$\mathrm{{tr}}\,\mathrm{{Diag}}(\nabla^2L)^{{1/2}}$, $u^4 = \frac54$.
"""


def page() -> str:
    """The page."""
    return "\n".join([HEAD, *(section(model) for model in MODELS), FOOT])


def section(model: Model) -> str:
    """Its table."""
    rows = "\n".join(cells(line) for line in model.lines)
    header = "| optimizer | a step adds to $t$ | $\\dot u$ | $R$ | rests at $u$ |\n|---|---|---|---|---|"
    return f"## {model.title}\n\n{model.words}\n\n{header}\n{rows}\n{moments(model)}"


def cells(line: Line) -> str:
    """A line of the table."""
    potential = (
        "—" if line.potential is None else f"${'E = ' if line.moments else ''}{expression_latex(line.potential)}$"
    )
    motion = f"${expression_latex(line.sde.time_unit)}$ | ${expression_latex(line.drift)}$"
    return f"| {line.row.label} | {motion} | {potential} | {line.rest:.4f} |"


def moments(model: Model) -> str:
    """How second moments move: alike for all rows that have moments of one letter, but for c."""

    def stated(line: Line) -> Iterator[str]:
        rate = line.sde.optimizer.second_moment_rate
        for s, entry in zip(line.moments, line.second_moments, strict=True):
            letter, _, index = s.name.partition("_")
            yield rf"\dot {letter}_{{{index}}} = c\,({expression_latex(sp.expand(entry / rate))})"

    found = {tuple(stated(line)): line.moments[0].name[0] for line in model.lines if line.moments}
    assert len({*found.values()}) == len(found)
    told = [f"with ${letter}$, ${', '.join(equations)}$" for equations, letter in found.items()]
    return f"\nIn the rows {'; in those '.join(told)}.\n"


# --- the picture --------------------------------------------------------------------------------

COLORS = ("#000000", "#E69F00", "#56B4E9", "#009E73", "#0072B2", "#D55E00", "#CC79A7")
"""Those of Okabe and Ito, which colour-blind readers tell apart, without yellow."""

STYLES = ("-", "--", ":", "-.")


def draw() -> None:
    """The picture."""
    import matplotlib.pyplot as plt  # noqa: PLC0415  (the page needs no picture)

    with plt.rc_context({"svg.hashsalt": "symbolic_sgd", "font.size": 9}):
        figure, axes = plt.subplots(2, 2, figsize=(9.5, 7), width_ratios=(1, 1.7), layout="constrained")
        for model, (left, right) in zip(MODELS, axes, strict=True):
            _curve(model, left)
            for k, line in enumerate(model.lines):
                style = {"color": COLORS[k % len(COLORS)], "linestyle": STYLES[k // len(COLORS)]}
                right.plot(*line.path(), label=line.row.name, linewidth=1.5, **style)
            right.set(xlabel="t, in the unit of each", ylabel="u", title=f"{model.title}: u along Γ")
        figure.legend(*axes[0, 1].get_legend_handles_labels(), loc="outside right center", frameon=False)
        figure.savefig(PICTURE, metadata={"Date": None})


def _curve(model: Model, axes) -> None:
    """Γ, the start, and where the lines rest."""
    along = np.linspace(0.6, model.start * 1.1, 200)
    for s, style in zip(model.problem.parameters[1:], STYLES, strict=False):
        entry = sp.lambdify(u, model.embedding[s])
        axes.plot(along, entry(along), style, color="0.4", label=f"{s} = {model.embedding[s]}".replace("*", ""))
        axes.plot([model.start], [entry(model.start)], "o", color="#000000", markersize=5)
    axes.set(xlabel="u", title=f"Γ, and the start u = {model.start:g}")
    axes.legend(frameon=False)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    draw()
