"""Train many networks together: one batched call for all of them where an engine makes one for each."""

import math
from collections.abc import Callable, Generator, Iterator, Sequence

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap

from mlperf.training.compiled import Training
from mlperf.training.eager import by_autograd
from mlperf.training.engines import suited
from mlperf.training.network import network, usual_torch
from mlperf.training.standard import Held, Scaler, standardised


def together(
    modules: Sequence[nn.Module],
    X: Tensor,
    y: Tensor,
    *,
    learning_rate: float | ArrayLike,
    batch_size: int,
    generators: Sequence[torch.Generator],
) -> Generator[Tensor, float | ArrayLike | None, None]:
    """Train networks of one architecture, each on its own data, with the mathematics of `mlperf.training.engines`.

    Parameters
    ----------
    modules : sequence of nn.Module
        The networks; their parameters are updated in place after each epoch. They may lie on a device, with `X` and
        `y`.
    X : Tensor of shape (n_modules, n_samples, n_features), float32
        Standardised features of each.
    y : Tensor of shape (n_modules, n_samples, n_outputs), float32
        Standardised targets of each.
    learning_rate : float
        Step size of Adam, the same for all. Whoever iterates may send another one for the epochs to come.
    batch_size : int
        Rows in a mini-batch; the last one keeps what is left.
    generators : sequence of torch.Generator
        Draw the order of the rows, one ``torch.randperm`` for each network and epoch.

    Yields
    ------
    Tensor of shape (n_modules,)
        Mean squared error over the epoch, each mini-batch taken before its own step; on the CPU.

    Raises
    ------
    ValueError
        If modules, data and generators are not equally many, or step sizes differ.

    Examples
    --------
    >>> import torch
    >>> from mlperf.training.together import together
    >>> X, y = torch.ones(2, 10, 5), torch.ones(2, 10, 1)
    >>> networks, generators = [torch.nn.Linear(5, 1) for _ in X], [torch.Generator() for _ in X]
    >>> next(together(networks, X, y, learning_rate=0.01, batch_size=5, generators=generators)).shape
    torch.Size([2])
    """
    _check_counts("together", modules, X, y, generators)

    def loss(parameters: dict[str, Tensor], X_batch: Tensor, y_batch: Tensor) -> Tensor:
        return nn.functional.mse_loss(functional_call(modules[0], parameters, (X_batch,)), y_batch)

    losses_of = vmap(loss)
    stacked, _ = stack_module_state(list(modules))
    parameters = {name: value.detach().requires_grad_() for name, value in stacked.items()}
    # Adam works on each number by itself: of stacked parameters it does what it would do of each.
    optimiser = torch.optim.Adam(parameters.values(), lr=_for_all(learning_rate), fused=True)
    n_samples = X.shape[1]
    while True:
        order = torch.stack([torch.randperm(n_samples, generator=generator) for generator in generators])[..., None]
        order = order.to(X.device)
        shuffled = torch.take_along_dim(X, order, 1), torch.take_along_dim(y, order, 1)
        total = torch.zeros(len(modules), dtype=X.dtype, device=X.device)
        for X_batch, y_batch in zip(*(data.split(batch_size, dim=1) for data in shuffled), strict=True):
            optimiser.zero_grad()
            losses = losses_of(parameters, X_batch, y_batch)
            # No network's loss depends on another's parameters, so the gradient of the sum is that of each.
            losses.sum().backward()
            optimiser.step()
            total += losses.detach() * (X_batch.shape[1] / n_samples)
        with torch.no_grad():
            for number, module in enumerate(modules):
                for name, parameter in module.named_parameters():
                    parameter.copy_(parameters[name][number])
        changed = yield total.cpu()
        if changed is not None:
            optimiser.param_groups[0]["lr"] = _for_all(changed)


