"""Models of the literature as families for all sizes: each a function that states one, with the noise as its argument."""

from symbolic_sgd.models.attention import bilinear_attention, softmax_attention
from symbolic_sgd.models.decompositions import circular_convolution, cp_decomposition, tucker_sensing
from symbolic_sgd.models.diagonal import diagonal_network, difference_of_squares, group_network, weight_normalization
from symbolic_sgd.models.factorizations import (
    entrywise_square_sensing,
    full_factorization,
    low_rank_adaptation,
    matrix_completion,
    matrix_sensing,
    symmetric_sensing,
    tied_linear_network,
)
from symbolic_sgd.models.networks import (
    deep_linear_network,
    gated_network,
    network_with_biases,
    quadratic_network,
    softmax_regression,
    three_layer_network,
    two_layer_network,
)

__all__ = [
    "bilinear_attention",
    "circular_convolution",
    "cp_decomposition",
    "deep_linear_network",
    "diagonal_network",
    "difference_of_squares",
    "entrywise_square_sensing",
    "full_factorization",
    "gated_network",
    "group_network",
    "low_rank_adaptation",
    "matrix_completion",
    "matrix_sensing",
    "network_with_biases",
    "quadratic_network",
    "softmax_attention",
    "softmax_regression",
    "symmetric_sensing",
    "three_layer_network",
    "tied_linear_network",
    "tucker_sensing",
    "two_layer_network",
    "weight_normalization",
]
