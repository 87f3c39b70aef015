"""Write the program that trains a network of given layer sizes: C++, one function call an epoch.

What all networks share is there already: ``products.hpp`` has the matrix products, held in vector registers, and Adam;
``epoch.hpp`` has the loop over mini-batches and the threads. In between come a network's numbers and the calls that
make up its step.
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path

# What is measured depends on these as on any module:
# mlperf: depends on products.hpp
# mlperf: depends on epoch.hpp

BETAS, EPSILON = (0.9, 0.999), 1e-8
"""Constants of Adam."""

NARROW = 4
"""Outputs up to which a layer keeps its weight transposed, as vectors along its inputs."""


def source(
    sizes: Sequence[int],
    *,
    vector_bytes: int = 0,
    rows_at_once: int = 0,
    vectors_at_once: int = 0,
    rows_in_cache: int = 256,
) -> str:
    """Return the program for a network.

    Parameters
    ----------
    sizes : sequence of int
        Features, units of each hidden layer, outputs.
    vector_bytes : int, default=0
        Bytes of a vector, a power of two; 0 stands for as many as the processor's widest has.
    rows_at_once, vectors_at_once : int, default=0, 0
        Rows and vectors of the block of a product that is held in registers. A larger block reads less for each
        multiplication, until the registers are used up. 0 stands for what fits 32 registers, 6 x 4, or 16, 4 x 3.
    rows_in_cache : int, default=256
        Rows of a mini-batch that are carried forward and back at a time.

    Returns
    -------
    str
        C++ that exports ``mlperf_memory`` and ``mlperf_epoch``.

    Examples
    --------
    >>> from mlperf.training.kernel import source
    >>> print(source((5, 32, 1)))  # doctest: +ELLIPSIS
    constexpr int VECTOR_BYTES = 0, ROWS_AT_ONCE = 0, VECTORS_AT_ONCE = 0, ROWS_IN_CACHE = 256;
    constexpr int N_LAYERS = 2, N_FEATURES = 5, N_OUTPUTS = 1, NARROW = 4;
    ...
        forward<5, 32, RELU>(own.H1, own.H0, p.W1, p.b1, n_rows);
        forward<32, 1, PLAIN>(own.H2, own.H1, p.W2, p.b2, n_rows);
    ...
    """
    choices = {
        "VECTOR_BYTES": vector_bytes,
        "ROWS_AT_ONCE": rows_at_once,
        "VECTORS_AT_ONCE": vectors_at_once,
        "ROWS_IN_CACHE": rows_in_cache,
    }
    layers = list(pairwise(sizes))
    network = {"N_LAYERS": len(layers), "N_FEATURES": sizes[0], "N_OUTPUTS": sizes[-1], "NARROW": NARROW}
    return "\n".join(
        [
            _constants("int", choices),
            _constants("int", network),
            _constants("double", {"BETA_1": BETAS[0], "BETA_2": BETAS[1], "EPSILON": EPSILON}),
            _shared("products.hpp"),
            _numbers(layers),
            _calls(layers),
            _shared("epoch.hpp"),
        ]
    )


def _constants(kind: str, values: Mapping[str, float]) -> str:
    return f"constexpr {kind} {', '.join(f'{name} = {value}' for name, value in values.items())};"


def _shared(name: str) -> str:
    return Path(__file__).with_name(name).read_text()


def _numbers(layers: list[tuple[int, int]]) -> str:
    """Return what a network's numbers are called; layer 1 is the first, its inputs are H0."""
    n_features = layers[0][0]
    parameters, transposed, activations = [], [], [f"float H0[ROWS_IN_CACHE * stride({n_features})];"]
    for i, (n_in, n_out) in enumerate(layers, start=1):
        parameters.append(f"float W{i}[weights({n_in}, {n_out})], b{i}[whole({n_out})];")
        activations.append(f"float H{i}[ROWS_IN_CACHE * stride({n_out})];")
        if i > 1 and n_out > NARROW:
            transposed.append(f"float T{i}[{n_out} * whole({n_in})];")
    return f"""\
struct alignas(64) Parameters {{
    {_lines(parameters)}
}};

// What all threads use.
struct alignas(64) Shared {{
    Parameters parameters, mean, square;
    {_lines(transposed)}
}};

// What each thread has for itself.
struct alignas(64) Own {{
    Parameters gradient;
    {_lines(activations)}
    float aside[ROWS_IN_CACHE * PANEL];
}};
"""


def _calls(layers: list[tuple[int, int]]) -> str:
    """Return the calls that make up a step, and those before and after an epoch."""
    n_features, n_outputs = layers[0][0], layers[-1][1]
    forward: list[str] = []
    back: list[str] = []  # the last layer first
    transpose, exchange = [], []
    for i, (n_in, n_out) in enumerate(layers, start=1):
        sizes, H_in, H_out = f"{n_in}, {n_out}", f"own.H{i - 1}", f"own.H{i}"
        finish = "RELU" if i < len(layers) else "PLAIN"
        forward.append(f"forward<{sizes}, {finish}>({H_out}, {H_in}, p.W{i}, p.b{i}, n_rows);")
        gradient = f"gradient<{sizes}>(own.gradient.W{i}, own.gradient.b{i}, {H_in}, {H_out}, own.aside, n_rows, add);"
        turned = f"shared.T{i}" if n_out > NARROW else f"p.W{i}"
        backward = f"backward<{sizes}>({H_in}, {H_out}, {turned}, n_rows);"
        back = [gradient, *([backward] if i > 1 else []), *back]
        if i > 1 and n_out > NARROW:
            transpose.append(f"transpose<{sizes}>(shared.T{i}, shared.parameters.W{i}, thread, n_threads);")
        exchange.append(f"exchange<{sizes}>(p.W{i}, p.b{i}, tensors[{2 * i - 2}], tensors[{2 * i - 1}], back);")
    return f"""\
static void transpose_weights([[maybe_unused]] Shared &shared, [[maybe_unused]] int thread,
                              [[maybe_unused]] int n_threads) {{
    {_lines(transpose)}
}}

static double forward_and_back(const Shared &shared, Own &own, const float *X, const float *y, const int64_t *rows,
                               int64_t n_rows, float weight, bool add) {{
    const Parameters &p = shared.parameters;
    gather<{n_features}>(own.H0, X, rows, n_rows);
    {_lines(forward)}
    double loss = squared_error<{n_outputs}>(own.H{len(layers)}, y, rows, n_rows, weight);
    {_lines(back)}
    return loss;
}}

static void exchange_all(Parameters &p, float **tensors, bool back) {{
    {_lines(exchange)}
}}
"""


def _lines(lines: list[str]) -> str:
    return "\n    ".join(lines)
