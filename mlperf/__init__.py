"""Measure how models train and predict, compute with what was measured, judge what is said of it, publish it.

The public names are loaded when they are first used: ``import mlperf`` loads neither torch nor pandas.
"""

from importlib import import_module
from typing import Any

__version__ = "0.2.0"

PUBLIC = {
    "MLPRegressor": "mlperf.model",
    "Quantity": "mlperf.quantities.quantity",
    "Runs": "mlperf.quantities.runs",
    "Samples": "mlperf.data",
    "Table": "mlperf.quantities.tables",
    "accuracy": "mlperf.profilers.accuracy",
    "callers": "mlperf.profilers.operators",
    "claim": "mlperf.quantities.claims",
    "exact": "mlperf.quantities.quantity",
    "fact": "mlperf.quantities.checks",
    "generate_samples": "mlperf.data",
    "headline": "mlperf.quantities.drawing",
    "measure": "mlperf.profilers.measure",
    "not_measured": "mlperf.quantities.unmeasured",
    "operators": "mlperf.profilers.operators",
    "publish": "mlperf.results.publishing",
    "read": "mlperf.results.reading",
    "reference": "mlperf.quantities.drawing",
    "seconds": "mlperf.profilers.timing",
    "seconds_of_parts": "mlperf.profilers.timing",
    "seconds_per_call": "mlperf.profilers.timing",
    "split": "mlperf.data",
    "stack": "mlperf.quantities.quantity",
    "subplots": "mlperf.quantities.drawing",
}
"""Where each public name is defined."""

__all__ = ["PUBLIC", *PUBLIC]


def __getattr__(name: str) -> Any:
    if name in PUBLIC:
        return getattr(import_module(PUBLIC[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*globals(), *PUBLIC]
