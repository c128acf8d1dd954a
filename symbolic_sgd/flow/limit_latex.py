"""Φ as LaTeX that compiles with amsmath: the formula, or the system that defines it, or what it conserves."""

from symbolic_sgd.export.latex import aligned, broken_sum, equation_lines, matrix_display
from symbolic_sgd.flow.explicit import ExplicitLimit
from symbolic_sgd.flow.implicit import ImplicitLimit, image_symbols
from symbolic_sgd.flow.limit import FlowLimit


def limit_snippet(limit: FlowLimit) -> str:
    """What is known of Φ.

    Args:
        limit: the finished search.
    """
    definition = r"\Phi(x) &= \lim_{t\to\infty} x(t),\qquad \dot x = -\nabla L(x),\quad x(0) = x"
    lines = [definition, *equation_lines("L", broken_sum(limit.problem.loss))]
    if isinstance(limit.form, ExplicitLimit):
        return "\n".join([aligned(lines), *matrix_display(r"\Phi", "", limit.form.expressions)]) + "\n"
    if isinstance(limit.form, ImplicitLimit):
        for equation in limit.form.equations[: limit.codimension]:
            lines.extend(equation_lines("0", broken_sum(equation)))
    images = image_symbols(limit.problem)
    renamed = dict(zip(limit.problem.parameters, images, strict=True))
    for integral in limit.integrals:
        here, there = broken_sum(integral.expression), broken_sum(integral.expression.xreplace(renamed))
        lines.extend([f"{there[0]} &", *(rf"&\quad {piece}" for piece in there[1:])])
        lines[-1] += f"= {here[0]}" if len(there) == 1 else f" = {here[0]}"
        lines.extend(rf"&\quad {piece}" for piece in here[1:])
    return aligned(lines) + "\n"
