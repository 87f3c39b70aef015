"""Let a script run without drawing, for when only what it says is wanted: drawing takes most of its time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from mlperf.quantities import drawing


class Undrawn:
    """Stands for axes that are not drawn: whatever is asked of it, it does nothing and returns itself.

    Examples
    --------
    >>> from mlperf.results.undrawn import Undrawn
    >>> panels = Undrawn()
    >>> panels[0].set_ylabel("Time (s)") is panels
    True
    """

    def __getattr__(self, name: str) -> Undrawn:
        return self

    def __call__(self, *_: Any, **__: Any) -> Undrawn:
        """Return itself."""
        return self

    def __getitem__(self, place: Any) -> Undrawn:
        return self

    def __len__(self) -> int:
        return 1

    def __iter__(self) -> Iterator[Undrawn]:
        yield self

    def __str__(self) -> str:
        return ""


def stop_drawing() -> None:
    """Draw no quantity, headline or reference in this process any more; `subplots` still makes empty axes."""
    vars(drawing).update(dict.fromkeys(("plot", "headline", "reference"), Undrawn()))
