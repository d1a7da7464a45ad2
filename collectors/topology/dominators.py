"""Immediate dominators of a graph: the nodes that every path must pass. Pure.

K. D. Cooper, T. J. Harvey, K. Kennedy: A Simple, Fast Dominance Algorithm (2001).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

_ROOT = ""


def dominators(
    edges: Mapping[str, Collection[str]], roots: Iterable[str]
) -> dict[str, str | None]:
    """Return the immediate dominator of each node that `roots` reach: the nearest other
    node that every path from a root passes. None for a root, and for a node with paths
    that share no other node.

    `edges` are symmetric: a in edges[b] means b in edges[a].
    """
    begin = sorted(set(roots))
    order = _postorder(edges, begin)
    number = {node: at for at, node in enumerate(order)}
    above: dict[str, str] = {_ROOT: _ROOT}
    changed = True
    while changed:
        changed = False
        for node in reversed(order[:-1]):
            reached = [other for other in edges.get(node, ()) if other in above]
            if node in begin:
                reached.append(_ROOT)
            nearest = reached[0]
            for other in reached[1:]:
                nearest = _nearest_common(nearest, other, above, number)
            if above.get(node) != nearest:
                above[node] = nearest
                changed = True
    return {node: None if above[node] == _ROOT else above[node] for node in order[:-1]}


def distances(
    edges: Mapping[str, Collection[str]], roots: Iterable[str]
) -> dict[str, int]:
    """Return the number of links from each node to the nearest root."""
    links = dict.fromkeys(sorted(set(roots)), 0)
    queue = list(links)
    for node in queue:
        for other in sorted(edges.get(node, ())):
            if other not in links:
                links[other] = links[node] + 1
                queue.append(other)
    return links


def _nearest_common(
    a: str, b: str, above: Mapping[str, str], number: Mapping[str, int]
) -> str:
    while a != b:
        while number[a] < number[b]:
            a = above[a]
        while number[b] < number[a]:
            b = above[b]
    return a


def _postorder(edges: Mapping[str, Collection[str]], begin: list[str]) -> list[str]:
    """Return the nodes in postorder of a depth-first search, the root last."""
    order: list[str] = []
    visited = {_ROOT}
    stack = [(_ROOT, iter(begin))]
    while stack:
        node, rest = stack[-1]
        for other in rest:
            if other not in visited:
                visited.add(other)
                stack.append((other, iter(sorted(edges.get(other, ())))))
                break
        else:
            order.append(node)
            stack.pop()
    return order
