"""Direct labels in place of a legend: beside the axes, moved apart so that they do not overlap."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib import colors
from matplotlib.artist import Artist
from matplotlib.lines import Line2D
from matplotlib.text import Text
from matplotlib.transforms import Bbox, IdentityTransform

CONTRAST = 4.5
"""Minimum contrast of text on white: the accessibility guidelines' for text of this size (WCAG 2.2, 1.4.3)."""

PLAIN: dict[str, Any] = {"parse_math": False}
"""Settings of a text as it is: a dollar sign in the name of a model begins no formula."""

# Longer labels are broken into lines of at most this many characters.
LONGEST_LINE = 22
# In points: from the axes to the label, and between two labels.
GAP = 5.0
BETWEEN = 2.0
MARKER_SIZE = 6.0
# In pixels, the difference that keeps labels at the same height in order.
RANK = 1e-3


class Labels(Artist):
    """Labels along one side of some axes, each as close to its value as the others allow.

    Like a legend, it is an artist of the axes. Positions are computed when it is drawn, so they are right after adding
    labels, zooming, or changing the layout.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
        The axes to label.
    side : {"right", "top"}, default="right"
        Beside the axes, at y values, or above them, at x values.
    """

    def __init__(self, axes: Any, side: str = "right") -> None:
        super().__init__()
        self.side = side
        self.texts: list[Text] = []
        self.markers: list[Line2D] = []
        self._values: list[float] = []
        self._ranked: list[bool] = []
        axes.add_artist(self)
        self.set_clip_on(False)

    def add(self, value: float, text: str, *, color: Any, marker: str = "", ranked: bool = False) -> None:
        """Add a label.

        Parameters
        ----------
        value : float
            The preferred position, in data coordinates.
        text : str
            The text of the label.
        color : color
            The colour of the line or series that is labelled; the text gets a darker shade if it would be hard to read.
        marker : str, default=""
            The marker of the series, drawn before the text.
        ranked : bool, default=False
            Whether labels at nearly the same height stand in the order in which they were added, first on top, as where
            series are side by side; by default they have the order of their values. Only for the right side.
        """
        alignment: Any = {"ha": "left", "va": "center"} if self.side == "right" else {"ha": "center", "va": "bottom"}
        font: Any = {"color": legible(color), "fontsize": "medium", **PLAIN}
        self.texts.append(Text(0, 0, broken(text, LONGEST_LINE), **font, **alignment))
        style: Any = {"marker": marker or "None", "linestyle": "None", "markersize": MARKER_SIZE}
        self.markers.append(Line2D([], [], color=color, **style))
        axes: Any = self.axes
        for artist in (self.texts[-1], self.markers[-1]):
            artist.set_figure(axes.get_figure())
            artist.set_transform(IdentityTransform())
            artist.axes = axes
        self._values.append(value)
        self._ranked.append(ranked)
        self.stale = True

    def get_children(self) -> list[Artist]:
        """Return the texts and the markers."""
        return [*self.texts, *self.markers]

    def draw(self, renderer: Any) -> None:
        """Compute the positions, and draw the labels there."""
        if self.get_visible():
            self._place(renderer)
            for artist in self.get_children():
                artist.draw(renderer)
        self.stale = False

    def get_window_extent(self, renderer: Any = None) -> Bbox:
        """Return the bounding box of the labels in pixels, so that the layout leaves room for them."""
        if not self.texts:
            return Bbox.null()
        self._place(renderer)
        around = Bbox.union([text.get_window_extent(renderer) for text in self.texts])
        if self.side == "right":  # some room to the edge of the figure
            axes: Any = self.axes
            around.x1 += GAP / 2 * axes.get_figure(root=True).dpi / 72
        return around

    def _place(self, renderer: Any) -> None:
        axes: Any = self.axes
        point = axes.get_figure(root=True).dpi / 72
        frame = axes.bbox
        values = np.asarray(self._values, dtype=float)
        if self.side == "right":
            low, high = frame.y0, frame.y1
            wanted = axes.transData.transform(np.column_stack([np.full(len(values), axes.get_xlim()[1]), values]))[:, 1]
        else:
            low, high = frame.x0, frame.x1
            wanted = axes.transData.transform(np.column_stack([values, np.full(len(values), axes.get_ylim()[1])]))[:, 0]
        extents = [text.get_window_extent(renderer) for text in self.texts]
        sizes = [extent.height if self.side == "right" else extent.width for extent in extents]
        between = BETWEEN if self.side == "right" else 4 * BETWEEN
        if self.side == "right":
            wanted = in_order(wanted, self._ranked, near=min(sizes))
        places = spread(np.clip(wanted, low, high), np.asarray(sizes) + between * point, low, high)
        for text, marker, place in zip(self.texts, self.markers, places, strict=True):
            if self.side == "right":
                indent = GAP if marker.get_marker() == "None" else GAP + MARKER_SIZE + GAP
                text.set_position((frame.x1 + indent * point, place))
                marker.set_data([frame.x1 + (GAP + MARKER_SIZE / 2) * point], [place])
            else:
                text.set_position((place, frame.y1 + GAP / 2 * point))


