"""Writes docs/gallery.md, a card for every entry of `symbolic-sgd gallery`, and draws its pictures: `python docs/gallery.py [NAME …]`.

With names only their pictures are drawn anew, beside their problem files. What stands on a card is taken from these and the documents.
"""

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from symbolic_sgd import derive_limiting_sde
from symbolic_sgd.api.limiting_sde import LimitingSDE
from symbolic_sgd.command.cards import card_of
from symbolic_sgd.command.gallery import Derivation, entries
from symbolic_sgd.optimizers.stated import optimizer_of
from symbolic_sgd.printing.blocks import Inline
from symbolic_sgd.problems.problem_file import read_problem_file
from symbolic_sgd.serve.cards import Card

PAGE = Path(__file__).with_suffix(".md")
HEAD = r"""# Gallery

Every card is a problem file with the document that is derived from it, which opens by its title: assumptions checked, $\Gamma$,
each of the four terms, the equation, $R$ with its evidence. In two and three parameters the picture is $\Gamma$ in the colours of $R$
(violet is low, yellow high; grey elsewhere), with arrows along the drift, and discs where it vanishes, filled where that is
stable; in more parameters it is one path of the limit, every parameter over $t$. Constants are 1 in the pictures.
On the command line the same are

- `symbolic-sgd gallery`, all of them, a line each,
- `symbolic-sgd gallery motor --document motor.html --plots`, one of them as a page.

The page and its pictures are written by `python docs/gallery.py`.

::::{container} cards gallery
"""

FOOT = "::::\n"


def page() -> str:
    """The page."""
    return "\n".join([HEAD, *(line for entry in entries() for line in written(card_of(entry))), FOOT])


def written(card: Card) -> Iterator[str]:
    """One card."""
    yield f":::{{container}} card {' '.join(card.kinds)}"
    if card.picture is not None:
        yield f"![{card.alternative}](derivations/{card.picture.name})\n"
    yield f"**[{card.title}](derivations/{card.name}.md)**\n"
    yield "\n\n".join(map(_markdown, card.lines))
    yield ":::\n"


def _markdown(parts: Iterable[Inline]) -> str:
    return "".join(part if isinstance(part, str) else f"${part.tex}$" for part in parts)


# --- the pictures -------------------------------------------------------------------------------

WIDTH, HEIGHT = 2.4, 1.8
"""Of a picture, in inches."""


def draw(entry: Derivation) -> None:
    """The picture of an entry."""
    import matplotlib  # noqa: PLC0415  (the page needs no picture)

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt  # noqa: PLC0415

    stated = read_problem_file(entry.path)
    sde = derive_limiting_sde(stated.problem, optimizer=optimizer_of(stated.optimizer))
    with plt.rc_context({"svg.hashsalt": "symbolic_sgd", "font.size": 8, "path.simplify_threshold": 1.0}):
        figure = plt.figure(figsize=(WIDTH, HEIGHT))
        (_gamma if sde.problem.dimension <= 3 else _path)(figure, sde)
        figure.savefig(entry.picture, metadata={"Date": None}, transparent=True, dpi=144)
        plt.close(figure)


def _gamma(figure, sde: LimitingSDE) -> None:
    """Γ in the colours of R."""
    from symbolic_sgd.plots import plot_manifold  # noqa: PLC0415

    solid = sde.problem.dimension == 3
    ax = figure.add_axes((0, 0, 1, 1), projection="3d" if solid else None)
    plot_manifold(sde, ax=ax, path=False, samples=8, constants=dict.fromkeys(sde.problem.constants, 1))
    for bar in figure.axes[1:]:
        bar.remove()
    if ax.get_legend() is not None:
        ax.get_legend().remove()
    ax.set_position((0, 0, 1, 1))
    ax.set_axis_off()
    for drawn in (*ax.collections, *ax.lines):
        _seen_on_both(drawn)
        drawn.set_rasterized(solid)


def _seen_on_both(drawn) -> None:
    """On light pages and on dark ones: what is black is vermilion, the lines of the loss are grey."""
    from matplotlib.colors import to_hex  # noqa: PLC0415
    from matplotlib.contour import ContourSet  # noqa: PLC0415

    from symbolic_sgd.plots import style  # noqa: PLC0415

    if isinstance(drawn, ContourSet):
        drawn.set_edgecolor((0.5, 0.5, 0.5, 0.4))
        return
    for part in ("color", "facecolor", "edgecolor", "markerfacecolor", "markeredgecolor"):
        colours = getattr(drawn, f"get_{part}", lambda: None)()
        several = colours is not None and not isinstance(colours, str) and np.ndim(colours) == 2
        if colours is None or (several and len(colours) != 1):
            continue
        if to_hex(colours[0] if several else colours) == "#000000":
            getattr(drawn, f"set_{part}")(style.VERMILION)


def _path(figure, sde: LimitingSDE) -> None:
    """Every parameter over t."""
    from symbolic_sgd.plots import style  # noqa: PLC0415
    from symbolic_sgd.plots.gamma import Gamma  # noqa: PLC0415
    from symbolic_sgd.plots.paths import limit_path  # noqa: PLC0415

    gamma = Gamma.of(sde, constants=dict.fromkeys(sde.problem.constants, 1))
    along = limit_path(gamma, None, 0, foot_of=gamma)
    ax = figure.add_axes((0.04, 0.06, 0.92, 0.88))
    for k, values in enumerate(along.T):
        dashes = style.STYLES[k // (len(style.LINES) - 1)]  # without black, which is not seen on a dark page
        ax.plot(
            np.linspace(0, 1, len(values)), values, color=style.LINES[k % (len(style.LINES) - 1)], ls=dashes, lw=1.3
        )
    ax.axhline(0, color=style.GREY, lw=0.6)
    ax.set_axis_off()


def main(names: list[str]) -> None:
    """Pictures of the entries of these names; without names the page and all of them."""
    if not names:
        PAGE.write_text(page(), encoding="utf-8")
    for entry in entries():
        if isinstance(entry, Derivation) and (not names or entry.name in names):
            draw(entry)


if __name__ == "__main__":
    main(sys.argv[1:])
