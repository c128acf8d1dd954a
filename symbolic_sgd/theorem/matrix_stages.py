"""The theorem for large least-squares problems as a program of matrices: scalar programs for what was stated, and nothing of size D×D.

With F = Jᵀ = (∇f_1 … ∇f_M), G = JJᵀ = ΛΛᵀ (Cholesky), Q = Λ⁻¹J with orthonormal rows, and C = ΛᵀKΛ, on Γ:

    ∂Φ = I − QᵀQ,   H = QᵀCQ,   H† = QᵀC⁻¹Q,   Σ_⊥ = QᵀYQ with Y = (Qσ)(Qσ)ᵀ,   S = QᵀXQ with CX + XC = Y,
    −½H†T[Σ_∥] = −½QᵀΛ⁻¹(⟨∇²f_i, Σ_∥⟩)_i,   −PT[H†Σ_⊥∥] = −P N[Λ⁻ᵀ(Qσ)(Pσ)ᵀ],   −½PT[S] = −P N[KΛXQ],

where N[V] = Σ_i ∇²f_i v_i for the rows v_i of V (theorem/composed.py says why third derivatives do not count). N[V] is the gradient
of Σ_i ⟨∇f_i, v_i⟩ with V held, and ⟨∇²f_i, vvᵀ⟩ two derivatives along v: no second derivative is formed either. What computes
with arrays (numeric/matrix_terms.py) follows these lines.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from hashlib import sha256

import sympy as sp

from symbolic_sgd.algebra.differentiate import gradient
from symbolic_sgd.algebra.graph import Graph, Node
from symbolic_sgd.algebra.matrices import Matrix, dot
from symbolic_sgd.algebra.program import Program
from symbolic_sgd.algebra.translation import from_sympy
from symbolic_sgd.errors import NotSmooth
from symbolic_sgd.manifold.precise import PrecisePoint
from symbolic_sgd.optimizers.optimizer import Optimizer
from symbolic_sgd.problems.landscape import Landscape
from symbolic_sgd.problems.noise import KnownCovariance
from symbolic_sgd.problems.problem import Problem
from symbolic_sgd.theorem.geometry import Letters
from symbolic_sgd.theorem.noise_on_manifold import check_finite
from symbolic_sgd.theorem.response import KernelResponse
from symbolic_sgd.theorem.structure import standing_for


@dataclass(frozen=True)
class Stage:
    """A scalar program, and the symbols that it reads, in the order of its inputs.

    Args:
        program: with one output.
        inputs: x, and then what else it takes.
    """

    program: Program
    inputs: tuple[sp.Symbol, ...]


@dataclass(frozen=True)
class MatrixStages:
    """The scalar programs between which everything is linear algebra.

    Args:
        problem: a least-squares problem without constants, whose residuals all vanish on Γ, with independent gradients.
        optimizer: whose slow motion follows from a kernel, at a learning rate that tends to 0.
        response: by that kernel.
        known: what the noise model tells of Σ on Γ.
        multiplicity: how many residuals each of f_1 … f_M stands for.
        equations: the program of `levels`, f_1 … f_M.
    """

    problem: Problem
    optimizer: Optimizer
    response: KernelResponse
    known: KnownCovariance
    multiplicity: tuple[int, ...]
    equations: Program

    @property
    def weights(self) -> tuple[Fraction, ...]:
        """k_i: L = ½Σ k_i f_i²."""
        return tuple(Fraction(m, sum(self.multiplicity)) for m in self.multiplicity)

    @property
    def words(self) -> str:
        """What is known of the noise across Γ."""
        say = Letters()
        if self.known.proportion is not None:
            found = f"{say.noise} = c{say.multiple} on Γ{standing_for('c', self.known.proportion)}"
            return f"{found}: S = (c/2){say.across}{say.label}" if self.response.is_lyapunov else found
        if self.known.isotropy is not None:
            found = f"{say.noise} = s²{say.across} on Γ{standing_for('s²', self.known.isotropy)}"
            return f"{found}: S = (s²/2){say.inverse}{say.isotropic}" if self.response.is_lyapunov else found
        return f"No structure of {say.noise} was looked for in a problem of this size: S is by {self.response.words}"

    @property
    def stages(self) -> dict[str, Stage]:
        """Every scalar program that a term needs, by name."""
        found = {"levels": self.levels, "slopes": self.slopes, "bent": self.bent, "noise": self.noise}
        if self.known.proportion is None:
            found |= {"second": self.second}
        if self.known.isotropy is not None:
            found |= {"laplacians": self.laplacians}
        return found if self.slow is None else found | {"slow": self.slow}

    @property
    def fingerprint(self) -> str:
        """SHA-256 of them, and of what is known of the noise."""
        programs = [f"{name} {stage.program.fingerprint}" for name, stage in self.stages.items()]
        return sha256(repr([*programs, self.known, self.multiplicity, self.response.words]).encode()).hexdigest()

    @property
    def zeros(self) -> frozenset[str]:
        """The terms of the theorem that what is known of the noise makes zero on Γ."""
        if self.known.proportion is not None:
            return frozenset({"tangent_noise", "tangent_noise_compensation", "mixed_regularization"})
        return frozenset() if self.known.isotropy is None else frozenset({"mixed_regularization"})

    @cached_property
    def trace(self) -> Program:
        """tr ∇²L = Σ k_i|∇f_i|² on Γ, as `trace`."""
        graph = Graph()
        rows = self.slopes.program.on(graph)["slopes"].rows
        total = graph.total(k * dot(row, row) for k, row in zip(self.weights, rows, strict=True))
        return Program.of({"trace": Matrix.column([total])})

    @cached_property
    def blocks(self) -> Program:
        """σ on Γ as `noise_factor`, and ∇²L as `hessian`: JᵀKJ, entry by entry.

        Raises:
            ProblemTooLarge: that takes more operations than a graph may have.
        """
        graph = Graph()
        slopes = self.slopes.program.on(graph)["slopes"]
        weighted = Matrix.of([k * a for a in row] for k, row in zip(self.weights, slopes.rows, strict=True))
        hessian = slopes.T @ weighted
        return Program.of({"noise_factor": self.noise_factor.on(graph)["noise_factor"], "hessian": hessian})

    @cached_property
    def noise_factor(self) -> Program:
        """σ on Γ as `noise_factor`."""
        return Program.of({"noise_factor": self.noise.program.on(Graph())["noise"]})

    @property
    def codimension(self) -> int:
        """M."""
        return len(self.multiplicity)

    @cached_property
    def levels(self) -> Stage:
        """f, M×1."""
        return self._stage("levels", Matrix.column(self._levels))

    @cached_property
    def slopes(self) -> Stage:
        """J, M×D."""
        return self._stage("slopes", Matrix.of(self._slopes))

    @cached_property
    def bent(self) -> Stage:
        """N[V] = Σ_i ∇²f_i v_i, D×1, from x and the entries of V, M×D, row by row."""
        letters = self._letters(self.codimension * self.problem.dimension)
        entries = iter(map(self._graph.symbol, letters))
        total = self._graph.total(dot(row, [next(entries) for _ in row]) for row in self._slopes)
        return self._stage("bent", Matrix.column(gradient(total, self._variables)), letters)

    @cached_property
    def second(self) -> Stage:
        """(⟨∇²f_i, vvᵀ⟩)_i, M×1, from x and v."""
        letters = self._letters(self.problem.dimension)
        v = list(map(self._graph.symbol, letters))
        along = [dot(row, v) for row in self._slopes]
        entries = (dot(gradient(entry, self._variables), v) for entry in along)
        return self._stage("second", Matrix.column(entries), letters)

    @cached_property
    def laplacians(self) -> Stage:
        """(tr ∇²f_i)_i, M×1."""
        traces = (
            self._graph.total(gradient(entry, [x])[0] for entry, x in zip(row, self._variables, strict=True))
            for row in self._slopes
        )
        return self._stage("laplacians", Matrix.column(traces))

    @cached_property
    def noise(self) -> Stage:
        """σ on Γ, D×Ξ."""
        graph, zero = self._graph, self._graph.constant(0)
        loss = graph.total(k * f * f for k, f in zip(self.weights, self._levels, strict=True)) / 2
        landscape = Landscape.on_demand(loss, self.problem.parameters)
        factor = self.problem.noise.columns(self.problem, landscape).factor
        vanishing = [*self._levels, *landscape.gradient.entries]
        try:
            return self._stage("noise", factor.replace(dict.fromkeys(vanishing, zero)))
        except ZeroDivisionError as error:
            raise NotSmooth("the noise divides by zero everywhere on Γ") from error

    @cached_property
    def slow(self) -> Stage | None:
        """g, D×1, of all drifts −∂Φg of the optimizer's own; None where there are none."""
        fields = list(self.optimizer.drift_fields(self.problem).values())
        if not fields:
            return None
        total = (sp.Add(*entries) for entries in zip(*fields, strict=True))
        return self._stage("slow", Matrix.column(from_sympy(g, self._graph) for g in total))

    # --- how they are made ------------------------------------------------------------------

    @cached_property
    def _graph(self) -> Graph:
        return Graph()

    @cached_property
    def _variables(self) -> tuple[Node, ...]:
        return tuple(self._graph.symbol(s) for s in self.problem.parameters)

    @cached_property
    def _levels(self) -> tuple[Node, ...]:
        return self.equations.on(self._graph)["levels"].entries

    @cached_property
    def _slopes(self) -> list[list[Node]]:
        return [gradient(level, self._variables) for level in self._levels]

    def _stage(self, name: str, matrix: Matrix, further: tuple[sp.Symbol, ...] = ()) -> Stage:
        return Stage(Program.of({name: matrix}), (*self.problem.parameters, *further))

    @staticmethod
    def _letters(count: int) -> tuple[sp.Symbol, ...]:
        return tuple(sp.Dummy(f"v{i}") for i in range(count))

    def __reduce__(self) -> tuple[object, ...]:
        """Only what it is made from is pickled."""
        made_from = (self.problem, self.optimizer, self.response, self.known, self.multiplicity, self.equations)
        return MatrixStages, made_from


def check_smooth_noise(stages: MatrixStages, points: Sequence[PrecisePoint]) -> None:
    """Refuse noise that is not smooth at a point of Γ.

    Raises:
        NotSmooth: it divides by zero there, or takes a root of it.
    """
    if stages.known.proportion is None and stages.known.isotropy is None:
        check_finite(stages.noise.program.on(Graph())["noise"], points, stages.problem)
