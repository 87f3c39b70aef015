"""Floating-point work of a network: by closed form, and as torch counts it."""

from collections.abc import Callable, Sequence
from itertools import pairwise

from torch.utils.flop_counter import FlopCounterMode


def n_parameters(layer_sizes: Sequence[int]) -> int:
    """Return the number of weights and biases of a fully connected network.

    Parameters
    ----------
    layer_sizes : sequence of int
        Units of every layer from the inputs to the outputs, at least two.

    Returns
    -------
    int

    Raises
    ------
    ValueError
        If there are fewer than two layers or a number is below 1.

    Examples
    --------
    >>> from mlperf.profilers.work import n_parameters
    >>> n_parameters([5, 32, 1])
    225
    """
    _check_layers("n_parameters", layer_sizes)
    return sum((n_inputs + 1) * n_outputs for n_inputs, n_outputs in pairwise(layer_sizes))


def step_flops(layer_sizes: Sequence[int], n_rows: int) -> int:
    """Return the floating-point operations in the matrix products of one training step.

    Parameters
    ----------
    layer_sizes : sequence of int
        Units of every layer from the inputs to the outputs, at least two.
    n_rows : int
        Rows in the mini-batch.

    Returns
    -------
    int
        A product of (m, k) and (k, n) counts as 2 m k n. The forward pass has one for each layer; the backward pass has
        one for the gradient of each layer's weights and, from the second layer on, one for the gradient of the layer's
        inputs: the gradient of the data is not needed.

    Raises
    ------
    ValueError
        If there are fewer than two layers or a number is below 1.

    Examples
    --------
    >>> from mlperf.profilers.work import step_flops
    >>> step_flops([5, 32, 1], 64)  # twice for the first layer, three times for the second
    53248
    """
    _check_layers("step_flops", layer_sizes)
    if n_rows < 1:
        raise ValueError(f"The 'n_rows' parameter of step_flops must be an int of at least 1. Got {n_rows!r} instead.")
    weights = [n_inputs * n_outputs for n_inputs, n_outputs in pairwise(layer_sizes)]
    return 2 * n_rows * (3 * sum(weights) - weights[0])


def step_bytes(layer_sizes: Sequence[int], n_rows: int) -> int:
    """Return the bytes that one training step with Adam has to move at least, in float32.

    Parameters
    ----------
    layer_sizes : sequence of int
        Units of every layer from the inputs to the outputs.
    n_rows : int
        Rows in the mini-batch.

    Returns
    -------
    int
        Each parameter is read in the forward and in the backward pass, and its gradient is written; Adam reads the
        parameter, its gradient and two moments, and writes all but the gradient. Each layer's output is written and
        read, and so is its gradient.

    Examples
    --------
    >>> from mlperf.profilers.work import step_bytes
    >>> step_bytes([5, 32, 1], 64) > step_bytes([5, 32, 1], 32)
    True
    """
    return 4 * (10 * n_parameters(layer_sizes) + 4 * n_rows * sum(layer_sizes[1:]))


def counted_flops(call: Callable[[], object]) -> int:
    """Count the floating-point operations of the products that a call hands to torch.

    Parameters
    ----------
    call : callable
        Called once without arguments under :class:`torch.utils.flop_counter.FlopCounterMode`, which knows
        products, convolutions and attention, not operations on single elements.

    Returns
    -------
    int

    Examples
    --------
    >>> import torch
    >>> from mlperf.profilers.work import counted_flops
    >>> counted_flops(lambda: torch.ones(4, 8) @ torch.ones(8, 2))
    128
    """
    with FlopCounterMode(display=False) as counter:
        call()
    return int(counter.get_total_flops())


def _check_layers(owner: str, layer_sizes: Sequence[int]) -> None:
    if len(layer_sizes) < 2 or min(layer_sizes) < 1:
        raise ValueError(
            f"The 'layer_sizes' parameter of {owner} must be at least two ints of at least 1. "
            f"Got {layer_sizes!r} instead."
        )
