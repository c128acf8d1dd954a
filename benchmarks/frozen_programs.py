"""The four functions that back ends are measured on, frozen, so that they stay the same when the derivation improves.

`python benchmarks/frozen_programs.py` writes `frozen_programs.json` again:

- hyperbola: the drift of uv = 1 with isotropic noise, cancelled;
- OLM 2,4 isotropic: the cancelled form over the field of fractions;
- OLM 4,8 label, short: −¼ P∇tr H with the triangular solves of a 4×4 Gram matrix;
- OLM 4,8 label, literal: the normal regularization without recognising the noise, T contracted explicitly.
"""

import json
from fractions import Fraction
from pathlib import Path

import sympy as sp
from literal_theorem import MatrixAlgebra, domain_matrices, literal_drift, lyapunov_solution, third_derivative
from models import Model, overparametrised_linear_model

from symbolic_sgd.algebra.graph import Graph, Node
from symbolic_sgd.algebra.matrices import Matrix, PositiveDefinite
from symbolic_sgd.algebra.program import Instruction, Output, Program
from symbolic_sgd.algebra.translation import from_sympy

FILE = Path(__file__).with_suffix(".json")

Frozen = tuple[Program, tuple[sp.Symbol, ...]]


class Nodes:
    """A `Matrix` of nodes with the operators of the other matrix libraries."""

    def __init__(self, matrix: Matrix):
        self.matrix = matrix

    def __add__(self, other: "Nodes") -> "Nodes":
        return Nodes(self.matrix + other.matrix)

    def __sub__(self, other: "Nodes") -> "Nodes":
        return Nodes(self.matrix - other.matrix)

    def __neg__(self) -> "Nodes":
        return Nodes(-self.matrix)

    def __mul__(self, other: "Nodes") -> "Nodes":
        return Nodes(self.matrix @ other.matrix)

    def transpose(self) -> "Nodes":
        return Nodes(self.matrix.T)


def graph_matrices(graph: Graph) -> MatrixAlgebra:
    """Straight-line programs: nothing is cancelled, everything is shared."""
    return MatrixAlgebra(
        of=lambda a: Nodes(Matrix.of([from_sympy(e, graph) for e in row] for row in a.tolist())),
        stack=lambda rows: Nodes(Matrix.of(rows)),
        rows=lambda a: [list(row) for row in a.matrix.rows],
        solve=lambda a, b: Nodes(_solved(a.matrix, b.matrix)),
        expressions=lambda a: a,
    )


def _solved(a: Matrix, b: Matrix) -> Matrix:
    """A⁻¹B by elimination without pivoting, which is safe for Gram matrices and their Kronecker sums."""
    rows = [[*left, *right] for left, right in zip(a.rows, b.rows, strict=True)]
    size = len(rows)
    for k in range(size):
        for i in range(k + 1, size):
            factor = rows[i][k] / rows[k][k]
            rows[i][k + 1 :] = [x - factor * y for x, y in zip(rows[i][k + 1 :], rows[k][k + 1 :], strict=True)]
    solved: list[list[Node]] = [[] for _ in rows]
    for k in reversed(range(size)):
        right = rows[k][size:]
        for i in range(k + 1, size):
            right = [x - rows[k][i] * y for x, y in zip(right, solved[i], strict=True)]
        solved[k] = [x / rows[k][k] for x in right]
    return Matrix.of(solved)


def literal(model: Model) -> Frozen:
    """−½ P T[S], where HS + SH = Σ by the Kronecker system, for Σ = w FFᵀ with an F that happens to be Jᵀ."""
    algebra = graph_matrices(Graph())
    j = algebra.of(model.jacobian())
    dual = algebra.solve(j * j.transpose(), j)
    across = dual * j.transpose()
    noise = Nodes((across * across.transpose()).matrix.scaled(Fraction(int(model.weight.p), int(model.weight.q))))
    z = lyapunov_solution(j * j.transpose(), noise, model.weight, algebra)
    t = third_derivative(model, j.transpose() * z * j, algebra)
    return Program.of({"drift": (j.transpose() * (dual * t) - t).matrix.scaled(Fraction(1, 2))}), model.parameters


