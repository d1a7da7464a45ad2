"""A map of the sites that have coordinates: drawn here, from nothing but them. Pure.

There is no background, as that would have to be loaded from somewhere. A scale gives
the distances. Sites that were reached badly differ by shape and are named.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import median

from markupsafe import Markup

from dashboards.chart import begin_drawing, escape
from dashboards.report.report_figures import SiteFigures
from dashboards.report.report_summary import site_level, worst_first
from probes.wire.counted_text import counted
from probes.wire.display import shortened

_WIDTH, _HEIGHT, _EDGE, _FOOT = 340, 240, 14, 24
_KM_PER_DEGREE = 111.32
_LEAST_KM = 1.0
# What is far: of so many sites or more, one that is this many times as far from their
# middle as half of them are. The largest district of Great Britain is 250 km long.
_FEW, _FAR_TIMES, _NEAR_KM = 4, 10, 50.0
_SCALES_KM = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)
_NAMED = 3
_LONGEST_NAME = 22
_CHARACTER, _LINE = 7.0, 14.0
_WORDS = {
    "ok": "always reached",
    "warn": "not always reached",
    "bad": "reached less than 99% of opening hours",
    "none": "not observed",
}


def far_sites(sites: Sequence[SiteFigures]) -> list[SiteFigures]:
    """Returns the sites so far from the others that their coordinates are probably
    wrong, such as east instead of west: on a map with them the others would be one
    spot."""
    placed = _placed(sites)
    if len(placed) < _FEW:
        return []
    latitude = median(y for _, y, _ in placed)
    longitude = median(x for _, _, x in placed)
    narrow = max(0.05, math.cos(math.radians(latitude)))
    distances_km = [
        math.hypot(y - latitude, (x - longitude) * narrow) * _KM_PER_DEGREE
        for _, y, x in placed
    ]
    most_km = max(_NEAR_KM, _FAR_TIMES * median(distances_km))
    return [
        site
        for (site, _, _), km in zip(placed, distances_km, strict=True)
        if km > most_km
    ]


def _placed(sites: Sequence[SiteFigures]) -> list[tuple[SiteFigures, float, float]]:
    """Returns the sites that have coordinates, worst first, with these."""
    return [
        (site, site.site.latitude, site.site.longitude)
        for site in worst_first(sites)
        if site.site.latitude is not None and site.site.longitude is not None
    ]


def site_map(sites: Sequence[SiteFigures], title: str) -> Markup:
    """Returns the map without `far_sites`; empty if fewer than two sites have
    coordinates."""
    far = {site.site.id for site in far_sites(sites)}
    placed = [place for place in _placed(sites) if place[0].site.id not in far]
    if len(placed) < 2:
        return Markup("")
    middle = math.radians(sum(latitude for _, latitude, _ in placed) / len(placed))
    points = [
        (
            site,
            longitude * _KM_PER_DEGREE * max(0.05, math.cos(middle)),
            -latitude * _KM_PER_DEGREE,
        )
        for site, latitude, longitude in placed
    ]
    (left, right), (top, bottom) = (
        (min(values), max(values))
        for values in ([p[1] for p in points], [p[2] for p in points])
    )
    inner_w, inner_h = _WIDTH - 2 * _EDGE, _HEIGHT - 2 * _EDGE - _FOOT
    km = max((right - left) / inner_w, (bottom - top) / inner_h, _LEAST_KM / inner_w)
    shift_x = _EDGE + (inner_w - (right - left) / km) / 2
    shift_y = _EDGE + (inner_h - (bottom - top) / km) / 2
    words = _description([site for site, _, _ in placed], len(sites) - len(far))
    out = [begin_drawing("chart map", "map", (_WIDTH, _HEIGHT), title, words)]
    spots = [
        (site, shift_x + (x_km - left) / km, shift_y + (y_km - top) / km)
        for site, x_km, y_km in points
    ]
    # The worst are drawn last, over the others.
    out += [_mark(site_level(site), x, y) for site, x, y in reversed(spots)]
    out += _names(
        [spot for spot in spots[:_NAMED] if site_level(spot[0]) in ("warn", "bad")]
    )
    out.append(_scale(km))
    out.append("</svg>")
    return Markup("".join(out))


def _mark(level: str, x: float, y: float) -> str:
    if level == "bad":
        d = f"M{x - 5:.1f} {y - 5:.1f}h10v10h-10z"
        return f'<path class="spot s-bad" d="{d}"/>'
    if level == "warn":
        d = f"M{x:.1f} {y - 6:.1f}l6 6-6 6-6-6z"
        return f'<path class="spot s-part" d="{d}"/>'
    kind, radius = ("s-ok", 3.5) if level == "ok" else ("s-none", 2)
    return f'<circle class="{kind}" cx="{x:.1f}" cy="{y:.1f}" r="{radius}"/>'


def _names(spots: Sequence[tuple[SiteFigures, float, float]]) -> list[str]:
    """Returns the names beside their marks; one that would cover another is left
    out, as the table has it."""
    taken: list[tuple[float, float, float]] = []
    out = []
    for site, x, y in spots:
        short = shortened(site.site.name, _LONGEST_NAME)
        width = _CHARACTER * len(short)
        for begin, middle in (
            (x + 9, y),
            (x - 9 - width, y),
            (x - width / 2, y - 14),
            (x - width / 2, y + 14),
        ):
            is_inside = 0 <= begin <= _WIDTH - width and 8 <= middle <= _HEIGHT - _FOOT
            if is_inside and not any(
                abs(middle - other_y) < _LINE
                and begin < other_end
                and other_begin < begin + width
                for other_begin, other_end, other_y in taken
            ):
                taken.append((begin, begin + width, middle))
                out.append(
                    f'<text class="axis name" x="{begin:.1f}" y="{middle + 4:.1f}">'
                    f"{escape(short)}</text>"
                )
                break
    return out


def _scale(km: float) -> str:
    length = max(s for s in _SCALES_KM if s <= max(km * 120, _SCALES_KM[0]))
    y, end = _HEIGHT - 10, _EDGE + length / km
    text = f"{length:g} km" if length >= 1 else f"{length * 1000:g} m"
    return (
        f'<path class="c1 whisker" d="M{_EDGE} {y - 4}v8M{_EDGE} {y}H{end:.1f}'
        f'M{end:.1f} {y - 4}v8"/><text class="axis" x="{end + 6:.1f}" y="{y + 4}">'
        f"{text}</text>"
    )


def _description(placed: Sequence[SiteFigures], of: int) -> str:
    levels = [site_level(site) for site in placed]
    counts = ", ".join(
        f"{levels.count(level)} {words}"
        for level, words in _WORDS.items()
        if level in levels
    )
    text = f"{counted(len(placed), 'site')} on the map: {counts}."
    if without := of - len(placed):
        text += f" {counted(without, 'site')} without coordinates."
    return text
