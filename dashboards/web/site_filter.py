"""Which sites the status page lists, and in which groups. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

from collectors.natural_order import natural_order
from dashboards.state_levels import Level
from dashboards.web.list_page import page_number
from dashboards.web.site_state import SiteNow

PAGE_SITES = 25
# Fewer sites are all seen in the table.
LEAST_TILES = 12
# Longer than any name that a form is asked for.
MAX_TEXT = 100
# How sites can be grouped; the key is a field of a site.
GROUPINGS = {"district": "District", "kind": "Kind"}
STATES: dict[str, Level] = {
    "Down": "bad",
    "Problem": "bad",
    "Degraded": "warn",
    "No data": "none",
    "Not monitored": "none",
    "Working": "ok",
}


@dataclass(frozen=True)
class SiteFilter:
    """What the form says. An empty text does not filter. `by`: how tiles are grouped;
    empty: as the estate's sites allow."""

    text: str = ""
    district: str = ""
    kind: str = ""
    state: str = ""
    by: str = ""
    page: int = 1

    @property
    def is_set(self) -> bool:
        return bool(self.text or self.district or self.kind or self.state)

    def link(self, **changes: object) -> str:
        """Returns the address of the page with some of the values changed."""
        values = {
            "q": self.text,
            "district": self.district,
            "kind": self.kind,
            "state": self.state,
            "by": self.by,
            **changes,
        }
        chosen = {name: value for name, value in values.items() if value}
        return f"/?{urlencode(chosen)}" if chosen else "/"


def read_site_filter(values: Mapping[str, str]) -> SiteFilter:
    """Returns the filter of an address. An unknown value finds no site."""
    by = values.get("by", "")
    return SiteFilter(
        " ".join(values.get("q", "")[:MAX_TEXT].split()),
        values.get("district", "")[:MAX_TEXT],
        values.get("kind", "")[:MAX_TEXT],
        values.get("state", "")[:MAX_TEXT],
        by if by in GROUPINGS else "",
        page_number(values.get("page", "1")),
    )


def matching(sites: Iterable[SiteNow], wanted: SiteFilter) -> list[SiteNow]:
    """Returns the sites that match `wanted`, in their order."""
    words = wanted.text.casefold().split()
    return [
        site
        for site in sites
        if wanted.district in ("", site.site.district)
        and wanted.kind in ("", site.site.kind)
        and wanted.state.casefold() in ("", site.word.casefold())
        and _has_words(words, site)
    ]


def state_counts(sites: Sequence[SiteNow]) -> list[tuple[str, Level, int]]:
    """Returns (state, level, number of sites), the most urgent first. Working is
    always among them."""
    words = [site.word for site in sites]
    return [
        (word, level, words.count(word))
        for word, level in STATES.items()
        if word in words or word == "Working"
    ]


def grouped(
    sites: Sequence[SiteNow], by: str = ""
) -> list[tuple[str, tuple[SiteNow, ...]]]:
    """Returns (name of the group, its sites), by name, those without one last. If `by`
    is empty: by the first grouping that any site has; else one group without a name."""
    by = by or next(
        (key for key in GROUPINGS if any(getattr(s.site, key) for s in sites)), ""
    )
    if not by:
        return [("", tuple(sites))] if sites else []
    groups: dict[str, list[SiteNow]] = {}
    for site in sites:
        groups.setdefault(getattr(site.site, by), []).append(site)
    named = sorted(groups, key=lambda name: (not name, natural_order(name)))
    return [
        (name or f"{GROUPINGS[by]} not listed", tuple(groups[name])) for name in named
    ]


def group_names(sites: Iterable[SiteNow], by: str) -> list[str]:
    """Returns the names that sites have of a grouping."""
    names = {getattr(site.site, by) for site in sites} - {""}
    return sorted(names, key=natural_order)


def _has_words(words: Iterable[str], site: SiteNow) -> bool:
    known = " ".join((site.site.name, site.site.id, site.site.district, site.site.kind))
    return all(word in known.casefold() for word in words)
