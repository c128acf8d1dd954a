"""A named model each, with what its regularizer of label noise means."""
