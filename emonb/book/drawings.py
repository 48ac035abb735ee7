"""How attributes and lesions are measured: a drawing each, of made-up numbers."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from emonb.book.figures import INTACT, RANDOM, SELECTIVE, finish

_EMOTIONS = ("joy", "love", "fear", "anger", "grief")
_PLACES = {
    "network": [0.2, 0.0, 2.6, 3.3, 1.6],
    "attribute": [0.1, 0.4, 3.0, 2.4, 2.9],
}

NETWORK = "#CCE5F2"


def draw_searchlight() -> Figure:
    """Draw how neurons are searched: one neuron's distances beside an attribute's, again for every neuron."""
    fig, (left, middle, right) = _panels([1.25, 1.6, 1.25])
    _draw_rdm(left, _PLACES["attribute"], "an attribute")
    chosen = _draw_neurons(middle, {}, title="every neuron in turn")
    middle.plot(*chosen, "o", ms=8, mfc=SELECTIVE, mec=INTACT)
    _draw_rdm(right, _PLACES["network"], "this neuron")
    fig.text(
        0.5, 0.02, "names of the attribute's emotions shuffled: search all again, keep the best", ha="center", fontsize=9.5
    )
    return finish(fig)


def draw_silencing() -> Figure:
    """Draw how a lesion is judged: accuracy with an attribute's neurons silenced, and with as many others."""
    fig, (left, middle, right) = _panels([1.4, 1.4, 1.2])
    own = np.array([3, 4, 5, 14, 15, 16, 28, 29])
    lots = np.random.default_rng(8).choice(36, len(own), replace=False)
    _draw_neurons(left, dict.fromkeys(own, SELECTIVE), title="its neurons silenced")
    _draw_neurons(middle, dict.fromkeys(lots, RANDOM), title="as many, by lot")
    for y, value, colour, name in ((1, 0.52, SELECTIVE, "own"), (0, 0.71, RANDOM, "by lot")):
        right.barh(y, value, 0.5, color=colour)
        right.text(0.03, y, name, va="center", fontsize=10, color="white", fontweight="bold")
    right.annotate("", (0.72, 0.5), (0.51, 0.5), arrowprops={"arrowstyle": "<->", "color": INTACT})
    right.text(0.75, 0.5, "loss", va="center", fontsize=10)
    right.set(xlim=(0, 0.95), yticks=[], xticks=[0, 0.5], xlabel="accuracy")
    right.set_title("one mask, one number", fontsize=10)
    return finish(fig)


def _panels(widths: list[float]) -> tuple[Figure, list[Axes]]:
    fig, axes = plt.subplots(1, len(widths), figsize=(7.6, 2.75), width_ratios=widths)
    fig.subplots_adjust(left=0.08, right=0.97, top=0.86, bottom=0.22, wspace=0.45)
    return fig, list(axes)


def _draw_rdm(ax: Axes, places: list[float], title: str) -> np.ndarray:
    """Distances [emotion, emotion] of emotions on a line, as a matrix; dark is far."""
    at = np.array(places)
    rdm = np.abs(at[:, None] - at[None])
    ax.pcolormesh(rdm, cmap="Greys", vmin=0, vmax=1.3 * rdm.max())
    ax.set(xticks=[], yticks=np.arange(len(at)) + 0.5, aspect="equal")
    ax.set_yticklabels(_EMOTIONS, fontsize=9.5)
    ax.invert_yaxis()
    ax.set_title(title, fontsize=10)
    return rdm


def _draw_neurons(ax: Axes, silenced: dict[int, str], title: str) -> tuple[float, float]:
    """Neurons in rows, those silenced coloured and crossed; the place of one in the middle."""
    x, y = (values.ravel() for values in np.meshgrid(np.arange(9), np.arange(4)))
    ax.set_facecolor(NETWORK)
    ax.plot(x, y, "o", ms=7, mfc="white", mec=INTACT, mew=0.8)
    for k, colour in silenced.items():
        ax.plot(x[k], y[k], "o", ms=11, mfc=colour, mec=INTACT, mew=0.8)
        ax.plot(x[k], y[k], "x", ms=10, color=INTACT, mew=1.4)
    ax.set(xlim=(-0.7, 8.7), ylim=(-0.8, 3.8), xticks=[], yticks=[])
    ax.set_title(title, fontsize=10)
    return float(x[13]), float(y[13])
