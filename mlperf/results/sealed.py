"""JSON that contains its own digest, so that any changed bit is recognised."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any, NoReturn

_SEALED = re.compile(rb'(.*,\n "sha256": ")([0-9a-f]{64})("\n}\n)', re.DOTALL)


def digest(content: bytes) -> str:
    """Return the hexadecimal SHA-256 digest of some bytes."""
    return hashlib.sha256(content).hexdigest()


def seal(record: Mapping[str, Any]) -> bytes:
    """Return a record as standard JSON, whose last entry is the digest of everything before it.

    Raises
    ------
    ValueError
        If something in it cannot be represented in JSON.

    Examples
    --------
    >>> from mlperf.results.sealed import seal, unseal
    >>> unseal(seal({"name": "fits"}))
    {'name': 'fits'}
    """
    text = json.dumps(record, indent=1, allow_nan=False).removesuffix("\n}")
    content = f'{text},\n "sha256": "'.encode()
    return content + digest(content).encode() + b'"\n}\n'


def unseal(content: bytes) -> dict[str, Any]:
    """Return the record that `seal` wrote.

    Raises
    ------
    ValueError
        If it was not written by `seal`, or was changed since.
    """
    parts = _SEALED.fullmatch(content)
    if parts is None:
        raise ValueError("it does not end with its digest")
    if digest(parts[1]).encode() != parts[2]:
        raise ValueError("its digest is another")
    try:
        record = json.loads(content, parse_constant=_refuse)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    del record["sha256"]
    return record


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")
