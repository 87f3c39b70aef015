"""Profilers: what a callable or an estimator takes, measured in fresh processes; none knows our own models."""
