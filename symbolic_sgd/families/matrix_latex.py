"""The limiting SDE of a family of matrices as paragraphs and displays."""

from collections.abc import Iterator

from symbolic_sgd.families.matrix_terms import MatrixTerms
from symbolic_sgd.printing.blocks import Block, aligned, display, paragraph


def matrix_family_blocks(terms: MatrixTerms) -> Iterator[Block]:
    """The residual, R, the drift of each parameter, and what it names."""
    family = terms.family
    labels = ",".join(str(i.name) for i in terms.model.labels)
    noise = "" if family.proportion is not None else r" + \partial\Phi\,\sigma\,dW"
    yield aligned([
        rf"f_{{{labels}}} &= {terms.residual.latex()}",
        rf"dY &= b\,dt{noise}\qquad\text{{on }}\Gamma = \{{f = 0\}}",
    ])  # fmt: skip
    if terms.regularizer is not None:
        yield display(rf"R = {terms.regularizer.latex()}")
    yield aligned([rf"b_{{{name}}} &= {block.latex()}" for name, block in terms.drift.items()])
    yield paragraph("where")
    yield aligned([f"{d.latex}".replace("=", "&=", 1) for d in terms.definitions])
