"""Profilers: measuring over a grid, time, operators, memory, instructions, accuracy, and the work and ceilings beside it."""
