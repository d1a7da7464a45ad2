"""Panels about the radios of one access point, controller or router."""

from collectors.snmp.tables.quantities import WIRELESS
from collectors.store.query import Aggregate, Where
from dashboards.grafana.board import (
    NEUTRAL,
    Panel,
    PanelQuery,
    TableColumn,
    ValueTexts,
    busiest,
    select,
)

_WORDS = {
    "ap-count": "access points",
    "capacity": "capacity",
    "ccq": "quality of the link",
    "channel": "channel",
    "clients": "clients",
    "distance": "distance",
    "noise-floor": "noise",
    "power": "transmit power",
    "quality": "quality",
    "rate": "rate",
    "rsrp": "reference signal power (RSRP)",
    "rsrq": "reference signal quality (RSRQ)",
    "rssi": "signal (RSSI)",
    "sinr": "signal to noise (SINR)",
    "snr": "signal to noise",
    "utilization": "of the channel in use",
}


def radio_text(name: str) -> str:
    """Returns the unit of a class of radio figures and what it measures."""
    unit = WIRELESS[name].unit or ""
    words = _WORDS.get(name, name.replace("-", " "))
    return f"{unit}, {words}" if unit else words


RADIO_READINGS: ValueTexts = {name: (radio_text(name), NEUTRAL) for name in WIRELESS}
_LINES = 8
_DEVICE = {"device": "device"}


def _of(name: str) -> tuple[Where, ...]:
    return (Where("class", (name,)),)


BUSIEST_RADIOS = busiest(
    "busiest_radios",
    "Radios with most clients",
    select("wireless", ("value", "max"), by=("radio",), where=_of("clients")),
    _LINES,
    _DEVICE,
)
FULLEST_CHANNELS = busiest(
    "fullest_channels",
    "Radios with the busiest channels",
    select("wireless", ("value", "max"), by=("radio",), where=_of("utilization")),
    _LINES,
    _DEVICE,
)
LOUDEST_RADIOS = busiest(
    "loudest",
    "Radios with most noise",
    select("wireless", ("value", "max"), by=("radio",), where=_of("noise-floor")),
    _LINES,
    _DEVICE,
)


def _over_time(
    name: str, title: str, description: str, kind: tuple[str, str], aggregate: Aggregate
) -> Panel:
    """A graph of one class of figures of one device; `kind` is (class, unit)."""
    radio_class, unit = kind
    query = select(
        "wireless", ("value", aggregate), by=("radio",), where=_of(radio_class)
    )
    variables = {"device": "device", "radio": name}
    return Panel(
        title,
        description,
        (PanelQuery(query, "$tag_radio", variables),),
        unit,
        width=24 if radio_class == "clients" else 12,
        height=9,
        decimals=0,
        soft_minimum=None if unit == "dBm" else 0,
        soft_maximum=None if unit == "dBm" else 5,
    )


CLIENTS = _over_time(
    "busiest_radios",
    "Which radios have the most clients?",
    f"The {_LINES} radios or networks of this device with most clients. More than 30 "
    "on a radio is much for calls. None during office hours: nobody can connect there.",
    ("clients", "short"),
    "max",
)
CHANNEL_USE = _over_time(
    "fullest_channels",
    "How busy are its channels?",
    f"Share of the time in which the channel was in use by anybody, of the {_LINES} "
    "busiest radios. Above half, calls suffer.",
    ("utilization", "percent"),
    "mean",
)
NOISE = _over_time(
    "loudest",
    "How much noise is there?",
    f"Noise on the {_LINES} radios that hear most of it. Good below -90 dBm. A step "
    "up: something new transmits there.",
    ("noise-floor", "dBm"),
    "mean",
)
RADIOS_OF_DEVICE = Panel(
    "What do its radios and modems read?",
    "Every figure of its radios, networks and mobile modems, each with its unit. For a "
    "modem: RSRP below -110 dBm or SINR below 0 dB is too weak for a line.",
    (
        PanelQuery(
            select(
                "wireless",
                ("value", "last"),
                ("value", "min"),
                ("value", "max"),
                by=("class", "radio"),
            ),
            variables=_DEVICE,
        ),
    ),
    "none",
    "table",
    width=24,
    height=9,
    columns={
        "radio": TableColumn("Radio, network or modem"),
        "value_last": TableColumn("Now", "none", width=120, align="right"),
        "class": TableColumn(
            "Unit", value_texts=RADIO_READINGS, colour="none", width=320
        ),
        "value_min": TableColumn("Lowest", "none", width=120),
        "value_max": TableColumn("Highest", "none", width=120),
    },
    sort=("radio", False),
)
