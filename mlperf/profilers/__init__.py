"""Profilers: the time, memory, work and accuracy of any callable or estimator, measured in fresh processes."""
