"""Names beside the points of a figure, placed where they cover least."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

Box = tuple[float, float, float, float]  # left, bottom, right, top in pixels


def name_points(ax: Axes, x: np.ndarray, y: np.ndarray, names: list[str]) -> None:
    """Write names beside points, each where it covers least of the points and of the names already written.

    Parameters
    ----------
    ax : Axes
        With the points drawn.
    x, y : array, shape (n,)
    names : list of str
    """
    ax.margins(0.08)
    figure = ax.get_figure()
    assert isinstance(figure, Figure)
    figure.draw_without_rendering()
    points = np.asarray(ax.transData.transform(np.column_stack([x, y])))
    taken: list[Box] = [(px - 4, py - 4, px + 4, py + 4) for px, py in points]
    for k in np.argsort(-points[:, 1]):
        px, py, w = float(points[k, 0]), float(points[k, 1]), 5.6 * len(names[k])
        spots = [(6, -4), (6, 4), (6, -12), (-w - 6, -4), (-w - 6, 4), (-w - 6, -12), (-w / 2, 7), (-w / 2, -17)]
        boxes: list[Box] = [(px + dx, py + dy, px + dx + w, py + dy + 10) for dx, dy in spots]
        best = int(np.argmin([sum(_overlap(box, other) for other in taken) for box in boxes]))
        taken.append(boxes[best])
        dx, dy = (value * 72 / figure.dpi for value in spots[best])
        ax.annotate(names[k], (x[k], y[k]), xytext=(dx, dy), textcoords="offset points", fontsize=7)


def _overlap(a: Box, b: Box) -> float:
    return max(0.0, min(a[2], b[2]) - max(a[0], b[0])) * max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
