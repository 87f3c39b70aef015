"""Write the program that trains a network of given layer sizes: C++, one function call an epoch.

Three files are common to all networks: ``vectors.hpp`` has vectors as wide as the processor's; ``products.hpp`` has the
matrix products, held in vector registers, and Adam; ``epoch.hpp`` has the loop over mini-batches and the threads. This
module writes what differs: a network's arrays, and the calls that make up its step.
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path

# What is measured depends on these as on any module:
# mlperf: depends on vectors.hpp
# mlperf: depends on products.hpp
# mlperf: depends on epoch.hpp

BETAS, EPSILON = (0.9, 0.999), 1e-8
"""Constants of Adam."""

MANY_PARAMETERS = 500_000
"""Number of parameters from which on layers are updated panel by panel, as a step's data no longer fit the cache."""

MOST_PARAMETERS = 2_000_000
"""Number of parameters from which on a transposed weight has left every cache before it is read."""

NARROW = 4
"""Number of outputs up to which a layer keeps its weight transposed, as vectors along its inputs."""


def source(
    sizes: Sequence[int],
    *,
    vector_bytes: int = 0,
    rows_at_once: int = 0,
    vectors_at_once: int = 0,
    rows_in_cache: int = 256,
) -> str:
    """Return the program that trains a network.

    Parameters
    ----------
    sizes : sequence of int
        Features, units of each hidden layer, outputs.
    vector_bytes : int, default=0
        Bytes of a vector, a power of two; 0 stands for the processor's widest vectors.
    rows_at_once, vectors_at_once : int, default=0, 0
        Rows and vectors of the block of a product that is held in registers. A larger block loads less for each
        multiplication, until the registers are used up. 0 stands for what fits: 6 x 4 in 32 registers, 4 x 3 in 16.
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
    constexpr int N_LAYERS = 2, N_FEATURES = 5, N_OUTPUTS = 1, NARROW = 4, MANY_PARAMETERS = 0, MOST_PARAMETERS = 0;
    ...
        forward<5, 32, RELU>(team, &Own::H1, &Own::H0, p.W1, p.b1);
        forward<32, 1, PLAIN>(team, &Own::H2, &Own::H1, p.W2, p.b2);
    ...
    """
    choices = {
        "VECTOR_BYTES": vector_bytes,
        "ROWS_AT_ONCE": rows_at_once,
        "VECTORS_AT_ONCE": vectors_at_once,
        "ROWS_IN_CACHE": rows_in_cache,
    }
    layers = list(pairwise(sizes))
    n_parameters = sum((n_in + 1) * n_out for n_in, n_out in layers)
    many = n_parameters >= MANY_PARAMETERS
    network = {
        "N_LAYERS": len(layers),
        "N_FEATURES": sizes[0],
        "N_OUTPUTS": sizes[-1],
        "NARROW": NARROW,
        "MANY_PARAMETERS": int(many),
        "MOST_PARAMETERS": int(n_parameters >= MOST_PARAMETERS),
    }
    return "\n".join(
        [
            _constants("int", choices),
            _constants("int", network),
            _constants("double", {"BETA_1": BETAS[0], "BETA_2": BETAS[1], "EPSILON": EPSILON}),
            shared("vectors.hpp"),
            shared("products.hpp"),
            _numbers(layers, many),
            _calls(layers, many),
            shared("epoch.hpp"),
        ]
    )


def _constants(kind: str, values: Mapping[str, float]) -> str:
    return f"constexpr {kind} {', '.join(f'{name} = {value}' for name, value in values.items())};"


def shared(name: str) -> str:
    """Return the text of a C++ file in this folder that programs include.

    Examples
    --------
    >>> from mlperf.training.kernel import shared
    >>> shared("vectors.hpp").splitlines()[0]
    "// Vectors as wide as the processor's widest, or as VECTOR_BYTES says."
    """
    return Path(__file__).with_name(name).read_text()


