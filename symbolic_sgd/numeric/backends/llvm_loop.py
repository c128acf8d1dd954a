"""Many random steps in one call: the state stays in registers, and so do the random numbers' generators."""

from collections.abc import Sequence

from symbolic_sgd.numeric.backends.llvm_kernel import attributes, run_steps
from symbolic_sgd.numeric.backends.vector_code import VectorCode, hexadecimal, tiles
from symbolic_sgd.numeric.backends.vector_random import RandomLanes
from symbolic_sgd.numeric.lowering import Lowered
from symbolic_sgd.numeric.random_step import DrawnRow, RandomStep

WORDS = 4
"""Of a generator's state."""


def loop_code(step: RandomStep, lowered: Lowered, width: int, fused: bool) -> str:
    """`void steps(int64 count, double *x, uint64 *states, const double *parameters, int64 vectors)`.

    The lowered program's inputs are the step's `symbols`.
    """
    d, code = len(step.state), VectorCode(width, fused)
    before = VectorCode(width, fused)
    start = before.load_columns("%x", d)
    seeds = [before.let(f"bitcast {before.type} {s} to {before.integers}") for s in before.load_columns("%s", WORDS)]
    given = [_everywhere(before, k) for k in range(len(step.parameters))]
    code._count = before._count
    lanes = RandomLanes(code, [f"%w{k}" for k in range(WORDS)])
    inputs = [*(f"%v{j}" for j in range(d)), *given, *_random_inputs(step, lanes)]
    moved: dict[int, str] = {}
    run_steps(code, lowered, inputs, moved.__setitem__)
    after = VectorCode(width, fused)
    after._count = code._count
    return _assembled(step, before, code, after, start, seeds, [moved[j] for j in range(d)], lanes.state)


def _everywhere(code: VectorCode, k: int) -> str:
    place = code.let(f"getelementptr double, ptr %parameters, i64 {k}")
    lane = code.let(f"insertelement {code.type} poison, double {code.let(f'load double, ptr {place}')}, i64 0")
    return code.let(f"shufflevector {code.type} {lane}, {code.type} poison, <{code.width} x i32> zeroinitializer")


def _random_inputs(step: RandomStep, lanes: RandomLanes) -> list[str]:
    """One word decides the row (upper bits) and the sign (lowest bit) of a draw; two make two normal numbers."""
    drawn = [value for row in step.draws for value in _drawn_row(step, row, lanes)]
    normals: list[str] = []
    while len(normals) < len(step.normals):
        normals.extend(lanes.normals())
    return [*drawn, *normals[: len(step.normals)]]


def _drawn_row(step: RandomStep, row: DrawnRow, lanes: RandomLanes) -> list[str]:
    if not step.takes_word(row):
        return [lanes.code.constant(1.0)]  # a sign that nobody reads
    bits = lanes.draw()
    index = lanes.below(bits, len(step.table)) if row.columns else ""
    table = list(zip(*step.table, strict=True))
    looked_up = [lanes.look_up(list(map(float, column)), index, f"@column{k}") for k, column in enumerate(table)]
    return [*looked_up, lanes.sign(bits)]


def _assembled(
    step: RandomStep,
    before: VectorCode,
    code: VectorCode,
    after: VectorCode,
    start: Sequence[str],
    seeds: Sequence[str],
    moved: Sequence[str],
    states: Sequence[str],
) -> str:
    d, w, kind = len(step.state), code.width, code.type
    _store_rows(after, moved, "%x", d)
    doubles = [after.let(f"bitcast {code.integers} {s} to {kind}") for s in states]
    _store_rows(after, doubles, "%s", WORDS)
    phis = [
        f"  %v{j} = phi {kind} [ {a}, %load ], [ {b}, %step ]"
        for j, (a, b) in enumerate(zip(start, moved, strict=True))
    ]
    phis += [
        f"  %w{k} = phi {code.integers} [ {a}, %load ], [ {b}, %step ]"
        for k, (a, b) in enumerate(zip(seeds, states, strict=True))
    ]
    new_line = "\n"
    declarations = before.declarations | code.declarations | after.declarations
    return f"""
{_columns(step)}
define void @steps(i64 %count, ptr noalias %ax, ptr noalias %as, ptr noalias %parameters, i64 %vectors) #0 {{
entry:
  br label %load
load:
  %i = phi i64 [ %vectors, %entry ], [ %left, %save ]
  %x = phi ptr [ %ax, %entry ], [ %nx, %save ]
  %s = phi ptr [ %as, %entry ], [ %ns, %save ]
{new_line.join(before.lines)}
  br label %step
step:
  %n = phi i64 [ %count, %load ], [ %rest, %step ]
{new_line.join(phis)}
{new_line.join(code.lines)}
  %rest = sub i64 %n, 1
  %again = icmp ne i64 %rest, 0
  br i1 %again, label %step, label %save
save:
{new_line.join(after.lines)}
  %nx = getelementptr double, ptr %x, i64 {d * w}
  %ns = getelementptr double, ptr %s, i64 {WORDS * w}
  %left = sub i64 %i, 1
  %more = icmp ne i64 %left, 0
  br i1 %more, label %load, label %done
done:
  ret void
}}
{new_line.join(sorted(declarations))}
{attributes(w)}
"""


def _columns(step: RandomStep) -> str:
    n = len(step.table)
    numbers = [", ".join(f"double {hexadecimal(float(a))}" for a in column) for column in zip(*step.table, strict=True)]
    return "\n".join(f"@column{k} = private constant [{n} x double] [{column}]" for k, column in enumerate(numbers))


def _store_rows(code: VectorCode, columns: Sequence[str], pointer: str, count: int) -> None:
    for first in [0] if count <= code.width else tiles(count, code.width):
        code.store_columns(columns[first : first + code.width], pointer, first, count)
