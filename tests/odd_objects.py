"""Hypothesis strategies: lists of JSON objects with odd values under known keys."""

from hypothesis import strategies as st

ODD = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=8)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from(
                ["id", "name", "site", "status", "value", "address", "device", "slug"]
            ),
            inner,
            max_size=4,
        ),
    ),
    max_leaves=8,
)
objects = st.lists(
    st.dictionaries(
        st.sampled_from(
            [
                *("id", "name", "site", "status", "primary_ip4", "virtual_chassis"),
                *("role", "prefix", "scope", "scope_type", "circuit", "link_peers"),
                *("cid", "provider", "commit_rate", "term_side", "slug", "display"),
            ]
        ),
        ODD,
    ),
    max_size=4,
)
