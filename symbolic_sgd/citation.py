"""How to cite the paper and the toolkit."""

from importlib.metadata import version

PAPER = """@inproceedings{li2022what,
  title     = {What Happens after {SGD} Reaches Zero Loss?
               {A} Mathematical Framework},
  author    = {Li, Zhiyuan and Wang, Tianhao and Arora, Sanjeev},
  booktitle = {International Conference on Learning Representations},
  year      = {2022},
  url       = {https://openreview.net/forum?id=siCt4xZn5Ve},
}"""
"""The theorem."""


def toolkit() -> str:
    """The toolkit, in the version that is installed.

    >>> toolkit().splitlines()[0]
    '@software{symbolic_sgd,'
    """
    return f"""@software{{symbolic_sgd,
  title   = {{symbolic-sgd: the limiting {{SDE}} of {{SGD}} on a manifold of minimizers}},
  author  = {{{{The symbolic\\_sgd developers}}}},
  version = {{{version("symbolic-sgd")}}},
}}"""


def bibtex() -> str:
    """BibTeX of both.

    >>> bibtex().count("@")
    2
    """
    return f"{PAPER}\n\n{toolkit()}\n"
