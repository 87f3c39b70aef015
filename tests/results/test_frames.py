"""Tables as they were: what is read back equals what was written, to the bit."""

import datetime
import json
import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal

from mlperf.results.frames import from_csv, to_csv

NAN = float("nan")
INF = float("inf")

KEPT = {
    "numbers and text": pd.DataFrame({"n": [1, 2], "x": [0.1, NAN], "who": ["a", None]}),
    "a named index": pd.DataFrame({"n": [1, 2]}, index=pd.Index(["x", "y"], name="k")),
    "an unnamed index of text": pd.DataFrame({"n": [1, 2]}, index=["x", "y"]),
    "an index of floats": pd.DataFrame({"n": [1, 2]}, index=[0.1, INF]),
    "an index of booleans": pd.DataFrame({"n": [1, 2]}, index=[True, False]),
    "an index of mixed labels": pd.DataFrame({"n": [1, 2]}, index=pd.Index([1, "1"], dtype=object)),
    "an index of categories": pd.DataFrame({"n": [1, 2]}, index=pd.CategoricalIndex(["a", "b"])),
    "a range that does not begin at 0": pd.DataFrame({"n": [1, 2]}, index=pd.RangeIndex(5, 9, 2, name="k")),
    "several levels, one without a name": pd.DataFrame(
        {"n": [1, 2]}, index=pd.MultiIndex.from_tuples([("x", 1), ("y", 2)], names=[None, "k"])
    ),
    "levels of no type": pd.DataFrame(
        {"n": [1], "c": pd.Categorical(pd.Index(["a"], dtype=object))},
        index=pd.MultiIndex.from_arrays([pd.Index(["x"], dtype=object), [1]]),
    ),
    "levels with labels that are not used": pd.DataFrame(
        {"n": range(4)}, index=pd.MultiIndex.from_product([["a", "b"], [1, 2]])
    ).iloc[:2],
    "dates with a time zone as an index": pd.DataFrame({"n": range(3)}, pd.date_range("2020", periods=3, tz="UTC")),
    "columns of several levels": pd.DataFrame(
        [[1, 2.5]], columns=pd.MultiIndex.from_tuples([("x", 1), ("y", 2)], names=["p", None])
    ),
    "columns that are numbers": pd.DataFrame(np.eye(2), columns=[5, 1]),
    "columns that are a range": pd.DataFrame(np.eye(2)),
    "columns of mixed labels": pd.DataFrame([[1, 2]], columns=[1, "1"]),
    "columns of the same name": pd.DataFrame([[1, "b"]], columns=["a", "a"]),
    "columns with a name": pd.DataFrame({"n": [1]}).rename_axis(columns="what"),
    "booleans": pd.DataFrame({"b": [True, False]}),
    "integers beyond 2**53": pd.DataFrame(
        {"i": [2**53 + 1, -(2**63)], "u": np.array([2**64 - 1, 0], dtype="uint64"), "o": [2**70, None]}
    ),
    "small types": pd.DataFrame(
        {
            "i": np.array([-1, 2], dtype="int8"),
            "f": np.array([0.1, NAN], "float32"),
            "h": np.array([0.1, INF], "float16"),
        }
    ),
    "extreme floats": pd.DataFrame({"x": [INF, -INF, -0.0, 5e-324, 0.1 + 0.2, 1.7976931348623157e308]}),
    "missing values of nullable types": pd.DataFrame(
        {
            "i": pd.array([1, None, 2**60 + 1], dtype="Int64"),
            "b": pd.array([True, None, False], dtype="boolean"),
            "f": pd.array([1.5, None, INF], dtype="Float64"),
            "s": pd.array(["a", None, ""], dtype="string"),
        }
    ),
    "a NaN that is not missing": pd.DataFrame(
        {"f": pd.arrays.FloatingArray(np.array([NAN, 1.0]), np.array([False, True]))}
    ),
    "None beside numbers and text": pd.DataFrame(
        {"o": [1, None, "1", 1.5, True, NAN, pd.NA, pd.NaT, INF, "", "None", "nan"]}, dtype=object
    ),
    "dates beside text": pd.DataFrame(
        {"o": [datetime.date(2020, 1, 2), pd.Timestamp("2020-01-01 10:00:00.123456789", tz="UTC"), "2020-01-02"]},
        dtype=object,
    ),
    "empty text beside missing text": pd.DataFrame({"s": ["", None]}),
    "odd text": pd.DataFrame(
        {"s": ["a,b", '"q"', "x\ny", "x\r\ny", "\r", " lead ", "", "\0z", "é×", "nan", "=1+1", "x" * 200_000]}
    ),
    "categories": pd.DataFrame(
        {
            "o": pd.Categorical(["a", None, ""], categories=["", "b", "a"], ordered=True),
            "n": pd.Categorical([3, 1, 3]),
        }
    ),
    "dates, times and zones": pd.DataFrame(
        {
            "d": pd.to_datetime(["2020-01-01", None]),
            "z": pd.to_datetime(["2020-10-25 02:30:03.5", None]).tz_localize("Europe/Berlin", ambiguous=False),
            "o": pd.to_datetime(["2020-01-01T00:00+01:00", "2020-01-02T00:00+01:00"]),
            "t": pd.to_timedelta([1.5, None], unit="s"),
        }
    ),
    "intervals": pd.DataFrame(
        {
            "i": pd.IntervalIndex.from_breaks([0, 1, 2**53 + 1]),
            "x": pd.IntervalIndex.from_tuples([(-INF, 0.1), NAN], closed="left"),
            "d": pd.IntervalIndex.from_breaks(pd.date_range("2020", periods=3, tz="Europe/Berlin"), closed="both"),
            "c": pd.cut([1, 5], [0, 3, 6, 9]),
        },
        index=pd.IntervalIndex.from_breaks([0.0, 0.5, INF], closed="neither", name="k"),
    ),
    "nothing": pd.DataFrame(),
    "no rows": pd.DataFrame({"x": np.array([], dtype=float), "s": pd.array([], dtype="str")}),
    "no columns": pd.DataFrame(index=[1, 2, 3]),
    "rows alone": pd.DataFrame(index=range(3)),
}