def _numbers(layers: list[tuple[int, int]], many: bool) -> str:
    """Return the declarations of a network's arrays; layer 1 is the first, and its inputs are H0."""
    n_features = layers[0][0]
    parameters, transposed, activations = [], [], [f"float H0[ROWS_IN_CACHE * stride({n_features})];"]
    for i, (n_in, n_out) in enumerate(layers, start=1):
        parameters.append(f"float W{i}[weights({n_in}, {n_out})], b{i}[whole({n_out})];")
        activations.append(f"float H{i}[ROWS_IN_CACHE * stride({n_out})];")
        if i > 1 and n_out > NARROW:
            transposed.append(f"float T{i}[{n_out} * whole({n_in})];")
    if many:
        # The gradients of the activations; in a small network they overwrite the activations.
        hidden = [n_in for n_in, _ in layers[1:]]
        activations += [f"float D{i}[ROWS_IN_CACHE * stride({n})];" for i, n in enumerate(hidden, start=1)]
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
    float panel[{max(map(max, layers))} * PANEL];
}};
"""


def _calls(layers: list[tuple[int, int]], many: bool) -> str:
    """Return the calls that make up a step, and those before and after an epoch."""
    n_features, n_outputs = layers[0][0], layers[-1][1]
    forward: list[str] = []
    back: list[str] = []  # the last layer first
    transpose, exchange, update = [], [], []
    for i, (n_in, n_out) in enumerate(layers, start=1):
        sizes, H_in, H_out = f"{n_in}, {n_out}", f"H{i - 1}", f"H{i}"
        # The gradient of the prediction overwrites it, and in a small network so do all others.
        D_in, D_out = (f"D{i - 1}", f"D{i}" if i < len(layers) else H_out) if many else (H_in, H_out)
        is_turned = i > 1 and n_out > NARROW
        turned = f"shared.T{i}" if is_turned else f"p.W{i}"

        finish = "RELU" if i < len(layers) else "PLAIN"
        forward.append(f"forward<{sizes}, {finish}>(team, &Own::{H_out}, &Own::{H_in}, p.W{i}, p.b{i});")

        places = f"own.gradient.W{i}, own.gradient.b{i}, own.{H_in}, own.{D_out}, own.aside"
        gradient = f"gradient<{sizes}>({places}, n_rows, add);"
        backward = f"backward<{sizes}>(team, &Own::{D_in}, &Own::{H_in}, &Own::{D_out}, {turned});"
        back = [f"if (gradients) {gradient}" if many else gradient, *([backward] if i > 1 else []), *back]

        if is_turned:
            columns = f"share({n_out}, thread, n_threads), share({n_out}, thread + 1, n_threads)"
            transpose.append(f"transpose<{sizes}>(shared.T{i}, p.W{i}, {columns});")
        if many:
            trained = f"{{p.W{i}, m.W{i}, s.W{i}}}, {{p.b{i}, m.b{i}, s.b{i}}}"
            places = f"&Own::{H_in}, &Own::{D_out}"
            update.append(f"update<{sizes}, {str(is_turned).lower()}>(mine, {trained}, {turned}, {places});")
        exchange.append(
            f"exchange<{sizes}>(p.W{i}, p.b{i}, tensors[{2 * i - 2}], tensors[{2 * i - 1}], back, thread, n_threads);"
        )
    return f"""\
static void transpose_weights([[maybe_unused]] Shared &shared, [[maybe_unused]] int thread,
                              [[maybe_unused]] int n_threads) {{
    [[maybe_unused]] const Parameters &p = shared.parameters;
    {_lines(transpose)}
}}

static double forward_and_back(const Shared &shared, const Team<Own> &team, const float *X, const float *y,
                               const int64_t *rows, float weight, bool add, [[maybe_unused]] bool gradients) {{
    const Parameters &p = shared.parameters;
    Own &own = team.all[team.thread];
    int64_t n_rows = team.n_rows_of(team.thread);
    gather<{n_features}>(own.H0, X, rows, n_rows);
    {_lines(forward)}
    team.wait();
    double loss = squared_error<{n_outputs}>(own.H{len(layers)}, y, rows, n_rows, weight);
    {_lines(back)}
    return loss;
}}

static void update_all([[maybe_unused]] Shared &shared, [[maybe_unused]] Update<Own> &mine) {{
    [[maybe_unused]] Parameters &p = shared.parameters, &m = shared.mean, &s = shared.square;
    {_lines(update)}
}}

static void exchange_all(Parameters &p, float **tensors, bool back, int thread, int n_threads) {{
    {_lines(exchange)}
}}
"""


def _lines(lines: list[str]) -> str:
    return "\n    ".join(lines)
