"""Models of the literature as families for all sizes: each a function that states one, with the noise as its argument.

A model is a file of `named`, with what its regularizer means, and a line here.
"""

from symbolic_sgd.models.named.bilinear_attention import bilinear_attention
from symbolic_sgd.models.named.circular_convolution import circular_convolution
from symbolic_sgd.models.named.cp_decomposition import cp_decomposition
from symbolic_sgd.models.named.deep_linear_network import deep_linear_network
from symbolic_sgd.models.named.diagonal_network import diagonal_network
from symbolic_sgd.models.named.difference_of_squares import difference_of_squares
from symbolic_sgd.models.named.entrywise_square_sensing import entrywise_square_sensing
from symbolic_sgd.models.named.full_factorization import full_factorization
from symbolic_sgd.models.named.gated_network import gated_network
from symbolic_sgd.models.named.group_network import group_network
from symbolic_sgd.models.named.low_rank_adaptation import low_rank_adaptation
from symbolic_sgd.models.named.matrix_completion import matrix_completion
from symbolic_sgd.models.named.matrix_sensing import matrix_sensing
from symbolic_sgd.models.named.network_with_biases import network_with_biases
from symbolic_sgd.models.named.quadratic_network import quadratic_network
from symbolic_sgd.models.named.softmax_attention import softmax_attention
from symbolic_sgd.models.named.softmax_regression import softmax_regression
from symbolic_sgd.models.named.symmetric_sensing import symmetric_sensing
from symbolic_sgd.models.named.three_layer_network import three_layer_network
from symbolic_sgd.models.named.tied_linear_network import tied_linear_network
from symbolic_sgd.models.named.tucker_sensing import tucker_sensing
from symbolic_sgd.models.named.two_layer_network import two_layer_network
from symbolic_sgd.models.named.weight_normalization import weight_normalization

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
