"""Damage to files that hypothesis draws: any value in a place of JSON, any bytes in a file."""

import copy

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

# The same examples in every run, and no files beside the tests.
FUZZ = settings(
    derandomize=True,
    database=None,
    deadline=None,
    max_examples=60,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
NUMBERS = st.one_of(
    st.integers(-3, 70),
    st.sampled_from([2**31, 2**32, 2**63 - 1, 2**63, 2**64, -(2**70), 10**40, 10**4000]),
    st.floats(allow_nan=True, allow_infinity=True),
    st.sampled_from([1e300, -0.0, 1.0, 2.5]),
)
SCALARS = st.one_of(
    st.none(), st.booleans(), NUMBERS, st.text(max_size=8), st.sampled_from(["1", "-7", "1e5"])
)
RLES = st.fixed_dictionaries(
    {
        "size": st.one_of(st.just([48, 64]), st.lists(NUMBERS, max_size=3), SCALARS),
        "counts": st.one_of(
            st.text("0123456789LMNOTo\\~ä\ud800", max_size=12),
            st.lists(st.one_of(st.integers(0, 3072), NUMBERS), max_size=6),
            SCALARS,
        ),
    }
)
POLYGONS = st.lists(st.lists(NUMBERS, max_size=9), max_size=3)
VALUES = st.one_of(
    st.recursive(
        SCALARS,
        lambda inner: st.one_of(
            st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=6), inner, max_size=3)
        ),
        max_leaves=8,
    ),
    RLES,
    POLYGONS,
)
STEPS = st.lists(
    st.tuples(
        st.integers(0, 10**6), st.integers(0, 10**6), VALUES,
        st.sampled_from(["replace", "replace", "remove", "repeat", "move"]),
    ),
    min_size=1,
    max_size=6,
)  # fmt: skip


CUTS = st.lists(
    st.tuples(st.integers(0, 10**6), st.sampled_from([0, 0, 1, 4, 10**6]), st.binary(max_size=6)),
    min_size=1,
    max_size=4,
)  # fmt: skip


def places(content):
    """(container, key) of every value."""
    pending, found_places = [content], []
    while pending:
        container = pending.pop()
        keys = container if isinstance(container, dict) else range(len(container))
        for key in keys:
            found_places.append((container, key))
            if isinstance(container[key], dict | list):
                pending.append(container[key])
    return found_places


def mutate(content, steps):
    """Change JSON content in place by drawn ``STEPS``."""
    for first, second, value, what in steps:
        known = places(content)
        container, key = known[first % len(known)]
        if what == "replace":
            container[key] = copy.deepcopy(value)
        elif what == "remove":
            del container[key]
        elif what == "repeat" and isinstance(container, list):
            container.insert(second % (len(container) + 1), copy.deepcopy(container[key]))
        else:
            other, other_key = known[second % len(known)]
            other[other_key] = copy.deepcopy(container[key])
        if not places(content):
            return


def cut(content, cuts):
    """Bytes with drawn ``CUTS``: pieces changed, put in or cut off."""
    content = bytearray(content)
    for place, length, piece in cuts:
        place %= len(content) + 1
        content[place : place + length] = piece
    return bytes(content)
