"""Exact tools that have never heard of SGD: the graph of expressions, its derivatives, its linear algebra, programs."""