def cancelled(drift: sp.Matrix, parameters: tuple[sp.Symbol, ...]) -> Frozen:
    graph = Graph()
    named, reduced = sp.cse(list(drift), order="none")
    nodes: dict[sp.Symbol, Node] = {}
    entries = []
    for name, value in [*named, *((None, e) for e in reduced)]:
        node = _translated(value, nodes, graph)
        entries.append(node) if name is None else nodes.__setitem__(name, node)
    return Program.of({"drift": Matrix.column(entries)}), parameters


def _translated(value: sp.Expr, nodes: dict[sp.Symbol, Node], graph: Graph) -> Node:
    node = from_sympy(value, graph)
    replaced = {graph.symbol(s): nodes[s] for s in value.free_symbols if s in nodes}
    return Matrix.column([node]).replace(replaced)[0, 0]


def short_label(model: Model) -> Frozen:
    graph = Graph()
    algebra = graph_matrices(graph)
    j = algebra.of(model.jacobian())
    gram = PositiveDefinite.factor((j * j.transpose()).matrix)
    trace = sum(model.weight * e**2 for e in model.jacobian())
    slope = algebra.of(sp.Matrix([sp.diff(trace, x) for x in model.parameters]))
    normal = j.transpose() * Nodes(gram.solve((j * slope).matrix))
    return Program.of({"drift": (normal - slope).matrix.scaled(Fraction(1, 4))}), model.parameters


def to_json(program: Program, symbols: tuple[sp.Symbol, ...]) -> dict:
    """Names, operations, and operands, as short as they can be written."""
    return {
        "symbols": [s.name for s in symbols],
        "code": [[i.op, *i.args] if i.value is None else [i.op, str(i.value)] for i in program.instructions],
        "outputs": [[o.name, list(o.shape), list(o.registers)] for o in program.outputs],
    }


def from_json(data: dict) -> Frozen:
    symbols = {name: sp.Symbol(name) for name in data["symbols"]}
    values = {"constant": Fraction, "symbol": symbols.__getitem__}
    instructions = tuple(
        Instruction(op, (), values[op](rest[0])) if op in values else Instruction(op, tuple(rest))
        for op, *rest in data["code"]
    )
    outputs = tuple(Output(name, (shape[0], shape[1]), tuple(registers)) for name, shape, registers in data["outputs"])
    return Program(instructions, outputs), tuple(symbols.values())


def frozen_programs() -> dict[str, Frozen]:
    """The functions, by name."""
    return {name: from_json(data) for name, data in json.loads(FILE.read_text()).items()}


def main() -> None:
    u, v = sp.symbols("u v")
    # −¼ P∇ln(u² + v²) plus the compensation −½ H†T[P], which keeps uv = 1
    n, s = sp.Matrix([v, u]), u**2 + v**2
    hyperbola = sp.Matrix([u, v]) / s - n * (n.T * sp.Matrix([u, v]))[0] / s**2
    hyperbola = (-hyperbola / 2 + n * (u * v) / s**2).applyfunc(sp.factor)
    small, large = overparametrised_linear_model(2, 4, "isotropic"), overparametrised_linear_model(4, 8, "label")
    programs = {
        "hyperbola": cancelled(hyperbola, (u, v)),
        "OLM 2,4 isotropic": cancelled(literal_drift(small, domain_matrices(small.parameters)), small.parameters),
        "OLM 4,8 label, short": short_label(large),
        "OLM 4,8 label, literal": literal(large),
    }
    for name, (program, _) in programs.items():
        print(f"{name}: {program.operations} operations")
    FILE.write_text(json.dumps({name: to_json(*frozen) for name, frozen in programs.items()}, separators=(",", ":")))


if __name__ == "__main__":
    main()
