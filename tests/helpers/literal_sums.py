"""Formulas in sums and indexed quantities, read literally."""

import sympy as sp


def interpreted(expression, environment):
    """A formula in sums and indexed quantities, read literally."""
    if isinstance(expression, sp.Sum):
        *inner, (index, first, last) = expression.limits
        body = sp.Sum(expression.function, *inner) if inner else expression.function
        size = int(interpreted(last, environment))
        return sum(interpreted(body, {**environment, index: k}) for k in range(int(first), size + 1))
    if isinstance(expression, sp.Indexed):
        place = tuple(int(interpreted(k, environment)) - 1 for k in expression.indices)
        return environment[str(expression.base.label)][place]
    if expression.is_Symbol:
        return environment[expression]
    if expression.is_number:
        return float(expression)
    return float(expression.func(*(sp.Float(interpreted(a, environment), 17) for a in expression.args)))
