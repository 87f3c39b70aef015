"""All parameters of a network in one flat tensor, so that an optimiser's step is one operation for all of them."""

from itertools import pairwise

import torch
from torch import Tensor, nn


def flatten(module: nn.Sequential) -> tuple[Tensor, tuple[int, ...]]:
    """Move the parameters of a network into one tensor.

    Parameters
    ----------
    module : nn.Sequential of nn.Linear and nn.ReLU
        Its parameters become views of the flat ones: they are up to date after every step.

    Returns
    -------
    flat : Tensor of shape (n_parameters,)
        The parameters in the order of `layers`.
    sizes : tuple of int
        Features, units of each hidden layer, outputs.

    Examples
    --------
    >>> from torch import nn
    >>> flat, sizes = flatten(nn.Sequential(nn.Linear(5, 32), nn.ReLU(), nn.Linear(32, 1)))
    >>> len(flat), sizes
    (225, (5, 32, 1))
    """
    linear, sizes = _linear(module), layer_sizes(module)
    flat = torch.cat([part.detach().reshape(-1) for layer in linear for part in (layer.weight.t(), layer.bias)])
    for layer, (W, b) in zip(linear, layers(flat, sizes), strict=True):
        layer.weight.data, layer.bias.data = W.t(), b
    return flat, sizes


def separate(module: nn.Module) -> None:
    """Give each parameter memory of its own, as a module that is pickled should have.

    pickle writes the whole tensor behind a view, once for each view.

    Parameters
    ----------
    module : nn.Module
        Its parameters keep their values.

    Examples
    --------
    >>> from torch import nn
    >>> from mlperf.training.parameters import flatten, separate
    >>> module = nn.Sequential(nn.Linear(5, 32), nn.ReLU(), nn.Linear(32, 1))
    >>> flat, sizes = flatten(module)
    >>> separate(module)
    >>> module[2].bias.untyped_storage().nbytes()
    4
    """
    for parameter in module.parameters():
        if not parameter.is_contiguous() or parameter.untyped_storage().nbytes() > parameter.nbytes:
            parameter.data = parameter.detach().clone(memory_format=torch.contiguous_format)


def layer_sizes(module: nn.Sequential) -> tuple[int, ...]:
    """Return features, units of each hidden layer, outputs.

    Examples
    --------
    >>> from torch import nn
    >>> from mlperf.training.parameters import layer_sizes
    >>> layer_sizes(nn.Sequential(nn.Linear(5, 32), nn.ReLU(), nn.Linear(32, 1)))
    (5, 32, 1)
    """
    linear = _linear(module)
    return linear[0].in_features, *(layer.out_features for layer in linear)


def _linear(module: nn.Sequential) -> list[nn.Linear]:
    return [layer for layer in module if isinstance(layer, nn.Linear)]


def layers(flat: Tensor, sizes: tuple[int, ...]) -> list[tuple[Tensor, Tensor]]:
    """Return views of flat parameters: for each layer its weight, of shape (inputs, outputs), and its bias.

    Parameters
    ----------
    flat : Tensor of shape (n_parameters,)
        One layer after the other, its weight before its bias.
    sizes : tuple of int
        Features, units of each hidden layer, outputs.

    Returns
    -------
    list of (Tensor, Tensor)
        One pair for each layer.

    Examples
    --------
    >>> import torch
    >>> [(tuple(W.shape), tuple(b.shape)) for W, b in layers(torch.zeros(225), (5, 32, 1))]
    [((5, 32), (32,)), ((32, 1), (1,))]
    """
    cut, start = [], 0
    for n_in, n_out in pairwise(sizes):
        end = start + n_in * n_out
        cut.append((flat[start:end].view(n_in, n_out), flat[end : end + n_out]))
        start = end + n_out
    return cut
