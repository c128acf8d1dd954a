"""A lowered program as LLVM code: a loop over blocks of W points, every step an instruction on a vector."""

from collections.abc import Sequence

from symbolic_sgd.numeric.backends.vector_code import VectorCode, tiles
from symbolic_sgd.numeric.lowering import STORE, Lowered


def kernel_source(lowered: Lowered, width: int, fused: bool) -> str:
    """`double rows(int64 vectors, const double *x, double *y0, …)` on vectors·W points, one row each; the sum of all that x and y0 hold."""
    code = VectorCode(width, fused)
    results, columns = _Results(code, lowered.widths), code.load_columns("%x", lowered.inputs)
    run_steps(code, lowered, columns, results.add)
    total = "%total"
    for value in (*columns, *(value for (k, _), value in sorted(results.values.items()) if not k)):
        total = code.operation("add", total, value)
    return loop_source(code, lowered.inputs, lowered.widths, total)


def loop_source(code: VectorCode, inputs: int, widths: Sequence[int], total: str) -> str:
    """The function around a body that reads at %x, writes at %y0, …, and adds to %total."""
    reduction = f"@llvm.vector.reduce.fadd.v{code.width}f64"
    code.declarations.add(f"declare double {reduction}(double, {code.type})")
    arguments = "".join(f", ptr noalias %a{k}" for k in range(len(widths)))
    steps = "".join(
        f"  %y{k} = phi ptr [ %a{k}, %entry ], [ %n{k}, %body ]\n" for k in range(len(widths))
    )  # the pointers move on, so that addresses need no multiplication
    moves = "".join(
        f"  %n{k} = getelementptr double, ptr %y{k}, i64 {width * code.width}\n" for k, width in enumerate(widths)
    )
    body = "\n".join(code.lines)
    return f"""
define double @rows(i64 %count, ptr noalias %ax{arguments}) #0 {{
entry:
  %any = icmp sgt i64 %count, 0
  br i1 %any, label %body, label %done
body:
  %i = phi i64 [ %count, %entry ], [ %left, %body ]
  %x = phi ptr [ %ax, %entry ], [ %nx, %body ]
  %total = phi {code.type} [ zeroinitializer, %entry ], [ {total}, %body ]
{steps}{body}
  %nx = getelementptr double, ptr %x, i64 {inputs * code.width}
{moves}  %left = sub i64 %i, 1
  %more = icmp ne i64 %left, 0
  br i1 %more, label %body, label %done
done:
  %all = phi {code.type} [ zeroinitializer, %entry ], [ {total}, %body ]
  %sum = call double {reduction}(double -0.0, {code.type} %all)
  ret double %sum
}}
{chr(10).join(sorted(code.declarations))}
{attributes(code.width)}
"""


def attributes(width: int) -> str:
    """The full width is meant, also on processors that LLVM would rather run at half of it."""
    bits = 64 * width
    return f'attributes #0 = {{ nounwind "min-legal-vector-width"="{bits}" "prefer-vector-width"="{bits}" }}'


TOGETHER = 32
"""So many results are written row by row, in the order of memory, when the last is known; more of them tile by tile."""


class _Results:
    """Results are written as soon as a tile of them is complete."""

    def __init__(self, code: VectorCode, widths: Sequence[int]):
        self.code = code
        self.owner = [(k, j) for k, width in enumerate(widths) for j in range(width)]
        self.widths = widths
        self.values: dict[tuple[int, int], str] = {}
        self.written: set[tuple[int, int]] = set()

    def add(self, place: int, value: str) -> None:
        k, _ = self.owner[place]
        self.values[self.owner[place]] = value
        count, w = self.widths[k], self.code.width
        if w < count <= TOGETHER:
            if sum(owner == k for owner, _ in self.values) == count:
                self.code.store_rows([self.values[k, j] for j in range(count)], f"%y{k}")
            return
        for first in [0] if count <= w else tiles(count, w):
            columns = [(k, j) for j in range(first, min(first + w, count))]
            if (k, first) not in self.written and all(c in self.values for c in columns):
                self.written.add((k, first))
                self.code.store_columns([self.values[c] for c in columns], f"%y{k}", first, count)


def run_steps(code: VectorCode, lowered: Lowered, columns: Sequence[str], store) -> None:
    """Every step on vectors; a product that is only added or subtracted is fused with that."""
    slots = dict(enumerate([*columns, *map(code.constant, lowered.constants)]))
    fusible = fusible_products(lowered) if code.fused else set()
    product: dict[int, tuple[str, str]] = {}
    for i, step in enumerate(lowered.steps):
        if step.op == STORE:
            store(step.target, slots[step.operands[0]])
            continue
        pending = [product.pop(a, None) for a in step.operands]
        operands = [slots.get(a, "") for a in step.operands]
        if i in fusible:
            product[step.target] = (operands[0], operands[1])
        elif any(pending):
            slots[step.target] = _fused(code, step.op, operands, pending)
        else:
            slots[step.target] = code.operation(step.op, *operands)


def _fused(code: VectorCode, op: str, operands: list[str], pending: list[tuple[str, str] | None]) -> str:
    """a·b ± c or c ± a·b; of two products the second is rounded by itself."""
    first, second = pending
    if first and second:
        operands[1], second = code.operation("mul", *second), None
    if first:
        return code.multiply_add(*first, operands[1] if op == "add" else code.operation("neg", operands[1]))
    assert second is not None
    a, b = second
    return code.multiply_add(a if op == "add" else code.operation("neg", a), b, operands[0])


def fusible_products(lowered: Lowered) -> set[int]:
    """The steps that multiply for one sum or difference only."""
    writer: dict[int, int] = {}
    readers: dict[int, list[int]] = {}
    for i, step in enumerate(lowered.steps):
        for a in step.operands:
            if a in writer:
                readers.setdefault(writer[a], []).append(i)
        if step.op != STORE:
            writer[step.target] = i
    return {
        i
        for i, step in enumerate(lowered.steps)
        if step.op == "mul" and len(readers.get(i, ())) == 1 and lowered.steps[readers[i][0]].op in ("add", "sub")
    }
