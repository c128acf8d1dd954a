"""The keys of a problem file, in words: what the reader knows, what its messages show, and what the reference prints, is these rows."""

from dataclasses import dataclass

EXPRESSION = "expression"
"""A string that the allow-list parser reads, or an integer."""

EXPRESSIONS = "list of expressions"
MATRIX = "list of rows of expressions"
NAMES = "list of names"
WORD = "string"


@dataclass(frozen=True)
class Key:
    """One key of a table.

    Args:
        name: as it is written.
        kind: what its value is, in words.
        meaning: one sentence.
        example: a line of TOML that states it.
        default: what holds where it is left out, in words; "" where it has to be there.
        beside: the statement of a loss that it goes with; "" where it goes with each.
    """

    name: str
    kind: str
    meaning: str
    example: str
    default: str = ""
    beside: str = ""


PARAMETERS = Key(
    "parameters",
    NAMES,
    "The symbols that SGD trains, in the order of every vector and matrix: real, each once.",
    'parameters = ["u", "v"]',
)

STATEMENT_KEYS = (
    Key(
        "residuals",
        EXPRESSIONS,
        "r_1 … r_n of L = (1/2n) Σ r_i²: the outputs less the labels.",
        'residuals = ["u*v - 1"]',
        "another statement",
    ),
    Key("loss", EXPRESSION, "L itself.", 'loss = "(u*v - 1)**2/2"', "another statement"),
    Key(
        "sample_losses",
        EXPRESSIONS,
        "ℓ_1 … ℓ_n, one of which is drawn at every step: L = Σ p_i ℓ_i, and the noise is that of the draw.",
        'sample_losses = ["(u*v - 1)**2", "(u*v - 2)**2"]',
        "another statement",
    ),
    Key(
        "perturbed_loss",
        EXPRESSION,
        "L̂(x, ξ), whose gradient a step takes at a small random ξ; L = L̂(x, 0).",
        'perturbed_loss = "(u*v*(1 + a) - 1)**2/2"',
        "another statement",
    ),
)
"""Of these a file has exactly one."""

WEIGHTS = Key(
    "weights",
    EXPRESSIONS,
    "p_1 … p_n, rational numbers that add up to 1.",
    'weights = ["1/3", "2/3"]',
    "all are equal",
    "sample_losses",
)
PERTURBATIONS = Key(
    "perturbations",
    NAMES,
    "The symbols ξ, which no other key may hold.",
    'perturbations = ["a"]',
    "",
    "perturbed_loss",
)
COVARIANCE = Key(
    "covariance",
    MATRIX,
    "Of ξ, symmetric and positive definite.",
    'covariance = [["1/4"]]',
    "the unit matrix",
    "perturbed_loss",
)
MANIFOLD = Key(
    "manifold",
    EXPRESSIONS,
    "Equations of Γ, each the expression that is 0 there, as many as Γ's codimension M; they are checked.",
    'manifold = ["u*v - 1"]',
    "they are found",
)
DOMAIN = Key(
    "domain",
    "list of conditions",
    "What holds on the part of Γ that is meant.",
    'domain = ["v > 0"]',
    "all of Γ",
)
NEAR = Key(
    "near",
    "table: name → number",
    "A point beside the component of Γ that is meant, with every parameter; floats are welcome here.",
    "near = { u = 1, v = 1 }",
    "the search begins by itself",
)
TITLE = Key("title", WORD, "One line for headings.", 'title = "A hyperbola"', "the name of the file")
CONSTANTS = Key(
    "constants",
    "table: name → assumption",
    "Further symbols, which stay symbols, and what is known of each.",
    'constants = { s = "positive" }',
    "there are none",
)
NOISE = Key(
    "noise",
    "table",
    "The noise of a step; its kinds are below. Sample losses and perturbed losses bring their own.",
    'noise = { kind = "isotropic" }',
)
OPTIMIZER = Key(
    "optimizer",
    "table",
    "The optimizer; its kinds are below.",
    'optimizer = { kind = "heavy_ball", momentum = "9/10" }',
    "plain SGD, η → 0",
)

KEYS = {
    key.name: key
    for key in (
        *STATEMENT_KEYS,
        PARAMETERS,
        WEIGHTS,
        PERTURBATIONS,
        COVARIANCE,
        MANIFOLD,
        DOMAIN,
        NEAR,
        TITLE,
        CONSTANTS,
        NOISE,
        OPTIMIZER,
    )
}
"""Every key of a file, by its name."""

# --- of the table [noise] ---------------------------------------------------------------------

NOISE_KIND = Key("kind", WORD, "Which noise.", 'kind = "label"')
AMPLITUDE = Key(
    "amplitude",
    f"{EXPRESSION}, or a list with one for each residual",
    "δ, by which labels move: a number or a constant.",
    'amplitude = "1/2"',
    "1",
)
BATCH_SIZE = Key(
    "batch_size",
    "integer",
    "How many residuals a step draws, without replacement: 1 … n.",
    "batch_size = 1",
    "1",
)
SCALE = Key("scale", EXPRESSION, "s in σ = sI; it may depend on the parameters.", 'scale = "1/2"', "1")
SIGMA = Key(
    "sigma",
    MATRIX,
    "σ(x), D×Ξ: a row for each parameter, a column for each source of noise.",
    'sigma = [["1", "0"], ["0", "u"]]',
    "`covariance` is there",
)
NOISE_COVARIANCE = Key(
    "covariance",
    MATRIX,
    "Σ(x) = σσᵀ, D×D, in place of sigma: a factor of it is found.",
    'covariance = [["2", "1"], ["1", "2"]]',
    "`sigma` is there",
)

# --- of the table [optimizer] -----------------------------------------------------------------

OPTIMIZER_KIND = Key("kind", WORD, "Which optimizer.", 'kind = "heavy_ball"')
