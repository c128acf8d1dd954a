"""Sums of products of arrays against einsum: dense and sparse operands, in every order of their axes."""

import random

import numpy as np
import pytest
from scipy import sparse

from symbolic_sgd.tensors.contraction import contracted
from symbolic_sgd.tensors.sparse_products import is_sparse, sparse_pair

SIZES = (3, 4, 2, 5)


def _operands(rng, numbers, scattered):
    """Up to five arrays on up to three of four indices; some of those on two are sparse, some stand twice."""
    arrays = []
    for _ in range(rng.randint(2, 5)):
        at = tuple(rng.sample(range(len(SIZES)), rng.randint(1, 3)))
        dense = numbers.standard_normal([SIZES[i] for i in at])
        if len(at) == 2 and rng.random() < scattered:
            dense = dense * (numbers.random(dense.shape) < 0.5)
            arrays.append((sparse.csr_array(dense), dense, at))
        else:
            arrays.append((dense, dense, at))
    return arrays


@pytest.mark.parametrize("scattered", [0.0, 0.9], ids=["dense", "sparse"])
@pytest.mark.parametrize("seed", range(60))
def test_contractions(seed, scattered):
    rng, numbers = random.Random(seed), np.random.default_rng(seed)
    arrays = _operands(rng, numbers, scattered)
    present = sorted({i for _, _, at in arrays for i in at})
    wanted = tuple(rng.sample(present, rng.randint(0, min(3, len(present)))))
    letters = ",".join("".join("abcd"[i] for i in at) for _, _, at in arrays)
    expected = np.einsum(f"{letters}->{''.join('abcd'[i] for i in wanted)}", *(dense for _, dense, _ in arrays))
    known = {}
    for _ in range(2):  # the second time from products that are known
        found = contracted([(array, at) for array, _, at in arrays], wanted, np, known)
        assert not is_sparse(found) and np.shape(found) == expected.shape
        assert np.allclose(found, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("weights", [[1.0, 2, 0, 3], [1.0, -2, 0, 3]], ids=["a square", "of both signs"])
@pytest.mark.parametrize("wanted", [(0, 1), (1, 0), (0, 2), (0,)])
@pytest.mark.parametrize("kind", [np.asarray, sparse.csr_array])
def test_one_matrix_twice(kind, wanted, weights):
    matrix = np.random.default_rng(0).standard_normal((3, 4)).round(1)
    operands = [(matrix, (0, 2)), (matrix, (1, 2)), (np.array(weights), (2,))]
    letters = ",".join("".join("abc"[i] for i in at) for _, at in operands)
    expected = np.einsum(f"{letters}->{''.join('abc'[i] for i in wanted)}", *(array for array, _ in operands))
    given = kind(matrix)
    found = contracted([(given, (0, 2)), (given, (1, 2)), operands[2]], wanted, np, {})
    assert np.allclose(found, expected, rtol=1e-13, atol=1e-14)


def test_a_product_of_two_sparse_matrices_is_not_filled():
    """z∘z stays sparse; three indices are left to dense arrays."""
    z = sparse.csr_array(np.eye(3))
    product, at = sparse_pair((z, (0, 1)), (z.T.tocsr(), (1, 0)), {0, 1})
    assert is_sparse(product) and at == (0, 1) and np.array_equal(product.toarray(), np.eye(3))
    assert sparse_pair((z, (0, 1)), (z, (2, 1)), {0, 1, 2}) is None
