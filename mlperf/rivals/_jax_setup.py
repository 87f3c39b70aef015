"""JAX as all that use it here set it up: on the CPU, and with a cache of what it compiles."""

from collections.abc import Iterator
from contextlib import contextmanager

import jax
from jax.experimental.compilation_cache import compilation_cache

from mlperf.rivals._process import pinned
from mlperf.training.cache import cache_folder

jax.config.update("jax_platforms", "cpu")  # also where there is a GPU: all libraries are compared on the CPU
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)


@contextmanager
def pinned_and_cached() -> Iterator[None]:
    """Pin JAX as `pinned` does, and let it keep what it compiles meanwhile in the folder that is now the cache.

    JAX opens its cache once. A measurement of cold starts empties the cache by naming another folder: JAX would go on
    writing to one that is gone, with a warning each time.

    Examples
    --------
    >>> from mlperf.rivals._jax_setup import pinned_and_cached  # doctest: +SKIP
    >>> with pinned_and_cached():  # doctest: +SKIP
    ...     total = jax.numpy.ones(3).sum()
    """
    folder = str(cache_folder() / "jax")
    if jax.config.jax_compilation_cache_dir != folder:
        jax.config.update("jax_compilation_cache_dir", folder)
        compilation_cache.reset_cache()
    with pinned():
        yield
