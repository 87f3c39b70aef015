"""Measured quantities: units, intervals, arithmetic, checks and claims, scaling laws, tables and figures."""
