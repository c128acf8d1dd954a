"""Terms as C: one self-contained file that needs nothing but the C library."""

from collections.abc import Mapping, Sequence

from symbolic_sgd.algebra.functions import check_supported, in_library
from symbolic_sgd.algebra.program import Program
from symbolic_sgd.numeric.lowering import STORE, Lowered, Step, lower

INFIX = {"add": "+", "sub": "-", "mul": "*", "div": "/"}

SIGN = "static inline double sgd_sign(double a) { return a > 0 ? 1 : a < 0 ? -1 : a == 0 ? 0 : a; }\n"


def c_source(programs: Mapping[str, Program], symbols: Sequence, origin: str) -> str:
    """A function for each program, and one for many points at a time.

    Args:
        programs: name → program with one output.
        symbols: the entries of x: the parameters, then the constants.
        origin: what the comment at the top says.

    Raises:
        UnsupportedExpression: a function that C does not have.
    """
    places = "\n".join(f" *   x[{i}] = {_safe(symbol)}" for i, symbol in enumerate(symbols))
    functions = {name: lower([program], symbols) for name, program in programs.items()}
    needs_sign = any(step.op == "sign" for lowered in functions.values() for step in lowered.steps)
    head = (
        f"/* {origin}\n *\n * Points are not tested: they have to lie on the manifold.\n *\n{places}\n */\n"
        "#include <math.h>\n#include <stddef.h>\n\n"
    )
    return head + (SIGN + "\n" if needs_sign else "") + "\n".join(_function(n, f) for n, f in functions.items())


def _safe(symbol: object) -> str:
    """A name that cannot end the comment it stands in."""
    return "".join(c if c.isalnum() or c in "_{}^" else "_" for c in str(symbol))


def _function(name: str, lowered: Lowered) -> str:
    lines = [f"    {_line(step, lowered)}" for step in lowered.steps]
    registers = range(lowered.first_register, lowered.first_register + lowered.registers)
    declared = [f"    double {', '.join(f't{r}' for r in registers)};"] if registers else []
    unused = [] if any(a < lowered.inputs for s in lowered.steps for a in s.operands) else ["    (void)x;"]
    body = "\n".join([*declared, *unused, *lines])
    return f"""/* {lowered.operations} operations; y has {lowered.size} entries, row by row */
void {name}(const double *restrict x, double *restrict y)
{{
{body}
}}

void {name}_batch(size_t count, const double *restrict x, double *restrict y)
{{
    for (size_t i = 0; i < count; i++)
        {name}(x + {lowered.inputs} * i, y + {lowered.size} * i);
}}
"""


def _line(step: Step, lowered: Lowered) -> str:
    operands = [_operand(a, lowered) for a in step.operands]
    if step.op == STORE:
        return f"y[{step.target}] = {operands[0]};"
    if step.op in INFIX:
        return f"t{step.target} = {operands[0]} {INFIX[step.op]} {operands[1]};"
    if step.op == "neg":
        return f"t{step.target} = -{operands[0]};"
    calls = {"pow": "pow"} | in_library("c")
    check_supported([step.op], calls, "C")
    return f"t{step.target} = {calls[step.op]}({', '.join(operands)});"


def _operand(slot: int, lowered: Lowered) -> str:
    if slot < lowered.inputs:
        return f"x[{slot}]"
    if slot >= lowered.first_register:
        return f"t{slot}"
    value = lowered.constants[slot - lowered.inputs]
    if value != value or value in (float("inf"), float("-inf")):
        return "NAN" if value != value else "INFINITY" if value > 0 else "(-INFINITY)"
    return repr(value) if value >= 0 else f"({value!r})"
