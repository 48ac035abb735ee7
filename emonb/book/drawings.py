"""The study in one drawing: a prompt is tuned, its neurons are read, some of them are silenced."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch, Rectangle

from emonb.book.figures import INTACT, RANDOM, SELECTIVE, finish

COMMENT, EMOTION = "“Well, that went better\nthan I feared.”", "relief"
"""Made up for the drawing; nobody wrote it."""
TITLES = ("1  Tune", "2  Read", "3  Silence")
CAPTIONS = (
    "Only the prompt changes, until\nthe answers are right.",
    "The prompt alone: what its neurons do\nis the network's picture of the emotion.",
    "Is the answer worse than with as many\nneurons drawn by lot silenced?",
)
WHITE, GREY, NETWORK = "#FFFFFF", "#DDDDDD", "#CCE5F2"


def draw_pipeline() -> Figure:
    """Draw the three steps of the study side by side, with one made-up comment and one emotion."""
    fig, axes = plt.subplots(1, 3, figsize=(9.2, 4.1))
    fig.subplots_adjust(left=0.01, right=0.99, top=0.92, bottom=0.14, wspace=0.05)
    for step, (ax, title, caption) in enumerate(zip(axes, TITLES, CAPTIONS, strict=True)):
        ax.set(xlim=(0, 10), ylim=(0, 9.4))
        ax.axis("off")
        ax.set_title(title, loc="left", fontsize=12, fontweight="bold")
        ax.text(0.1, -0.3, caption, fontsize=9, va="top")
        _draw_input(ax, with_comment=step != 1)
        _draw_network(ax, silenced=step == 2)
        ax.annotate("", (1.0, 3.2), (1.0, 2.2), arrowprops={"arrowstyle": "-|>", "color": INTACT})
    _draw_answer(axes[0], "yes")
    axes[0].annotate("", (3.4, 2.2), (5.6, 7.9), arrowprops={"arrowstyle": "-|>", "color": SELECTIVE, "ls": "--", "lw": 1.6,
                     "connectionstyle": "arc3,rad=-0.8"})  # fmt: skip
    _draw_numbers(axes[1])
    _draw_answer(axes[2], "yes, or no?")
    return finish(fig)


def _draw_input(ax: Axes, with_comment: bool) -> None:
    """Boxes of what goes in: the mask, the prompt's vectors and, unless the prompt stands alone, the comment."""
    _box(ax, 0.1, 1.0, 1.8, 1.2, GREY, "<mask>", size=8)
    ax.text(3.3, 0.35, "soft prompt", color=SELECTIVE, fontsize=9, ha="center", va="center")
    for left in np.arange(2.1, 4.5, 0.5):
        ax.add_patch(Rectangle((left, 1.0), 0.38, 1.2, facecolor=SELECTIVE, edgecolor=INTACT, lw=0.8))
    if with_comment:
        _box(ax, 4.8, 1.0, 5.1, 1.2, WHITE, COMMENT, size=8)
    else:
        ax.text(5.0, 1.6, "no comment", fontsize=9, va="center", style="italic")


def _draw_network(ax: Axes, silenced: bool) -> None:
    """The frozen network with rows of neurons; those that carry an attribute are filled, and crossed where silenced."""
    ax.add_patch(FancyBboxPatch((0.2, 3.4), 9.5, 2.9, boxstyle="round,pad=0.1", facecolor=NETWORK, edgecolor=INTACT))
    ax.text(0.5, 6.0, "language model, frozen", fontsize=8, va="center")
    x, y = (values.ravel() for values in np.meshgrid(np.linspace(0.9, 9.0, 12), [3.9, 4.6, 5.3]))
    carries = np.random.default_rng(4).random(x.size) < 0.28
    ax.plot(x[~carries], y[~carries], "o", ms=6, mfc=WHITE, mec=INTACT, mew=0.8)
    ax.plot(x[carries], y[carries], "o", ms=6, mfc=RANDOM, mec=INTACT, mew=0.8)
    if silenced:
        ax.plot(x[carries], y[carries], "x", ms=9, color=INTACT, mew=2)


def _draw_answer(ax: Axes, answer: str) -> None:
    ax.annotate("", (1.0, 7.4), (1.0, 6.5), arrowprops={"arrowstyle": "-|>", "color": INTACT})
    _box(ax, 0.1, 7.5, 5.4, 1.0, WHITE, f"{EMOTION}? {answer}", size=10)


def _draw_numbers(ax: Axes) -> None:
    """The neurons' values as a column of greys, set beside a table of people's judgments."""
    ax.annotate("", (1.0, 7.4), (1.0, 6.5), arrowprops={"arrowstyle": "-|>", "color": INTACT})
    rng = np.random.default_rng(1)
    for k, value in enumerate(rng.random(12)):
        ax.add_patch(Rectangle((0.2 + 0.42 * k, 7.6), 0.4, 0.8, facecolor=str(0.3 + 0.6 * value), edgecolor="none"))
    ax.text(5.6, 8.0, "≈ people's\n     judgments?", fontsize=10, va="center")


def _box(
    ax: Axes, left: float, bottom: float, width: float, height: float, colour: str, text: str, size: float = 9
) -> None:
    ax.add_patch(Rectangle((left, bottom), width, height, facecolor=colour, edgecolor=INTACT, lw=0.8))
    ax.text(left + width / 2, bottom + height / 2, text, ha="center", va="center", fontsize=size)
