"""What is printed is what is computed: formulas in matrices are read back with plain NumPy and compared with the forms they are made of."""

import numpy as np
import pytest
from known_models import MODELS, draw
from latex_document import SNIPPET, TWO_COLUMNS, compiled_snippet, needs_tex, overfull
from read_formulas import Reader

from symbolic_sgd import AnyNoise, HeavyBall, IsotropicNoise, LabelNoise, derive_limiting_sde, models
from symbolic_sgd.errors import BadInput
from symbolic_sgd.printing.broken import broken
from symbolic_sgd.printing.width import visible_length
from symbolic_sgd.tensors.formula import MatrixFormula


def _reader(at):
    sizes = {str(i.name): int(at.arrays.number(i.size)) for i in at.model.labels}
    return Reader(at.arrays.tensors, sizes, at.arrays.numbers)


def _point(name):
    member = draw(name, 1)
    sde = derive_limiting_sde(member.known.family())
    return sde, sde.lambdify(check=False, **member.given).at(*member.parameters.values())


@pytest.mark.parametrize("name", [n for n in MODELS if n != "softmax regression"])
def test_a_trace_and_its_gradient(name):
    sde, at = _point(name)
    read = _reader(at)
    formula = sde.trace_hessian
    assert formula.in_matrices is not None
    assert read.value(formula.in_matrices, {}) == pytest.approx(float(at.arrays.value(formula.form)), rel=1e-10)
    for parameter in at.model.parameters:
        block = MatrixFormula(at.model.gradient_of(at.model.total_square)[parameter.name], at.model.slots(parameter))
        right = at.arrays.value(block.form)
        if block.in_matrices is not None:
            found = np.broadcast_to(np.squeeze(read.value(block.in_matrices, {})), np.squeeze(right).shape)
            assert np.abs(found - np.squeeze(right)).max() < 1e-9 * (1 + np.abs(right).max()), parameter


@pytest.mark.parametrize("name", MODELS)
def test_the_gram_matrix(name):
    sde, at = _point(name)
    read = _reader(at)
    right = at.arrays.value(at.model.gram)
    names = [str(i.name) for i in at.model.labels]
    second = [{"i": "j"}.get(s, f"{s}′") for s in names]
    for places in [
        (0,) * len(names) * 2,
        tuple(s - 1 for s in right.shape),
        (0,) * len(names) + tuple(s - 1 for s in right.shape[: len(names)]),
    ]:
        labels = dict(zip([*names, *second], places, strict=True))
        assert read.value(sde.gram.in_matrices, labels) == pytest.approx(float(right[places]), rel=1e-9, abs=1e-9)


def test_a_wrong_sign_would_be_read():
    sde, at = _point("sensing")
    formula = sde.trace_hessian
    wrong = MatrixFormula(formula.form.scaled(-1))
    assert _reader(at).value(wrong.in_matrices, {}) != pytest.approx(float(at.arrays.value(formula.form)))


FORMULAS = {
    "matrix_sensing": "1/(4 n) Σ_i (‖A_i V‖² + ‖A_iᵀ U‖²)",
    "full_factorization": "1/(4 d1) ‖U‖² + 1/(4 d2) ‖V‖²",
    "deep_linear_network": "1/(4 n) Σ_i (‖W3‖² ‖W1 x_i‖² + C ‖W2 W1 x_i‖² + ‖x_i‖² ‖W3 W2‖²)",
    "two_layer_network": "1/(4 n) Σ_i (‖a ∘ tanh′(W x_i)‖² ‖x_i‖² + ‖tanh(W x_i)‖²)",
    "bilinear_attention": "1/(4 n) Σ_i (‖z_i‖² ‖K x_i‖² + ‖x_i‖² ‖Q z_i‖²)",
    "difference_of_squares": "1/n Σ_i (‖u ∘ z_i‖² + ‖v ∘ z_i‖²)",
    "tucker_sensing": "1/(4 n) Σ_i (‖A_i V Sᵀ‖² + ‖A_iᵀ U S‖² + ‖Uᵀ A_i V‖²)",
    "low_rank_adaptation": "1/(4 n) Σ_i (d1 ‖A x_i‖² + ‖B‖² ‖x_i‖²)",
    "softmax_regression": "1/(4 n) Σ_i (‖W1 x_i‖² tr(κ_i) + ⟨κ_i, W2 W2ᵀ⟩ ‖x_i‖²)",
    "entrywise_square_sensing": "1/n Σ_i (‖(A_i ∘ U Vᵀ) V‖² + ‖(A_iᵀ ∘ V Uᵀ) U‖²)",
}


@pytest.mark.parametrize("name", FORMULAS)
def test_a_paper_prints_it_so(name):
    assert str(derive_limiting_sde(getattr(models, name)()).regularizer) == FORMULAS[name]


def test_every_model_prints_in_both_writings():
    for name in models.__all__:
        sde = derive_limiting_sde(getattr(models, name)())
        latex = sde.latex()
        assert str(sde).startswith("dY = b dt on Γ")
        assert latex.count("{") == latex.count("}") and "align" in latex
        assert all(block.einsum() and block.indices() for block in sde.drift.values())


WIDEST = [
    derive_limiting_sde(model(noise))
    for model in (models.softmax_attention, models.three_layer_network, models.network_with_biases)
    for noise in (LabelNoise(1), AnyNoise())
]


@needs_tex
@pytest.mark.parametrize(("line", "article"), [(75, SNIPPET), (45, TWO_COLUMNS)])
def test_no_line_is_wider_than_the_column(tmp_path, line, article):
    optimizer = HeavyBall(momentum=0.5, learning_rate=0.1, weight_decay=1)
    spectral = derive_limiting_sde(models.three_layer_network(IsotropicNoise(2)), optimizer=optimizer)
    done = compiled_snippet("\n".join(sde.latex(line=line) for sde in [*WIDEST, spectral]), tmp_path, article)
    assert done.returncode == 0, done.stdout[-2000:]
    assert overfull(done) == []
    assert "Overfull \\vbox" not in done.stdout


def test_what_is_broken_says_the_same():
    for sde in WIDEST:
        for block in sde.drift.values():
            lines = broken(block.latex(), 60)
            assert len(lines) > (visible_length(block.latex()) > 60)
            assert all(visible_length(line) <= 60 for line in lines)
            assert _plain(" ".join(lines)) == _plain(block.latex())


def _plain(tex):
    """Without what lines add: {}, \\quad, spaces, and how large brackets are."""
    for mark in (r"\quad", r"\qquad", "{}", r"\,", r"\left", r"\right", r"\bigl", r"\bigr", " "):
        tex = tex.replace(mark, "")
    return tex


def test_a_length_of_lines_that_makes_no_sense():
    with pytest.raises(BadInput, match="line is 3"):
        derive_limiting_sde(models.matrix_sensing()).latex(line=3)


@needs_tex
def test_the_latex_of_every_model_compiles(tmp_path):
    sdes = [derive_limiting_sde(getattr(models, name)()) for name in models.__all__]
    sdes += [
        derive_limiting_sde(m(noise))
        for m in (models.two_layer_network, models.softmax_regression)
        for noise in (AnyNoise(), IsotropicNoise(2))
    ]
    text = "\n".join(sde.latex() for sde in sdes)
    indexed = "\n".join(rf"\[ {block.indices(tex=True)} \]" for block in sdes[0].drift.values())
    done = compiled_snippet(text + indexed, tmp_path)
    assert done.returncode == 0, done.stdout[-2000:]
