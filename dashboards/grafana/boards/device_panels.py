"""Panels about a device beside its ports: sensors, processors, memory, radios."""

from collectors.store.query import Where
from dashboards.grafana.board import (
    AMBER,
    BUSY,
    GREEN,
    RED,
    Panel,
    PanelQuery,
    TableColumn,
    ask,
)

_DEVICE = {"device": "device"}
_SENSOR = ("device", "class", "sensor")
SEVERITY = {0: ("well", GREEN), 1: ("warning", AMBER), 2: ("critical", RED)}
SENSOR_TABLE = Panel(
    "Sensors",
    "What each sensor said last, and whether that is well by its state or its limits. "
    "Values are in the unit of their class (temperature °C, power W, dbm dBm …).",
    (
        PanelQuery(
            ask(
                "sensor",
                ("severity", "last"),
                ("state", "last"),
                ("value", "last"),
                ("value", "min"),
                ("value", "max"),
                ("low", "last"),
                ("high", "last"),
                by=_SENSOR,
            ),
            variables=_DEVICE,
        ),
    ),
    "short",
    "table",
    width=24,
    height=10,
    columns={
        "device": TableColumn("Device"),
        "class": TableColumn("What"),
        "sensor": TableColumn("Sensor"),
        "severity_last": TableColumn("Is", words=SEVERITY),
        "state_last": TableColumn("State"),
        "value_last": TableColumn("Value"),
        "value_min": TableColumn("Least"),
        "value_max": TableColumn("Most"),
        "low_last": TableColumn("Lower limit"),
        "high_last": TableColumn("Upper limit"),
    },
)
TEMPERATURES = Panel(
    "Temperature",
    "Each temperature sensor; the device's own limits are in the table above.",
    (
        PanelQuery(
            ask(
                "sensor",
                ("value", "max"),
                by=("device", "sensor"),
                where=(Where("class", ("temperature",)),),
            ),
            "$tag_device $tag_sensor",
            _DEVICE,
        ),
    ),
    "celsius",
)
POWER = Panel(
    "Power",
    "What supplies and Power over Ethernet give, as the device says.",
    (
        PanelQuery(
            ask(
                "sensor",
                ("value", "mean"),
                by=("device", "sensor"),
                where=(Where("class", ("power",)),),
            ),
            "$tag_device $tag_sensor",
            _DEVICE,
        ),
    ),
    "watt",
)
LIGHT = Panel(
    "Light of optics",
    "Sent and received power. A port without a cable is dark (-40 dBm).",
    (
        PanelQuery(
            ask(
                "sensor",
                ("value", "mean"),
                by=("device", "sensor"),
                where=(Where("class", ("dbm",)),),
            ),
            "$tag_device $tag_sensor",
            _DEVICE,
        ),
    ),
    "dBm",
)
PROCESSORS = Panel(
    "Processors",
    "In use, the mean of each interval.",
    (
        PanelQuery(
            ask("processor", ("use_ratio", "mean"), by=("device", "processor")),
            "$tag_device $tag_processor",
            _DEVICE,
        ),
    ),
    "percentunit",
    steps=BUSY,
    least=0,
    most=1,
)
POOLS = Panel(
    "Memory",
    "In use, by pool.",
    (
        PanelQuery(
            ask("memory", ("use_ratio", "mean"), by=("device", "pool")),
            "$tag_device $tag_pool",
            _DEVICE,
        ),
    ),
    "percentunit",
    steps=BUSY,
    least=0,
    most=1,
)
CLIENTS = Panel(
    "Wireless clients",
    "By radio or network, where the device is an access point or a controller.",
    (
        PanelQuery(
            ask(
                "wireless",
                ("value", "max"),
                by=("device", "radio"),
                where=(Where("class", ("clients",)),),
            ),
            "$tag_device $tag_radio",
            _DEVICE,
        ),
    ),
    "short",
)
IS = Panel(
    "What it is",
    "Maker, model, software and serial number, as the device says.",
    (
        PanelQuery(
            ask(
                "inventory",
                ("vendor", "last"),
                ("hardware", "last"),
                ("os", "last"),
                ("version", "last"),
                ("serial", "last"),
                by=("device",),
            ),
            variables=_DEVICE,
        ),
    ),
    "short",
    "table",
    width=24,
    height=4,
    columns={
        "device": TableColumn("Device"),
        "vendor_last": TableColumn("Maker"),
        "hardware_last": TableColumn("Model"),
        "os_last": TableColumn("System"),
        "version_last": TableColumn("Software"),
        "serial_last": TableColumn("Serial number"),
    },
)
