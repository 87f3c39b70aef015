"""The most arithmetic that a core can do: a loop of multiplications and additions, compiled for this processor."""

import ctypes

from mlperf.training.kernel import shared
from mlperf.training.library import load

# What is measured depends on it as on any module:
# mlperf: depends on vectors.hpp

PROGRAM = """
// Enough independent sums to keep every unit busy while a multiplication and an addition take their cycles.
constexpr int SUMS = REGISTERS == 32 ? 24 : 12;

// Each turn multiplies and adds once for each sum. The result depends on the sums, or they would not be computed.
extern "C" int mlperf_multiply_and_add(int64_t turns, float factor) {
    Vector sum[SUMS], number = Vector{} + factor;
#pragma GCC unroll 24
    for (int i = 0; i < SUMS; i++)
        sum[i] = number * float(i);
    for (int64_t turn = 0; turn < turns; turn++) {
#pragma GCC unroll 24
        for (int i = 0; i < SUMS; i++)
            sum[i] = sum[i] * number + number;
    }
    Vector all{};
#pragma GCC unroll 24
    for (int i = 0; i < SUMS; i++)
        all += sum[i];
    return total(all) != 0 ? 2 * SUMS * V : 0;
}
"""


def multiply_and_add(n_turns: int) -> int:
    """Multiply and add in vectors that stay in the registers, in one thread.

    No program computes faster on this core: its rate is the roof of a roofline. Divide what is returned by the time of
    the call.

    Parameters
    ----------
    n_turns : int
        Turns of the loop; a million take some milliseconds.

    Returns
    -------
    int
        Floating-point operations that were carried out.

    Raises
    ------
    RuntimeError
        If it has to be compiled and no C++ compiler works.

    Examples
    --------
    >>> from mlperf.training.peak import multiply_and_add
    >>> multiply_and_add(1_000) / multiply_and_add(1)  # doctest: +SKIP
    1000.0
    """
    program = f"constexpr int VECTOR_BYTES = 0;\n{shared('vectors.hpp')}{PROGRAM}"
    call = load(program).functions.mlperf_multiply_and_add
    return n_turns * call(ctypes.c_int64(n_turns), ctypes.c_float(0.5))