def compiled_together(
    modules: Sequence[nn.Sequential],
    X: Tensor,
    y: Tensor,
    *,
    learning_rate: float | ArrayLike,
    batch_size: int,
    generators: Sequence[torch.Generator],
) -> Generator[Tensor, float | ArrayLike | None, None]:
    """Train networks as `together` does, in one call of the compiled program an epoch, which shares them among threads.

    Parameters, losses and errors are those of `together`, but for the step size, which may differ from one network to
    the next.

    Parameters
    ----------
    learning_rate : float or sequence of float
        Step size of Adam, one for all or one for each. Whoever iterates may send others for the epochs to come.

    Raises
    ------
    RuntimeError
        If the program has to be compiled and no C++ compiler works.

    Examples
    --------
    >>> import torch
    >>> from mlperf.training.network import network, usual_torch
    >>> from mlperf.training.together import compiled_together
    >>> X, y, generators = torch.ones(2, 10, 5), torch.ones(2, 10, 1), [torch.Generator() for _ in range(2)]
    >>> networks = [network([5, 8, 1], generator) for generator in generators]
    >>> settings = {"batch_size": 5, "generators": generators}
    >>> epochs = compiled_together(networks, X, y, learning_rate=[0.1, 0.01], **settings)
    >>> next(epochs).shape  # doctest: +SKIP
    torch.Size([2])
    """
    _check_counts("compiled_together", modules, X, y, generators)
    training = Training(modules, X, y, learning_rate=learning_rate, batch_size=batch_size)
    while True:
        for number, generator in enumerate(generators):
            training.shuffle(number, generator)
        changed = yield torch.from_numpy(training.epoch()).float()
        if changed is not None:
            training.learning_rates[:] = changed


def one_by_one(
    modules: Sequence[nn.Module],
    X: Tensor,
    y: Tensor,
    *,
    learning_rate: float,
    batch_size: int,
    generators: Sequence[torch.Generator],
    fused: bool = False,
) -> Iterator[Tensor]:
    """Train networks as `together` does, but each by itself: what training together is compared with.

    Parameters, losses and errors are those of `together`, but for the step size, which stays as it is.

    Parameters
    ----------
    fused : bool, default=False
        Whether Adam takes its step for all parameters of a network in one call.

    Examples
    --------
    >>> import torch
    >>> from mlperf.training.together import one_by_one
    >>> X, y = torch.ones(2, 10, 5), torch.ones(2, 10, 1)
    >>> networks, generators = [torch.nn.Linear(5, 1) for _ in X], [torch.Generator() for _ in X]
    >>> next(one_by_one(networks, X, y, learning_rate=0.01, batch_size=5, generators=generators)).shape
    torch.Size([2])
    """
    _check_counts("one_by_one", modules, X, y, generators)
    optimisers = [
        torch.optim.Adam(module.parameters(), lr=learning_rate, foreach=False, fused=fused) for module in modules
    ]
    trainings = [
        by_autograd(*network, batch_size=batch_size, generator=generator)
        for *network, generator in zip(modules, X, y, optimisers, generators, strict=True)
    ]
    while True:
        yield torch.tensor([next(training) for training in trainings], dtype=torch.float32)


