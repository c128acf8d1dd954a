"""The limiting SDE as the simulators take it: drift and diffusion along Γ, and the Newton step back to it."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

import sympy as sp

from symbolic_sgd.algebra.differentiate import jacobian
from symbolic_sgd.algebra.graph import Graph
from symbolic_sgd.algebra.matrices import Matrix, Orthogonal
from symbolic_sgd.algebra.program import Program
from symbolic_sgd.errors import BadInput
from symbolic_sgd.numeric.in_place import InPlaceProgram
from symbolic_sgd.numeric.matrix_fields import DrivenMatrixField, MatrixField
from symbolic_sgd.numeric.random_move import driven_by
from symbolic_sgd.simulate.sgd import with_values
from symbolic_sgd.simulate.steps import EulerMaruyama, NinomiyaVictoir, Within
from symbolic_sgd.theorem.derivation import Derivation
from symbolic_sgd.theorem.stratonovich import stratonovich_program

Values = Mapping[sp.Symbol, Fraction]

AlongManifold = EulerMaruyama | NinomiyaVictoir


class Scheme(ABC):
    """A rule that discretises the limiting SDE."""

    @abstractmethod
    def stepper(self, derivation: Derivation, step: float, values: Values) -> AlongManifold:
        """The stepper with this step of time, and these values of the constants.

        Args:
            derivation: the SDE.
            step: h, in units of t.
            values: of the constants.

        Raises:
            BadInput: the scheme needs what is not known of the SDE.
        """


@dataclass(frozen=True)
class WeakOrderOne(Scheme):
    """Euler and Maruyama's scheme with a projection on Γ: errors of means are O(h).

    >>> import sympy as sp
    >>> from symbolic_sgd import IsotropicNoise, Problem, derive_limiting_sde, simulate_sde
    >>> u, v = sp.symbols("u v")
    >>> sde = derive_limiting_sde(Problem(loss=(u*v - 1)**2/2, parameters=(u, v), noise=IsotropicNoise(1)))
    >>> simulate_sde(sde, [1, 1], time=0.1, step=0.01, replicas=3, rng=0, scheme=WeakOrderOne()).final.shape
    (3, 2)
    """

    def stepper(self, derivation: Derivation, step: float, values: Values) -> AlongManifold:
        noise, sources = _noise(derivation, values)
        stages = derivation.in_matrices
        if stages is not None:
            return EulerMaruyama(
                derivation.problem.dimension,
                sources,
                step,
                MatrixField(stages, "drift"),
                noise,
                newton(derivation, values),
            )
        drift = _field(derivation.program.select("drift"), derivation, values)
        return EulerMaruyama(derivation.problem.dimension, sources, step, drift, noise, newton(derivation, values))


@dataclass(frozen=True)
class WeakOrderTwo(Scheme):
    """Ninomiya and Victoir's scheme, flows along Γ, with a projection: errors of means are O(h²).

    >>> import sympy as sp
    >>> from symbolic_sgd import IsotropicNoise, Problem, derive_limiting_sde, simulate_sde
    >>> u, v = sp.symbols("u v")
    >>> sde = derive_limiting_sde(Problem(loss=(u*v - 1)**2/2, parameters=(u, v), noise=IsotropicNoise(1)))
    >>> simulate_sde(sde, [1, 1], time=0.1, step=0.01, replicas=3, rng=0, scheme=WeakOrderTwo()).final.shape
    (3, 2)
    """

    def stepper(self, derivation: Derivation, step: float, values: Values) -> AlongManifold:
        noise, sources = _noise(derivation, values)
        stages = derivation.in_matrices
        if stages is not None:
            if noise is not None:
                raise BadInput(
                    "WeakOrderTwo needs the Stratonovich drift, which is not known by matrices (this problem is large, and has noise "
                    "along Γ): simulate with scheme=WeakOrderOne()"
                )
            return NinomiyaVictoir(
                derivation.problem.dimension,
                sources,
                step,
                MatrixField(stages, "drift"),
                None,
                newton(derivation, values),
            )
        program = derivation.program.select("drift") if noise is None else stratonovich_program(derivation)
        drift = _field(program, derivation, values)
        return NinomiyaVictoir(derivation.problem.dimension, sources, step, drift, noise, newton(derivation, values))


def within_stability(along: AlongManifold, derivation: Derivation, values: Values) -> AlongManifold | Within:
    """The steps, with an error where a path comes to the edge of stability of the optimizer."""
    if derivation.stable is None:
        return along
    (output,) = derivation.stable.outputs
    return Within(along, output.shape[0], _field(derivation.stable, derivation, values))


def newton(derivation: Derivation, values: Values) -> InPlaceProgram | MatrixField:
    """The shortest w with J w = g, J = ∂g, for the equations g of Γ: the Newton step along the normals is −w."""
    if derivation.in_matrices is not None:
        return MatrixField(derivation.in_matrices, "newton_step")
    graph = Graph()
    equations = derivation.equations.on(graph)["equations"]
    variables = [graph.symbol(s) for s in derivation.problem.parameters]
    frame = Matrix.of(jacobian(equations.entries, variables)).T
    step = Orthogonal.factor(frame).least_norm(equations)
    return _field(Program.of({"newton": step}), derivation, values)


def _noise(derivation: Derivation, values: Values) -> tuple[InPlaceProgram | DrivenMatrixField | None, int]:
    """A(x)a without the columns of A that are zero, and the number of the others."""
    stages = derivation.in_matrices
    if stages is not None:
        still = "tangent_noise" in stages.zeros
        return (None, 0) if still else (DrivenMatrixField(stages), stages.noise.program.outputs[0].shape[1])
    graph = Graph()
    factor = derivation.program.select("tangent_noise").on(graph)["tangent_noise"]
    symbols, driven = driven_by(factor)
    if not symbols:
        return None, 0
    program = with_values(Program.of({"noise": Matrix.column(driven)}), values)
    return InPlaceProgram(program, (*derivation.problem.parameters, *symbols)), len(symbols)


def _field(program: Program, derivation: Derivation, values: Values) -> InPlaceProgram:
    return InPlaceProgram(with_values(program, values), derivation.problem.parameters)
