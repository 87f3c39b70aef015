"""Write the program that trains a network of given layer sizes: C++, one function call an epoch.

What all networks share is there already: ``products.hpp`` has the matrix products, held in vector registers, and Adam;
``epoch.hpp`` has the loop over mini-batches and the threads. In between come a network's numbers and the calls that
make up its step.
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path

BETAS, EPSILON = (0.9, 0.999), 1e-8
"""Constants of Adam."""


def source(
    sizes: Sequence[int],
    *,
    vector_bytes: int = 0,
    rows_at_once: int = 6,
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
    rows_at_once, vectors_at_once : int, default=6, 0
        Rows and vectors of the block of a product that is held in registers. A larger block reads less for each
        multiplication, until the registers are used up. 0 stands for as many vectors as fit.
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
    constexpr int VECTOR_BYTES = 0, ROWS_AT_ONCE = 6, VECTORS_AT_ONCE = 0, ROWS_IN_CACHE = 256;
    constexpr int N_LAYERS = 2, N_FEATURES = 5, N_OUTPUTS = 1;
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
    return "\n".join(
        [
            _constants("int", choices),
            _constants("int", {"N_LAYERS": len(sizes) - 1, "N_FEATURES": sizes[0], "N_OUTPUTS": sizes[-1]}),
            _constants("double", {"BETA_1": BETAS[0], "BETA_2": BETAS[1], "EPSILON": EPSILON}),
            _shared("products.hpp"),
            _network(list(pairwise(sizes))),
            _shared("epoch.hpp"),
        ]
    )


def _constants(kind: str, values: Mapping[str, float]) -> str:
    return f"constexpr {kind} {', '.join(f'{name} = {value}' for name, value in values.items())};"


def _shared(name: str) -> str:
    return Path(__file__).with_name(name).read_text()


def _network(layers: list[tuple[int, int]]) -> str:
    """Return a network's numbers and the calls of its step; layer 1 is the first, its inputs are H0."""
    parameters, transposed, activations = [], [], []
    forward: list[str] = []
    back: list[str] = []  # the last layer first
    transpose, exchange = [], []
    for number, (n_in, n_out) in enumerate(layers, start=1):
        size, W, b = f"<{n_in}, {n_out}>", f"W{number}", f"b{number}"
        before, after = f"own.H{number - 1}", f"own.H{number}"
        parameters.append(f"float {W}[weights({n_in}, {n_out})], {b}[whole({n_out})];")
        transposed.append(f"float T{number}[{n_out} * whole({n_in})];")
        activations.append(f"float H{number}[ROWS_IN_CACHE * stride({n_out})];")
        finish = "RELU" if number < len(layers) else "PLAIN"
        forward.append(f"forward<{n_in}, {n_out}, {finish}>({after}, {before}, p.{W}, p.{b}, n_rows);")
        of_layer = [f"gradient{size}(own.gradient.{W}, own.gradient.{b}, {before}, {after}, own.aside, n_rows, add);"]
        if number > 1:
            of_layer.append(f"backward{size}({before}, {after}, narrow({n_out}) ? p.{W} : shared.T{number}, n_rows);")
            transpose.append(f"transpose{size}(shared.T{number}, p.{W}, thread, n_threads);")
        back = of_layer + back
        pair = f"tensors[{2 * number - 2}], tensors[{2 * number - 1}]"
        exchange.append(f"exchange{size}(p.{W}, p.{b}, {pair}, back);")
    n_features, n_outputs = layers[0][0], layers[-1][1]
    return f"""\
struct alignas(64) Parameters {{
    {_lines(parameters)}
}};

struct alignas(64) Shared {{
    Parameters parameters, mean, square;
    {_lines(transposed[1:])}
}};

struct alignas(64) Own {{
    Parameters gradient;
    float H0[ROWS_IN_CACHE * stride({n_features})];
    {_lines(activations)}
    float aside[ROWS_IN_CACHE * PANEL];
}};

static void transpose_weights(Shared &shared, int thread, int n_threads) {{
    const Parameters &p = shared.parameters;
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