def spread(wanted: Any, sizes: Any, low: float, high: float) -> Any:
    """Return positions as close to the preferred ones as possible without overlap.

    Parameters
    ----------
    wanted : array-like of shape (n,)
        The preferred centres.
    sizes : array-like of shape (n,)
        The length that each one takes.
    low, high : float
        Ends of the available range. If the lengths do not fit, they extend beyond both ends equally.

    Returns
    -------
    ndarray of shape (n,)
        The centres, in the same order along the side. Of all positions without overlap, they have the smallest sum of
        squared moves.

    Examples
    --------
    >>> from mlperf.quantities.labels import spread
    >>> spread([5, 5, 20], [4, 4, 4], 0, 30).tolist()
    [3.0, 7.0, 20.0]
    """
    wanted, sizes = np.asarray(wanted, dtype=float), np.asarray(sizes, dtype=float)
    order = np.argsort(wanted, kind="stable")
    ends = np.cumsum(sizes[order])
    starts = ends - sizes[order]
    # Less the lengths before it, no position may lie below the one before it (isotonic regression). Those that would
    # are pooled: each gets their mean.
    blocks: list[list[float]] = []
    for place in wanted[order] - sizes[order] / 2 - starts:
        blocks.append([place])
        while len(blocks) > 1 and np.mean(blocks[-2]) > np.mean(blocks[-1]):
            last = blocks.pop()
            blocks[-1] += last
    shifts = np.concatenate([np.full(len(block), np.mean(block)) for block in blocks]) if blocks else np.empty(0)
    spare = high - low - sizes.sum()
    shifts = np.clip(shifts, low, low + spare) if spare >= 0 else np.full(len(shifts), low + spare / 2)
    places = np.empty(len(wanted))
    places[order] = shifts + starts + sizes[order] / 2
    return places


def in_order(wanted: Any, ranked: Sequence[bool], near: float) -> Any:
    """Return preferred positions such that those at nearly the same height, as far as they are ranked, are in order.

    Parameters
    ----------
    wanted : array-like of shape (n,)
        The preferred centres.
    ranked : sequence of bool
        Which of them have a rank: their order in this sequence, first on top.
    near : float
        Up to which distance two of them, one above the other, are at nearly the same height.

    Returns
    -------
    ndarray of shape (n,)
        The centres; those at nearly the same height get their mean, and just so much less as their rank asks for.

    Examples
    --------
    >>> from mlperf.quantities.labels import in_order
    >>> in_order([3, 4, 20], [True, True, True], near=2).round(3).tolist()
    [3.5, 3.499, 20.0]
    """
    wanted = np.array(wanted, dtype=float)
    groups: list[list[int]] = []
    for one in sorted(np.flatnonzero(ranked).tolist(), key=lambda one: wanted[one]):
        if groups and wanted[one] - wanted[groups[-1][-1]] < near:
            groups[-1].append(one)
        else:
            groups.append([one])
    for group in groups:
        group.sort()
        wanted[group] = np.mean(wanted[group]) - RANK * np.arange(len(group))
    return wanted


def broken(text: str, width: int) -> str:
    r"""Break a label into lines of at most `width` characters: between words, and after / : _ in longer words.

    Examples
    --------
    >>> from mlperf.quantities.labels import broken
    >>> broken("torch/optim/adam.py(404): _multi_tensor_adam", 22)
    'torch/optim/\nadam.py(404):\n_multi_tensor_adam'
    """
    # A leading underscore stays with its name, and a file's name with its ending.
    joints = r"(?<=[/:])(?=[^/:])|(?<=[^/:_]_)(?=[^/:_.])"
    pieces: list[str] = []
    for word in re.split(r"(?<=\s)(?=\S)", text):
        pieces += [word] if len(word.rstrip()) <= width else re.split(joints, word)
    lines = [""]
    for piece in pieces:
        if len((lines[-1] + piece).rstrip()) > width:
            lines.append("")
        lines[-1] += piece
    # Words that are still too long are cut.
    cut = [line[start : start + width].strip() for line in lines for start in range(0, len(line), width)]
    return "\n".join(line for line in cut if line)


def legible(color: Any) -> str:
    """Return a colour that is legible as text on white: the colour itself, or a darker shade of it.

    Examples
    --------
    >>> from mlperf.quantities.labels import legible
    >>> legible("black"), legible("yellow")
    ('#000000', '#7a7a00')
    """
    shade = np.asarray(colors.to_rgb(color))
    while contrast(shade, "white") < CONTRAST:
        shade = 0.96 * shade
    return colors.to_hex(tuple(shade))


def contrast(one: Any, other: Any) -> float:
    """Return the contrast of two colours, from 1 to 21, as the accessibility guidelines (WCAG) define it.

    Examples
    --------
    >>> from mlperf.quantities.labels import contrast
    >>> round(contrast("white", "black"), 3)
    21.0
    """
    bright, dark = sorted((_luminance(colors.to_rgb(one)), _luminance(colors.to_rgb(other))), reverse=True)
    return float((bright + 0.05) / (dark + 0.05))


def _luminance(rgb: Sequence[float]) -> float:
    channels = np.asarray(rgb)
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])
