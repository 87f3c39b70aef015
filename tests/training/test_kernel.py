"""The program itself: it touches its own memory alone, and computes the same with any vectors, compiler, processor."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from mlperf.training import kernel
from mlperf.training.kernel import source

# Trains on made-up data in memory that ends where the data end, and says what the loss was.
MAIN = r"""
#include <cstdio>
#include <cstdlib>

static float *made_up(int64_t n) {
    float *values = (float *)malloc(n * sizeof(float));
    static uint32_t state = 1;
    for (int64_t i = 0; i < n; i++)
        values[i] = int32_t(state = state * 1664525 + 1013904223) / 4294967296.0f;
    return values;
}

int main() {
    const int sizes[] = {SIZES}, n_networks = NETWORKS;
    const int64_t n = 150;
    float *X = made_up(n_networks * n * N_FEATURES), *y = made_up(n_networks * n * N_OUTPUTS);
    float *tensors[n_networks * 2 * N_LAYERS];
    for (int i = 0; i < n_networks * N_LAYERS; i++) {
        int n_in = sizes[i % N_LAYERS], n_out = sizes[i % N_LAYERS + 1];
        tensors[2 * i] = made_up(n_in * n_out);
        tensors[2 * i + 1] = made_up(n_out);
    }
    int64_t *order = (int64_t *)malloc(n_networks * n * sizeof(int64_t));
    for (int64_t i = 0; i < n_networks * n; i++)
        order[i] = n - 1 - i % n;
    for (int threads = 1; threads < 3; threads++)
        for (int64_t batch_size : {1, 64, 1000}) {
            int64_t bytes = mlperf_memory(n_networks, threads);
            char *memory = (char *)aligned_alloc(64, bytes);
            memset(memory, 0, bytes);
            double rates[2] = {0.001, 0.002}, powers[4] = {1, 1, 1, 1}, losses[2];
            for (int epoch = 0; epoch < 2; epoch++) {
                mlperf_epoch(memory, n_networks, threads, tensors, X, y, order, n, batch_size, rates, powers, losses);
                for (int network = 0; network < n_networks; network++)
                    printf("%.9g\n", losses[network]);
            }
            free(memory);
        }
    for (float *tensor : tensors)
        free(tensor);
    free(X), free(y), free(order);
}
"""

SHAPES = [(5, 32, 1), (3, 70, 20, 2, 9), (4, 3)]


def compiled(folder, sizes, compiler="g++", options=(), n_networks=1, **choices):
    if not shutil.which(compiler):
        pytest.skip(f"no {compiler} here")
    main = MAIN.replace("SIZES", ", ".join(map(str, sizes))).replace("NETWORKS", str(n_networks))
    program = source(sizes, **choices) + main
    path = Path(folder, "trial")
    command = [compiler, "-std=c++20", "-pthread", "-Wall", "-Wextra", "-Werror", "-Wno-psabi", *options]
    made = subprocess.run(
        [*command, "-x", "c++", "-", "-o", str(path)], input=program, text=True, capture_output=True, check=False
    )
    if re.search(r"cannot find.*(asan|ubsan)|unsupported option '-fsanitize", made.stderr):
        pytest.skip("no sanitizers here")
    assert made.returncode == 0, made.stderr
    return path


def losses(*command):
    done = subprocess.run(command, text=True, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    return [float(line) for line in done.stdout.split()]


@pytest.mark.parametrize("many", [1, 500_000])
@pytest.mark.parametrize(("sizes", "n_networks"), [(SHAPES[0], 2), (SHAPES[1], 1), (SHAPES[2], 1)], ids=str)
def test_no_memory_is_touched_but_its_own(monkeypatch, tmp_path, sizes, n_networks, many):
    monkeypatch.setattr(kernel, "MANY_PARAMETERS", many)
    sanitized = ["-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
    found = losses(compiled(tmp_path, sizes, options=sanitized, n_networks=n_networks, vector_bytes=32))
    assert found[n_networks] < found[0]


@pytest.mark.parametrize(("n_networks", "many"), [(1, 1), (1, 500_000), (2, 500_000)])
def test_threads_do_not_race(monkeypatch, tmp_path, n_networks, many):
    monkeypatch.setattr(kernel, "MANY_PARAMETERS", many)
    assert losses(compiled(tmp_path, (5, 32, 1), options=["-O1", "-fsanitize=thread"], n_networks=n_networks))


def test_vectors_and_compilers_change_no_more_than_the_rounding(tmp_path):
    sizes = SHAPES[1]
    usual = losses(compiled(tmp_path, sizes, options=["-O2"]))
    for vector_bytes in (16, 64):
        assert losses(compiled(tmp_path, sizes, options=["-O2"], vector_bytes=vector_bytes)) == pytest.approx(usual)
    if shutil.which("clang++"):
        assert losses(compiled(tmp_path, sizes, "clang++", ["-O2"])) == pytest.approx(usual)


def test_a_processor_of_arm_computes_the_same(tmp_path):
    if not shutil.which("qemu-aarch64"):
        pytest.skip("no qemu-aarch64 here")
    usual = losses(compiled(tmp_path, (5, 32, 1), options=["-O2"]))
    arm = compiled(tmp_path, (5, 32, 1), "aarch64-linux-gnu-g++", ["-O2", "-static"])
    assert losses("qemu-aarch64", arm) == pytest.approx(usual)
