"""One changed bit of a sealed record is recognised, wherever it is."""

import json

import pytest

from mlperf.results.sealed import seal, unseal

RECORD = {"name": "fits", "values": [2.63054, None, "µ – é"], "deep": {"empty": {}}}


def test_every_flipped_bit_is_recognised():
    """Reported: 2.63054 could become 2.63055 unnoticed."""
    content = seal(RECORD)
    for place in range(len(content)):
        for bit in range(8):
            flipped = bytearray(content)
            flipped[place] ^= 1 << bit
            with pytest.raises(ValueError, match=r"it does not end with its digest|its digest is another"):
                unseal(bytes(flipped))


def test_every_shorter_content_is_recognised():
    content = seal(RECORD)
    for size in range(len(content)):
        with pytest.raises(ValueError, match=r"it does not end with its digest"):
            unseal(content[:size])


def test_any_reader_of_json_reads_it():
    record = json.loads(seal(RECORD), parse_constant=pytest.fail)
    assert len(record.pop("sha256")) == 64
    assert record == RECORD == unseal(seal(RECORD))


def test_what_json_has_no_word_for_is_refused():
    with pytest.raises(ValueError, match="not JSON compliant"):
        seal({"x": float("nan")})
