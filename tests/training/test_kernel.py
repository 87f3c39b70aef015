"""The program itself: it touches its own memory alone, and with any vectors, compiler, processor it trains as eager."""

import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mlperf.training import kernel
from mlperf.training.eager import eager
from mlperf.training.kernel import source
from mlperf.training.network import network

# Trains for an epoch what it reads, in memory that ends where the data end, and writes the losses and the parameters.
MAIN = r"""
#include <cstdio>
#include <cstdlib>

template <typename Number>
static Number *read(int64_t n) {
    Number *values = (Number *)malloc(n * sizeof(Number));
    if (fread(values, sizeof(Number), n, stdin) != (size_t)n)
        exit(2);
    return values;
}

int main(int, char **arguments) {
    const int sizes[] = {SIZES};
    int64_t n_networks = atoi(arguments[1]), n_threads = atoi(arguments[2]);
    int64_t n_samples = atoi(arguments[3]), batch_size = atoi(arguments[4]), n_tensors = 2 * n_networks * N_LAYERS;
    auto length = [&](int tensor) {
        int n_in = sizes[tensor / 2 % N_LAYERS], n_out = sizes[tensor / 2 % N_LAYERS + 1];
        return tensor % 2 ? n_out : n_in * n_out;
    };
    float **tensors = (float **)malloc(n_tensors * sizeof(float *));
    for (int i = 0; i < n_tensors; i++)
        tensors[i] = read<float>(length(i));
    float *X = read<float>(n_networks * n_samples * N_FEATURES), *y = read<float>(n_networks * n_samples * N_OUTPUTS);
    int64_t *order = read<int64_t>(n_networks * n_samples), bytes = mlperf_memory(n_networks, n_threads);
    double *rates = read<double>(n_networks), *powers = read<double>(2 * n_networks);
    double *losses = read<double>(n_networks);
    char *memory = (char *)aligned_alloc(64, bytes);
    memset(memory, 0, bytes);
    mlperf_epoch(memory, n_networks, n_threads, tensors, X, y, order, n_samples, batch_size, rates, powers, losses);
    fwrite(losses, sizeof(double), n_networks, stdout);
    for (int i = 0; i < n_tensors; i++) {
        fwrite(tensors[i], sizeof(float), length(i), stdout);
        free(tensors[i]);
    }
    free(memory), free(losses), free(powers), free(rates), free(order), free(y), free(X), free(tensors);
}
"""

SIZES = (3, 70, 20, 2, 9)


def compiled(folder, sizes, *options, compiler="g++", **choices):
    if not shutil.which(compiler):
        pytest.skip(f"no {compiler} here")
    program = source(sizes, **choices) + MAIN.replace("SIZES", ", ".join(map(str, sizes)))
    path = Path(folder, "trial")
    command = [compiler, "-std=c++20", "-pthread", "-Wall", "-Wextra", "-Werror", "-Wno-psabi", *options]
    made = subprocess.run(
        [*command, "-x", "c++", "-", "-o", str(path)], input=program, text=True, capture_output=True, check=False
    )
    if re.search(r"cannot find.*(asan|ubsan|tsan)|unsupported option '-fsanitize", made.stderr):
        pytest.skip("no sanitizers here")
    assert made.returncode == 0, made.stderr
    return path


