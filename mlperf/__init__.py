"""Measure how small neural-network regressors train and predict, and judge what is said of it.

Each module is one room with one duty; import from it directly (``from mlperf.measure import measure``).
"""

__version__ = "0.1.0"
