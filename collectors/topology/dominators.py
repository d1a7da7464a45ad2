"""Without whom nobody gets there: immediate dominators in a graph. Pure.

K. D. Cooper, T. J. Harvey, K. Kennedy: A Simple, Fast Dominance Algorithm (2001).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

_ROOT = ""


def dominators(
    edges: Mapping[str, Collection[str]], roots: Iterable[str]
) -> dict[str, str | None]:
    """By node that can be reached from `roots`, the nearest other node that every way
    there goes through; None where there is no one such (a root, or two ways from two).

    `edges` go both ways: a in edges[b] means b in edges[a].
    """
    begin = sorted(set(roots))
    order = _postorder(edges, begin)
    number = {node: at for at, node in enumerate(order)}
    above: dict[str, str] = {_ROOT: _ROOT}
    changed = True
    while changed:
        changed = False
        for node in reversed(order[:-1]):
            ways = [each for each in edges.get(node, ()) if each in above]
            if node in begin:
                ways.append(_ROOT)
            nearest = ways[0]
            for other in ways[1:]:
                nearest = _meet(nearest, other, above, number)
            if above.get(node) != nearest:
                above[node] = nearest
                changed = True
    return {node: None if above[node] == _ROOT else above[node] for node in order[:-1]}


def distances(
    edges: Mapping[str, Collection[str]], roots: Iterable[str]
) -> dict[str, int]:
    """By node, how many links it is away from the nearest root."""
    found = dict.fromkeys(sorted(set(roots)), 0)
    todo = list(found)
    for node in todo:
        for each in sorted(edges.get(node, ())):
            if each not in found:
                found[each] = found[node] + 1
                todo.append(each)
    return found


def _meet(a: str, b: str, above: Mapping[str, str], number: Mapping[str, int]) -> str:
    while a != b:
        while number[a] < number[b]:
            a = above[a]
        while number[b] < number[a]:
            b = above[b]
    return a


def _postorder(edges: Mapping[str, Collection[str]], begin: list[str]) -> list[str]:
    """Every node after all that were first reached through it, the root last."""
    order: list[str] = []
    seen = {_ROOT}
    stack = [(_ROOT, iter(begin))]
    while stack:
        node, rest = stack[-1]
        for each in rest:
            if each not in seen:
                seen.add(each)
                stack.append((each, iter(sorted(edges.get(each, ())))))
                break
        else:
            order.append(node)
            stack.pop()
    return order
