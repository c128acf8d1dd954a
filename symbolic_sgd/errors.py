"""The one small tree of errors. Each message says what is wrong, where, and what to change."""


class SymbolicSGDError(ValueError):
    """Root of every error that the toolkit raises on purpose.

    >>> import sympy as sp
    >>> from symbolic_sgd import LabelNoise, Problem
    >>> u, v = sp.symbols("u v")
    >>> try:
    ...     Problem.least_squares([u*v - 0.1], parameters=(u, v), noise=LabelNoise(1))
    ... except SymbolicSGDError as refusal:
    ...     print(type(refusal).__name__)
    InexactNumber
    """


# --- what the user states -------------------------------------------------------------------


class BadInput(SymbolicSGDError):
    """A value of the wrong type or form."""


class BadSymbol(BadInput):
    """A symbol that is undeclared, repeated, badly named, or not real."""


class InexactNumber(BadInput):
    """A floating-point number where the derivation needs an exact one."""


class UnsupportedExpression(BadInput):
    """A function or operation outside the table of smooth real functions."""


class BadShape(BadInput):
    """A matrix or array of the wrong shape."""


class ExpressionSyntaxError(BadInput):
    """Text that is not an allowed expression."""


class ProblemFileError(BadInput):
    """A problem file with an unknown key, a missing key, or a value of the wrong kind."""


class CoupledCoordinates(BadInput):
    """A residual of a family that is no sum of functions of single coordinates."""


class ProblemTooLarge(BadInput):
    """A problem beyond the stated size limits."""


# --- what the loss turns out to be ----------------------------------------------------------


class NoManifold(SymbolicSGDError):
    """The loss has no manifold of minimizers to which the theorem applies."""


class NoMinimum(NoManifold):
    """No local minimizer was found."""


class IsolatedMinimum(NoManifold):
    """The minimum is a point (M = D): the limit is constant and there is no SDE."""


class SaddlePoint(NoManifold):
    """The stationary points found are saddles or maxima."""


class DegenerateMinimum(NoManifold):
    """rank H is below the codimension of the zero set of the gradient."""


class ConstantLoss(NoManifold):
    """The gradient vanishes identically."""


class NotSmooth(NoManifold):
    """The loss or the noise is not smooth on the set of minimizers."""


class ComplexValue(NoManifold):
    """The loss or the noise is not real where it has to be."""


class RankNotConstant(NoManifold):
    """The rank of the Hessian differs between the minimizers found."""


class ManifoldMismatch(NoManifold):
    """The equations in `manifold=` do not describe the minimizers of the loss."""


class Undecided(SymbolicSGDError):
    """A zero test or a rank test came out neither way at the working precision."""


class BudgetSpent(Undecided):
    """A search that has used up its processor time."""


class NoRegularizerFormula(Undecided):
    """R exists along every arc of Γ, which is a curve, but no closed form of it was found."""


# --- formulas and numbers -------------------------------------------------------------------


class ExpressionTooLarge(SymbolicSGDError):
    """A formula that would expand past the size budget."""


class NoClosedForm(SymbolicSGDError):
    """A formula of a Φ that is only known numerically."""


class BadPoint(BadInput):
    """A point with the wrong last dimension, or that is not finite and real."""


class OffManifold(SymbolicSGDError):
    """A point that is not on Γ."""


class Unstable(NoManifold):
    """Γ does not attract the optimizer: its learning rate is beyond the edge of stability."""


class SingularPoint(SymbolicSGDError):
    """A point of Γ where the condition in `valid_where` fails."""


class Diverged(SymbolicSGDError):
    """A simulated replica left the range of float64."""


class BadCheckpoint(BadInput):
    """A file that is no checkpoint, or that belongs to another run."""


class BadCertificate(BadInput):
    """A file that is no certificate, or one that no longer holds."""


class FlowDidNotConverge(SymbolicSGDError):
    """The gradient flow, or an optimizer's noiseless iteration, from a point was not seen to reach Γ."""


class MissingExtra(SymbolicSGDError, ImportError):
    """An optional package is not installed; the message names the extra that brings it."""


# --- charts ---------------------------------------------------------------------------------


class NotDeterministic(SymbolicSGDError):
    """Fixed points were asked of an SDE that has noise."""


class NoStationaryDensity(SymbolicSGDError):
    """There is no stationary density: none is normalisable, the noise is singular, or probability leaves at an end."""


class NoCharges(SymbolicSGDError):
    """What the optimizer's own noiseless iteration conserves is not known, or is too little."""


def said_of(source: object, error: SymbolicSGDError) -> str:
    """The message of an error with the name of what was read; the reader itself says where in it.

    >>> said_of("p.toml", NoMinimum("no local minimizer was found"))
    'p.toml: no local minimizer was found'
    """
    return str(error) if str(error).startswith(f"{source}:") else f"{source}: {error}"
