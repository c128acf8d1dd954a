"""The cards of the gallery's entries, from their problem files and the documents that are kept of them."""

import re
from collections.abc import Iterator

from symbolic_sgd.command.gallery import Derivation, Entry
from symbolic_sgd.documents.formulas import in_text
from symbolic_sgd.optimizers.stated import optimizer_of
from symbolic_sgd.printing.blocks import Inline, Math
from symbolic_sgd.printing.prose import in_words
from symbolic_sgd.problems.noise import Noise
from symbolic_sgd.problems.problem_file import ProblemFile, read_problem_file
from symbolic_sgd.serve.cards import Card

MODELS = {
    "attention": "network",
    "cubic_label": "curve or surface",
    "depth_three": "network",
    "factorisation_rank_one": "factorisation",
    "factorisation_rank_two": "factorisation",
    "hyperbola_isotropic": "curve or surface",
    "hyperbola_label": "curve or surface",
    "interpolating_minibatch": "network",
    "linear_regression": "regression",
    "logistic_redrawn": "regression",
    "monotone_neurons": "network",
    "motor": "curve or surface",
    "olm_label": "regression",
    "olm_one_sample": "regression",
    "phase_retrieval": "regression",
    "product_of_three": "curve or surface",
    "quadric_dense": "curve or surface",
    "scale_invariant": "curve or surface",
    "sphere": "curve or surface",
    "squared_parameters": "regression",
    "symmetric_factorisation": "factorisation",
    "two_layer_neuron": "network",
    "valley_normal_noise": "curve or surface",
}
"""What kind of model an entry is; one that is not here is filed under "other"."""

NOISES = {
    "LabelNoise": "label",
    "IsotropicNoise": "isotropic",
    "SamplingNoise": "minibatch",
    "GradientNoise": "any matrix",
}
"""What the menu calls a class of noise; one that is not here goes by the name of its class."""

DRAWN = 3
"""Parameters up to which a picture shows Γ."""


def card_of(entry: Entry) -> Card:
    """The card of an entry; of one without a kept document it says what is stated."""
    kept = entry.kept.read_text(encoding="utf-8") if entry.kept.exists() else None
    outcome = () if kept is None else (_result(kept),)
    if not isinstance(entry, Derivation):
        return Card(entry.name, entry.title, ("other",), outcome, None, "")
    stated = read_problem_file(entry.path)
    kinds = [f"model-{_slug(MODELS.get(entry.name, 'other'))}", f"noise-{_slug(noise_name(stated.problem.noise))}"]
    codimension = None if kept is None else _codimension(kept)
    kinds += [] if codimension is None else [f"codimension-{codimension}"]
    return Card(
        name=entry.name,
        title=entry.title,
        kinds=tuple(kinds),
        lines=(*_stated(stated, codimension), *outcome),
        picture=entry.picture if entry.picture.exists() else None,
        alternative="Γ, with arrows along the drift"
        if stated.problem.dimension <= DRAWN
        else "the parameters over t, on a path of the limit",
    )


def noise_name(noise: Noise) -> str:
    """What the menu calls it."""
    name = type(noise).__name__
    return NOISES.get(name, name)


def _stated(stated: ProblemFile, codimension: int | None) -> Iterator[tuple[Inline, ...]]:
    problem, optimizer = stated.problem, optimizer_of(stated.optimizer)
    across: tuple[Inline, ...] = () if codimension is None else (", ", Math(f"M = {codimension}"))
    yield Math(f"D = {problem.dimension}"), *across, ", ", Math("L"), " = ", *in_text(problem.loss)
    yield "The noise is ", *in_words(optimizer.noise_statement(problem))


def _codimension(document: str) -> int:
    """M, as the document has it."""
    (parameters,) = re.findall(r"\$`D = (\d+)`\$ parameters", document)
    (dimension,) = re.findall(r"has dimension \$`D - M = (\d+)`\$", document)
    return int(parameters) - int(dimension)


def _result(document: str) -> tuple[Inline, ...]:
    """The line with the result; every other part of it is a formula."""
    (found,) = re.findall(r"^\*\*Result\.\*\* (.*)$", document, re.MULTILINE)
    parts = re.split(r"\$`(.*?)`\$", found)
    return tuple(Math(part) if k % 2 else part for k, part in enumerate(parts))


def _slug(name: str) -> str:
    """A name as a part of a class."""
    return name.lower().replace(" ", "-")