def assert_trains_as_eager(*command, sizes, n_networks=1, n_threads=1, n_samples=150, batch_size=64):
    tensors, features, targets, orders, rates = [], [], [], [], 0.01 / np.arange(1, n_networks + 1)
    of_eager, losses = [], []
    for seed, rate in enumerate(rates):
        generator = torch.Generator().manual_seed(seed)
        X, y = (torch.randn(n_samples, n, generator=generator) for n in (sizes[0], sizes[-1]))
        module = network(sizes, generator)
        tensors += [parameter.detach().numpy().copy() for parameter in module.parameters()]
        features.append(X.numpy())
        targets.append(y.numpy())
        orders.append(torch.randperm(n_samples, generator=generator.clone_state()).numpy())
        losses.append(next(eager(module, X, y, learning_rate=rate, batch_size=batch_size, generator=generator)))
        of_eager += [parameter.detach().numpy().ravel() for parameter in module.parameters()]
    given_to_it = [*tensors, *features, *targets, *orders, rates, np.ones(2 * n_networks), np.empty(n_networks)]
    done = subprocess.run(
        [*command, *map(str, (n_networks, n_threads, n_samples, batch_size))],
        input=b"".join(array.tobytes() for array in given_to_it),
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    n_bytes = 8 * n_networks
    np.testing.assert_allclose(np.frombuffer(done.stdout[:n_bytes]), losses, rtol=1e-5)
    found = np.frombuffer(done.stdout[n_bytes:], np.float32)
    np.testing.assert_allclose(found, np.concatenate(of_eager), rtol=0, atol=1e-4)


@settings(max_examples=5, deadline=None, derandomize=True, database=None)
@given(
    sizes=st.lists(st.one_of(st.integers(1, 5), st.integers(6, 70)), min_size=2, max_size=4),
    n_networks=st.integers(1, 2),
    shapes=st.lists(st.tuples(st.integers(1, 300), st.integers(1, 300)), min_size=3, max_size=3),
    many=st.sampled_from([1, 500_000]),
    most=st.sampled_from([1, 2_000_000]),
)
def test_no_memory_is_touched_but_its_own(tmp_path_factory, sizes, n_networks, shapes, many, most):
    sanitized = ["-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kernel, "MANY_PARAMETERS", many)
        patch.setattr(kernel, "MOST_PARAMETERS", most)
        path = compiled(tmp_path_factory.mktemp("fuzzed"), sizes, *sanitized, vector_bytes=32)
    for n_threads, (n_samples, batch_size) in enumerate(shapes, start=1):
        shape = {"n_samples": n_samples, "batch_size": max(batch_size, n_samples // 4)}  # each step adds its rounding
        assert_trains_as_eager(path, sizes=sizes, n_networks=n_networks, n_threads=n_threads, **shape)


@pytest.mark.parametrize(("n_networks", "many"), [(1, 1), (1, 500_000), (2, 500_000)])
def test_threads_do_not_race(monkeypatch, tmp_path, n_networks, many):
    monkeypatch.setattr(kernel, "MANY_PARAMETERS", many)
    sizes = (5, 140, 32, 1)  # of the columns of the first layer, some have an owner, and others none
    path = compiled(tmp_path, sizes, "-O1", "-fsanitize=thread")
    assert_trains_as_eager(path, sizes=sizes, n_networks=n_networks, n_threads=2)


@pytest.mark.parametrize("compiler", ["g++", "clang++"])
@pytest.mark.parametrize("vector_bytes", [0, 16, 64])
@pytest.mark.parametrize("most", [1, 2_000_000])  # with vectors that are written past the caches, and without
def test_compilers_and_vectors_change_no_more_than_the_rounding(monkeypatch, tmp_path, compiler, vector_bytes, most):
    monkeypatch.setattr(kernel, "MOST_PARAMETERS", most)
    path = compiled(tmp_path, SIZES, "-O2", compiler=compiler, vector_bytes=vector_bytes)
    assert_trains_as_eager(path, sizes=SIZES)


def test_a_processor_of_arm_computes_the_same(monkeypatch, tmp_path):
    monkeypatch.setattr(kernel, "MOST_PARAMETERS", 1)
    path = compiled(tmp_path, SIZES, "-O2", "-static", compiler="aarch64-linux-gnu-g++")
    if not shutil.which("qemu-aarch64"):
        pytest.skip("no qemu-aarch64 here")
    assert_trains_as_eager("qemu-aarch64", path, sizes=SIZES, n_threads=2)
