"""Panels about the WAN lines of one site."""

from collectors.store.query import Where
from dashboards.grafana.board import (
    AMBER,
    BUSY,
    GREEN,
    PLAIN,
    UP,
    Panel,
    PanelQuery,
    select,
)
from dashboards.grafana.boards.rule_texts import what_to_do

_SITE = {"site": "site"}
# A backup line that carries traffic: the primary line does not.
STANDBY = {1: ("Carrying traffic", AMBER), 0: ("Standby", GREEN)}


def _use(title: str, field: str, rule: str) -> Panel:
    return Panel(
        title,
        "Mean of each line in each interval, as a share of the contracted "
        f"speed. Dashed: where the rule starts. A line that is down has no value. "
        f"{what_to_do(rule)}",
        (
            PanelQuery(
                select("line", (field, "mean"), by=("line",)), "$tag_line", _SITE
            ),
        ),
        "percentunit",
        steps=BUSY,
        soft_minimum=0,
        soft_maximum=1,
    )


USE_DOWN = _use(
    "How full are its lines towards it?", "down_use_ratio", "line_full_down"
)
USE_UP = _use("How full are its lines from it?", "up_use_ratio", "line_full_up")
TRAFFIC = Panel(
    "How much do its lines carry?",
    "Mean rate: to the site above the axis, from the site below it. A line that is "
    "down has no rate. A backup line that carries something: the primary does not.",
    (
        PanelQuery(
            select("line", ("down_bps", "mean"), by=("line",)),
            "$tag_line to the site",
            _SITE,
        ),
        PanelQuery(
            select("line", ("up_bps", "mean"), by=("line",)),
            "$tag_line from the site",
            _SITE,
            below=True,
        ),
    ),
    "bps",
    steps=PLAIN,
)
STATES = Panel(
    "When were its lines down?",
    "Red: the port at the end of the line was down for at least one poll of the "
    f"interval. Gap: not observed. {what_to_do('line_down')}",
    (PanelQuery(select("line", ("up", "min"), by=("line",)), "$tag_line", _SITE),),
    "short",
    "state-timeline",
    value_texts=UP,
)
BACKUPS = Panel(
    "When did a backup line carry traffic?",
    "Orange: a backup line carried more than keep-alives, so its primary line did not. "
    "Empty: the site has no backup line.",
    (
        PanelQuery(
            select(
                "line",
                ("carrying", "max"),
                by=("line",),
                where=(Where("role", ("backup",)),),
            ),
            "$tag_line",
            _SITE,
        ),
    ),
    "short",
    "state-timeline",
    height=5,
    value_texts=STANDBY,
    no_value="no backup line",
)
