"""The groups of the highest subjects (`query.Highest`). Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from collectors.store.query import Highest, Query, Row

# The values of a query's `group_by`.
Group = tuple[str, ...]


def highest_groups(query: Query, values: Mapping[Group, float]) -> set[Group]:
    """Returns the groups that `query.highest` keeps. `values`: the highest value of
    each group."""
    assert query.highest is not None
    by_subject = subject_values(query, values)
    least = lowest_kept(query.highest, by_subject)
    kept = {
        subject for subject, value in by_subject.items() if value >= least[subject[0]]
    }
    return {group for group in values if subject_of(query, group) in kept}


def possible_groups(
    query: Query, least: Mapping[Group, float], most: Mapping[Group, float]
) -> set[Group]:
    """Returns the groups that may be among those that `query` keeps. `least` and `most`
    are bounds of the value of each group: of a group that is not returned, even `most`
    is below the lowest of the highest values of `least`."""
    assert query.highest is not None
    lowest = lowest_kept(query.highest, subject_values(query, least))
    highest = subject_values(query, most)
    return {
        group
        for group in most
        for subject in (subject_of(query, group),)
        if highest[subject] >= lowest[subject[0]]
    }


def lowest_kept(
    highest: Highest, by_subject: Mapping[Group, float]
) -> dict[str, float]:
    """Returns the lowest value that is kept of each value of the tag `within`."""
    within: dict[str, list[float]] = {}
    for subject, value in by_subject.items():
        within.setdefault(subject[0], []).append(value)
    return {
        one: sorted(found, reverse=True)[: highest.count][-1]
        for one, found in within.items()
    }


def subject_values(query: Query, values: Mapping[Group, float]) -> dict[Group, float]:
    """Returns the value of each subject."""
    found: dict[Group, float] = {}
    for group, value in values.items():
        subject = subject_of(query, group)
        found[subject] = max(value, found.get(subject, value))
    return found


def subject_of(query: Query, group: Group) -> Group:
    """Returns what identifies the subject of a group: first its tag `within`."""
    assert query.highest is not None
    tags = (query.highest.within, *query.highest.of)
    return tuple(group[query.group_by.index(tag)] for tag in tags)


def keep_highest_rows(query: Query, rows: Sequence[Row]) -> list[Row]:
    """Returns the rows that `query.highest` keeps, in their order."""
    if query.highest is None:
        return list(rows)
    cells = [
        (
            *(row.tags.get(tag, "") for tag in query.group_by),
            *(row.values.get(pick.name) for pick in query.picks),
        )
        for row in rows
    ]
    values = cell_values(query, cells)
    kept = highest_groups(query, values)
    count = len(query.group_by)
    return [row for row, cell in zip(rows, cells, strict=True) if cell[:count] in kept]


def keep_highest(
    query: Query, cells: Sequence[tuple[Any, ...]]
) -> list[tuple[Any, ...]]:
    """Returns the cells (tags, then a value for each pick) that it keeps."""
    kept = highest_groups(query, cell_values(query, cells))
    count = len(query.group_by)
    return [cell for cell in cells if cell[:count] in kept]


def cell_values(query: Query, cells: Sequence[tuple[Any, ...]]) -> dict[Group, float]:
    """Returns the highest value of each group that has one."""
    count = len(query.group_by)
    found = {}
    for cell in cells:
        known = [value for value in cell[count:] if value is not None]
        if known:
            found[cell[:count]] = max(known)
    return found
