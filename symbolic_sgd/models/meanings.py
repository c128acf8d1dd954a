"""What the regularizer of label noise says of each named model, in one line."""

MEANINGS = {
    "matrix_sensing": "Factors are weighed by what the measurements see of them.",
    "matrix_completion": "Each row of a factor counts as often as its entries are seen.",
    "full_factorization": "Weight decay, with a weight for each factor: at rest it is a multiple of the nuclear norm.",
    "symmetric_sensing": "The same with one factor on both sides.",
    "low_rank_adaptation": "The factor B is decayed, and A along the inputs only.",
    "entrywise_square_sensing": "The product U Vᵀ stands inside of each measurement.",
    "tied_linear_network": "One matrix in three places: the places interfere.",
    "deep_linear_network": "Each layer is weighed by what is before and behind it.",
    "two_layer_network": "Activations, and outer weights where the units are not saturated.",
    "network_with_biases": "The same with outputs; the constant is of the last bias, which nothing can make smaller.",
    "gated_network": "A ReLU network in one cell of its activations.",
    "three_layer_network": "Activations of both layers, and what is passed back through them.",
    "quadratic_network": "Fourth moments of the inputs, seen through the units.",
    "bilinear_attention": "Queries and keys, each along the inputs of the other.",
    "softmax_attention": "The softmax is a quotient of exponentials: printed as such.",
    "cp_decomposition": "Products of the column norms of two factors at a time.",
    "tucker_sensing": "The core, and each factor, seen through the other two.",
    "circular_convolution": "With the matrices of a convolution it is ¼(‖u‖² + ‖v‖²).",
    "difference_of_squares": "Weight decay with a weight for each coordinate.",
    "diagonal_network": "With three layers at rest a weighted sum of powers 4/3 of the entries of their product.",
    "group_network": "At rest a weighted sum of norms of the rows of diag(u) V: groups.",
    "weight_normalization": "The scale g is weighed by what the direction w/‖w‖ does not see of the inputs.",
    "softmax_regression": "Curvatures κ_i of the classes weigh both layers.",
}
"""By the name of the model; adding a model is adding a row."""
