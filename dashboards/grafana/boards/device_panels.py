"""Panels about a device other than its ports: sensors, processors, memory, radios."""

from collectors.store.query import Where
from dashboards.grafana.board import (
    AMBER,
    BUSY,
    GREEN,
    RED,
    Panel,
    PanelQuery,
    TableColumn,
    select,
)

_DEVICE = {"device": "device"}
_SENSOR = ("device", "class", "sensor")
SEVERITY = {0: ("ok", GREEN), 1: ("warning", AMBER), 2: ("critical", RED)}
SENSOR_TABLE = Panel(
    "Sensors",
    "The latest reading of each sensor, and its severity by its state or limits. "
    "Values are in the unit of their class (temperature °C, power W, dbm dBm …).",
    (
        PanelQuery(
            select(
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
        "class": TableColumn("Class"),
        "sensor": TableColumn("Sensor"),
        "severity_last": TableColumn("Severity", value_texts=SEVERITY),
        "state_last": TableColumn("State"),
        "value_last": TableColumn("Value"),
        "value_min": TableColumn("Lowest"),
        "value_max": TableColumn("Highest"),
        "low_last": TableColumn("Lower limit"),
        "high_last": TableColumn("Upper limit"),
    },
)
TEMPERATURES = Panel(
    "Temperature",
    "Each temperature sensor. The device's own limits are in the table above.",
    (
        PanelQuery(
            select(
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
    "Output of power supplies and Power over Ethernet, as the device reports it.",
    (
        PanelQuery(
            select(
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
    "Optical power",
    "Power that optics send and receive. A port without a cable is dark (-40 dBm).",
    (
        PanelQuery(
            select(
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
    "Share in use, mean of each interval.",
    (
        PanelQuery(
            select("processor", ("use_ratio", "mean"), by=("device", "processor")),
            "$tag_device $tag_processor",
            _DEVICE,
        ),
    ),
    "percentunit",
    steps=BUSY,
    minimum=0,
    maximum=1,
)
MEMORY = Panel(
    "Memory",
    "Share in use, by memory pool.",
    (
        PanelQuery(
            select("memory", ("use_ratio", "mean"), by=("device", "pool")),
            "$tag_device $tag_pool",
            _DEVICE,
        ),
    ),
    "percentunit",
    steps=BUSY,
    minimum=0,
    maximum=1,
)
CLIENTS = Panel(
    "Wireless clients",
    "Clients by radio or network, if the device is an access point or a controller.",
    (
        PanelQuery(
            select(
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
INVENTORY = Panel(
    "Inventory",
    "Maker, model, software and serial number, as the device reports them.",
    (
        PanelQuery(
            select(
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
