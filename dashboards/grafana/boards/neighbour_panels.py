"""Panels about what is connected to a device or to one of its ports."""

from collectors.store.query import Aggregate
from dashboards.grafana.board import (
    Panel,
    PanelLink,
    PanelQuery,
    TableColumn,
    cell,
    choice,
    column,
    link_to,
    select,
)
from dashboards.grafana.boards.key_texts import PROTOCOLS

_LATEST: tuple[tuple[str, Aggregate], ...] = (
    ("remote_name", "last"),
    ("remote_port", "last"),
    ("remote_port_descr", "last"),
    ("remote_device", "last"),
    ("remote_address", "last"),
    ("protocol", "last"),
)
_COLUMNS = {
    "remote_name_last": TableColumn("Neighbour"),
    "remote_device_last": TableColumn(
        "Its id here",
        link=link_to("towpath-switch", device=cell()),
        link_title="Show this device",
        more_links=(
            PanelLink(
                "Show its port",
                link_to("towpath-port", device=cell(), port=column("remote_port_last")),
            ),
        ),
        width=200,
    ),
    "remote_port_last": TableColumn("Its port", width=200),
    "remote_port_descr_last": TableColumn("Its port's description"),
    "remote_address_last": TableColumn("Management address", width=180),
    "protocol_last": TableColumn(
        "Protocol", value_texts=PROTOCOLS, colour="none", width=130
    ),
    "heard": TableColumn("Chassis", hidden=True),
}
NEIGHBOURS = Panel(
    "What is connected to it?",
    "Switches, routers and access points that it sees by LLDP, CDP and similar "
    "protocols. Select the id of a neighbour for its board or that of its port; one "
    "that Towpath does not poll has none. `towpath topology` shows the whole network.",
    (
        PanelQuery(
            select("neighbour", *_LATEST, by=("port", "heard")),
            variables={"device": "device"},
            searches={"port": "search"},
        ),
    ),
    "none",
    "table",
    width=24,
    height=9,
    columns={
        "port": TableColumn(
            "Port",
            link=link_to(
                "towpath-port", ("site",), device=choice("device"), port=cell()
            ),
            width=170,
        ),
        **_COLUMNS,
    },
    sort=("port", False),
    no_value="No neighbour known",
)
NEIGHBOUR = Panel(
    "What is connected?",
    "The switch, router or access point at the other end, by LLDP, CDP and similar. "
    "Select its id for its board, or for the other end of this cable: errors on one "
    "end and not on the other point to a direction. A device that Towpath does not "
    "poll has no id here. Nothing at all: a desk, or a device that does not say.",
    (
        PanelQuery(
            select("neighbour", *_LATEST, by=("heard",)),
            variables={"device": "device", "port": "port"},
        ),
    ),
    "none",
    "table",
    width=24,
    height=4,
    columns=_COLUMNS,
    no_value="No neighbour known",
)
