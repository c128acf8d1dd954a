"""The document of a family: every named model in every format, compiled without a line beyond the margin."""

import pytest
import sympy as sp
from latex_document import compiled_document, needs_tex, overfull

from symbolic_sgd import (
    AnyNoise,
    Family,
    IsotropicNoise,
    LabelNoise,
    derive_limiting_sde,
    models,
    verify,
)
from symbolic_sgd.documents.writers import html, latex
from symbolic_sgd.errors import BadInput
from symbolic_sgd.models.letters import d1, d2, matrix

(i, j), (n, d) = sp.symbols("i j", integer=True), sp.symbols("n d", integer=True, positive=True)
u, v, y, z = map(sp.IndexedBase, "uvyz")


def coordinates(noise):
    residual = sp.Sum(z[i, j] * (u[j] ** 2 - v[j] ** 2), (j, 1, d)) - y[i]
    return Family(residual=residual, sample=(i, 1, n), parameters=(u, v), noise=noise)


FAMILIES = {name: getattr(models, name)() for name in models.__all__}
FAMILIES["coordinates, label"] = coordinates(LabelNoise(1))
FAMILIES["coordinates, any"] = coordinates(AnyNoise())


@pytest.mark.parametrize("name", FAMILIES)
def test_every_family_has_a_document_in_every_format(name):
    sde = derive_limiting_sde(FAMILIES[name])
    title = f"The family {name.replace('_', ' ')}"
    for page in (sde.document(latex, title=title), sde.document(title=title), sde.document(html, title=title)):
        assert title in page and "li2022what" in page
    assert ("No regularizer is known" in sde.document()) == (name == "coordinates, any")


@needs_tex
@pytest.mark.parametrize("columns", [1, 2])
def test_nothing_sticks_out(columns, tmp_path):
    for name, family in FAMILIES.items():
        text = derive_limiting_sde(family).document(latex, title="A family", line=45 if columns == 2 else None)
        text = text.replace(r"\documentclass[", r"\documentclass[twocolumn,", 1) if columns == 2 else text
        done = compiled_document(text, tmp_path)
        assert done.returncode == 0, (name, done.stdout[-2000:])
        assert overfull(done) == [], name


def test_what_it_says():
    family = models.full_factorization()
    left, right = family.parameters
    sde = derive_limiting_sde(family)
    page = sde.document(predictor=left * right.T, certificate=verify(sde))
    for words in ("conserves", "function space", "Every check passed", r"\lVert U \rVert^{2}", r"\rVert_*"):
        assert words in page, words
    plain = sde.document()
    assert "function space" not in plain and "Certificate" not in plain


def test_what_is_refused():
    sde = derive_limiting_sde(coordinates(IsotropicNoise(1)))
    with pytest.raises(BadInput, match="MatrixFamily"):
        sde.document(predictor=sp.Symbol("beta"))
    with pytest.raises(BadInput, match="line"):
        sde.document(line=3)
    with pytest.raises(BadInput):
        derive_limiting_sde(models.matrix_sensing()).document(predictor=matrix("W", d1, d2))
