"""Where what was compiled is kept from one process to the next. Loads no torch."""

import os
from pathlib import Path


def cache_folder() -> Path:
    """Return the folder: ``mlperf`` in ``XDG_CACHE_HOME``, else in ``~/.cache``. It need not exist yet.

    Examples
    --------
    >>> from mlperf.training.cache import cache_folder
    >>> cache_folder().name
    'mlperf'
    """
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "mlperf"