def there_and_back(frame):
    content, described = to_csv(frame)
    return from_csv(content, json.loads(json.dumps(described, allow_nan=False)))


@pytest.mark.parametrize("frame", KEPT.values(), ids=KEPT)
def test_what_is_read_back_equals_what_was_written(frame):
    found = there_and_back(frame)
    assert_frame_equal(found, frame, check_exact=True, check_freq=False, check_index_type="exact")
    for name, was in [(place, frame.iloc[:, place]) for place in range(frame.shape[1])]:
        assert [type(x) for x in found.iloc[:, name]] == [type(x) for x in was], "None is not NaN, True is not 1"


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.tuples(
            st.text(st.characters(exclude_categories=["Cs"])),
            st.floats(allow_nan=False),
            st.integers(-(2**63), 2**63 - 1),
            st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text("a,\"'\n\r ")),
        )
    ),
    st.booleans(),
)
def test_any_text_and_numbers_are_kept_to_the_bit(rows, indexed):
    frame = pd.DataFrame(
        {
            "s": pd.Series([row[0] for row in rows], dtype="str"),
            "x": np.array([row[1] for row in rows], dtype=float),
            "i": np.array([row[2] for row in rows], dtype="int64"),
            "o": pd.Series([row[3] for row in rows], dtype=object),
        }
    )
    frame = frame.set_index(["s", "i"]) if indexed else frame
    found = there_and_back(frame)
    assert_frame_equal(found, frame, check_exact=True)
    assert found["x"].to_numpy().tobytes() == frame["x"].to_numpy().tobytes(), "a negative zero stays one"
    assert [(type(x), x) for x in found["o"]] == [(type(x), x) for x in frame["o"]]


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        ({"x": [1j]}, "its column 'x' is of the type complex128; make it numbers, text or dates"),
        ({"x": pd.period_range("2020", periods=1)}, "its column 'x' is of the type period"),
        ({"x": [[1]]}, "its column 'x' holds [1], a list; make it a number, text or a date"),
        ({"x": pd.Categorical([1, "1"])}, "its column 'x' has categories that are written alike"),
        ({"x": ["\ud800"]}, "it would not be read back as it is ('utf-8' codec can't encode"),
        ({frozenset("a"): [1], "b": [2]}, "its index or its columns holds frozenset({'a'}), a frozenset"),
    ],
)
def test_what_cannot_be_kept_is_refused_in_a_sentence(frame, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
        to_csv(pd.DataFrame(frame))


def test_csv_is_plain_to_any_reader():
    content, _ = to_csv(pd.DataFrame({"model": ["Small", 'La"rge'], "seconds": [0.1, 2.0]}, index=[3, 4]))
    assert content == b'level_0,model,seconds\n3,Small,0.1\n4,"La""rge",2.0\n'


def test_number_of_rows_and_columns_must_be_what_was_written():
    content, described = to_csv(pd.DataFrame({"x": [1, 2]}))
    for wrong in (content + b"3\n", content + b"1,2\n", content[:-2], b""):
        with pytest.raises(ValueError, match=r"there must be 2 rows of 1 columns|not enough values to unpack"):
            from_csv(wrong, described)