@np.errstate(all="ignore")
@usual_torch()
def fit_together(
    hidden_layer_sizes: Sequence[int],
    problems: Sequence[tuple[ArrayLike, ArrayLike]],
    *,
    random_states: Sequence[int],
    learning_rate_init: float | Sequence[float] = 0.001,
    max_iter: int = 200,
    batch_size: int = 64,
    anneal: bool = False,
) -> list[Callable[[np.ndarray], np.ndarray]]:
    """Fit one network to each of many problems, as `mlperf.model.MLPRegressor` would one by one.

    They are trained by `compiled_together` where ``engine="auto"`` would take the compiled engine, else by `together`.

    Parameters
    ----------
    hidden_layer_sizes : sequence of int
        Units of each hidden layer; an empty one makes linear models.
    problems : sequence of (X, y)
        Training data of shapes (n_samples, n_features) and (n_samples,), the same shapes in all.
    random_states : sequence of int
        One for each problem; it leads to the initial weights and orders that it leads to in the estimator.
    learning_rate_init : float or sequence of float, default=0.001
        Step size of Adam, one for all or one for each; different ones need a C++ compiler.
    max_iter : int, default=200
        Epochs.
    batch_size : int, default=64
        Samples of one mini-batch.
    anneal : bool, default=False
        Lower the step size to zero, linearly, over the second half of the epochs.

    Returns
    -------
    list of callable
        Each predicts, in original units, the target of an array of shape (n_samples, n_features).

    Raises
    ------
    ValueError
        If the problems differ in shape, or there are none.
    RuntimeError
        If step sizes differ and no C++ compiler works.

    Examples
    --------
    >>> from mlperf.data import generate_samples
    >>> from mlperf.training.together import fit_together
    >>> problems = [generate_samples(100, random_state=seed) for seed in range(3)]
    >>> training = [(problem.Xtr, problem.ytr) for problem in problems]
    >>> predictors = fit_together((32,), training, random_states=range(3), max_iter=2)
    >>> [predict(problem.Xte).shape for predict, problem in zip(predictors, problems)]
    [(20,), (20,), (20,)]

    A search over step sizes with cross-validation, as :class:`sklearn.model_selection.GridSearchCV` makes it one fit
    after the other, trains each candidate on each fold. Folds are equally large if their number divides that of the
    samples:

    >>> import numpy as np
    >>> from sklearn.metrics import r2_score
    >>> from sklearn.model_selection import KFold, ParameterGrid
    >>> X, y = training[0]
    >>> folds = list(KFold(5).split(X))
    >>> candidates = list(ParameterGrid({"learning_rate_init": [0.1, 0.01, 0.001]}))
    >>> fits = [(candidate, *fold) for candidate in candidates for fold in folds]
    >>> rates = [candidate["learning_rate_init"] for candidate, _, _ in fits]
    >>> settings = {"random_states": [0] * len(fits), "learning_rate_init": rates, "max_iter": 20}
    >>> predictors = fit_together((32,), [(X[train], y[train]) for _, train, _ in fits], **settings)
    >>> scores = [r2_score(y[test], predict(X[test])) for predict, (_, _, test) in zip(predictors, fits)]
    >>> candidates[np.reshape(scores, (-1, len(folds))).mean(axis=1).argmax()]
    {'learning_rate_init': 0.1}
    """
    held = [Held(np.asarray(X), np.asarray(y)) for X, y in problems]
    inputs, targets = [data.inputs for data in held], [data.targets for data in held]
    shapes = sorted({tuple(data.shape) for data in inputs})
    if len(shapes) != 1:
        raise ValueError(
            "The 'problems' parameter of fit_together must hold data of one shape; folds of cross-validation are "
            f"equally large if their number divides that of the samples. Got {shapes} instead."
        )
    seeds = [int(np.random.RandomState(state).randint(np.iinfo(np.int32).max)) for state in random_states]
    generators = [torch.Generator().manual_seed(seed) for seed in seeds]
    sizes = [inputs[0].shape[1], *hidden_layer_sizes, 1]
    modules = [network(sizes, generator) for generator in generators]
    n_steps = math.ceil(len(inputs[0]) / batch_size) * max_iter * len(modules)
    rates = np.broadcast_to(learning_rate_init, len(modules))
    differ = (rates != rates[0]).any()
    train = compiled_together if differ or suited(sizes, n_steps) == "compiled" else together
    training = train(
        modules,
        torch.stack(inputs),
        torch.stack(targets),
        learning_rate=rates,
        batch_size=batch_size,
        generators=generators,
    )
    next(training)
    for epoch in range(1, max_iter):
        left = min(1.0, 2 * (1 - epoch / max_iter)) if anneal else 1.0
        training.send(rates * left)
    return [_predictor(module, *data.scalers) for module, data in zip(modules, held, strict=True)]


def _check_counts(owner: str, *given: Sequence[object] | Tensor) -> None:
    counts = [len(each) for each in given]
    if not counts[0] or len(set(counts)) > 1:
        raise ValueError(
            f"The 'modules', 'X', 'y' and 'generators' parameters of {owner} must be equally many, one at least. "
            f"Got {counts[0]}, {counts[1]}, {counts[2]} and {counts[3]} instead."
        )


def _for_all(learning_rate: float | ArrayLike) -> float:
    rates = np.unique(np.asarray(learning_rate, dtype=np.float64))
    if len(rates) > 1:
        raise ValueError(
            "The 'learning_rate' parameter of together must be the same for all networks; compiled_together takes "
            f"one for each. Got {rates.tolist()} instead."
        )
    return float(rates[0])


def _predictor(module: nn.Module, of_inputs: Scaler, of_targets: Scaler) -> Callable[[np.ndarray], np.ndarray]:
    def predict(X: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            outputs = module(standardised(np.asarray(X), of_inputs)).numpy().astype(np.float64)
        return of_targets.restore(outputs)[:, 0]

    return predict
