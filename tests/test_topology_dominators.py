"""Immediate dominators agree with their definition."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from collectors.topology.dominators import distances, dominators

edges = st.dictionaries(
    st.sampled_from("abcdefg"), st.sets(st.sampled_from("abcdefg")), max_size=7
)


@given(edges, st.sets(st.sampled_from("abcdefg"), min_size=1, max_size=3))
def test_a_dominator_is_the_nearest_node_whose_loss_cuts_off(
    some: dict[str, set[str]], roots: set[str]
) -> None:
    """By definition, no path is left without it, and no nearer node has that effect."""
    ways = {node: set(others) for node, others in some.items()}
    for node, others in some.items():
        for other in others:
            ways.setdefault(other, set()).add(node)

    def reached(without: str | None) -> set[str]:
        left = {
            node: others - {without} for node, others in ways.items() if node != without
        }
        return set(distances(left, roots - {without}))  # type: ignore[arg-type]

    nearest_of = dominators(ways, roots)
    everything = reached(None)
    assert set(nearest_of) == everything
    cutters = {
        node: {c for c in everything - {node} if node not in reached(c)}
        for node in everything
    }
    for node, nearest in nearest_of.items():
        if nearest is None:
            assert cutters[node] == set()
        else:
            assert nearest in cutters[node]
            assert cutters[node] - {nearest} <= cutters[nearest]
