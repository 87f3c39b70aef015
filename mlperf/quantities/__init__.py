"""Measured quantities: units, intervals, arithmetic, checks and claims, scaling laws, and how they show themselves."""
