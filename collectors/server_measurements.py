"""The measurements of the server, and the whole catalogue.

None of these is about one person, so shared pages may query them. What agents measure
reaches shared pages only as `experience`, in which every group has at least
`collectors.experience.groups.LEAST` agents.
"""

from collectors.call_measurements import CALL_MEASUREMENTS, SELF_CALLS
from collectors.declare import SITE, measurement
from collectors.experience_measurement import EXPERIENCE, PARITY
from collectors.room_measurements import ROOM, ROOM_PORT
from collectors.rtp_measurements import RTP_MEASUREMENTS
from collectors.self_measurements import SELF_MEASUREMENTS
from collectors.silence_measurement import SILENCE
from probes.wire.catalogue import Catalogue, Field, Tag
from probes.wire.measurements import MEASUREMENTS as AGENT_MEASUREMENTS

_DEVICE = Tag("device", "estate id of the device")
_ROLE = Tag("role", "role of the device: switch, router, access_point, ups …")
DEVICE = measurement(
    "device",
    "one poll of one device",
    (_DEVICE, SITE, _ROLE),
    Field("name", "str", "1", "its name in the estate, or else its id"),
    Field("up", "int", "flag", "1 if it answered SNMP or ICMP, or refused SNMP"),
    Field("answered", "int", "flag", "as `up`; absent while Towpath was cut off"),
    Field("readable", "int", "flag", "1 if its figures could be read, 0 if not"),
    Field("outcome", "str", "1", "ok, or the reason from the closed list"),
    Field("icmp_up", "int", "flag", "1 if an echo was answered; absent: not pinged"),
    Field("icmp_rtt_ms", "float", "ms", "mean of the echoes since the last poll"),
    Field("icmp_loss_ratio", "float", "ratio", "echoes lost since the last poll"),
    Field("duration_ms", "float", "ms", "time the poll took"),
    Field("packets", "int", "packet", "requests sent, retries included"),
    Field("retries", "int", "packet", "requests sent again"),
    Field("late_ms", "float", "ms", "delay of the poll's start"),
    Field("uptime_s", "float", "s", "time since the device started"),
    Field(
        "restarted",
        "int",
        "flag",
        "1 in the first poll after a restart; none without sysUpTime",
    ),
    Field("own_clock", "int", "flag", "1 if our clock is used: it has no sysUpTime"),
    Field("ports_up", "int", "1", "ports up"),
    Field("ports_down", "int", "1", "ports that are down but not disabled"),
)
INTERFACE = measurement(
    "interface",
    "traffic, faults and state of one port over one interval (IF-MIB, RFC 2863)",
    (
        _DEVICE,
        SITE,
        _ROLE,
        Tag("port", "port, by its stable name"),
        Tag(
            "description",
            "what the engineers call the port (ifAlias); absent if it has none",
            describes=True,
        ),
    ),
    Field("in_bps", "float", "bit/s", "received"),
    Field("out_bps", "float", "bit/s", "sent"),
    Field("in_use_ratio", "float", "ratio", "received, share of the port's speed"),
    Field("out_use_ratio", "float", "ratio", "sent, share of the port's speed"),
    Field("in_errors_per_s", "float", "1/s", "ifInErrors"),
    Field("out_errors_per_s", "float", "1/s", "ifOutErrors"),
    Field("in_discards_per_s", "float", "1/s", "ifInDiscards"),
    Field("out_discards_per_s", "float", "1/s", "ifOutDiscards"),
    Field("in_error_ratio", "float", "ratio", "errors per packet received"),
    Field("speed_bps", "float", "bit/s", "speed in use"),
    Field("admin", "int", "1", "ifAdminStatus: up 1, down 2, testing 3"),
    Field("oper", "int", "1", "ifOperStatus: up 1, down 2 … lowerLayerDown 7"),
    Field("up", "int", "flag", "1 up, 0 down; absent if disabled"),
    Field("expected_up", "int", "flag", "1 if it should be up"),
    Field("expected_why", "str", "1", "line, uplink, neighbour or pattern"),
    Field("state", "int", "1", "0 down but should be up, 1 down, 2 disabled, 3 up"),
    Field("if_index", "int", "1", "ifIndex: the device's own order of its ports"),
)
SENSOR = measurement(
    "sensor",
    "one sensor of a device: temperature, power, light, fan, battery …, or a state",
    (
        _DEVICE,
        SITE,
        _ROLE,
        Tag("class", "kind of sensor: temperature, voltage, dbm, state …"),
        Tag("sensor", "name of the sensor on the device"),
        Tag(
            "port",
            "port that it belongs to (optics, PoE), by its stable name",
            describes=True,
        ),
    ),
    Field(
        "value",
        "float",
        "1",
        "in the unit of its class: temperature °C, voltage V, current A, power W, "
        "power_consumed kWh, frequency Hz, fanspeed rpm, runtime min, delay s, dbm and "
        "signal dBm, pressure kPa, or per cent; the number of a state",
    ),
    Field("state", "str", "1", "state of a state sensor, in the device's words"),
    Field("severity", "int", "1", "0 ok, 1 warning, 2 critical, by state or limits"),
    Field("on_battery", "int", "flag", "1 if a UPS is on battery, 0 if not"),
    Field("low", "float", "1", "lower limit"),
    Field("high", "float", "1", "upper limit"),
    period_s=300,
)
PROCESSOR = measurement(
    "processor",
    "one processor of a device",
    (_DEVICE, SITE, _ROLE, Tag("processor", "which one")),
    Field("use_ratio", "float", "ratio", "in use"),
)
MEMORY = measurement(
    "memory",
    "one pool of a device's memory",
    (_DEVICE, SITE, _ROLE, Tag("pool", "which one")),
    Field("use_ratio", "float", "ratio", "in use"),
    Field("used_bytes", "int", "byte", "in use"),
    Field("total_bytes", "int", "byte", "size"),
)
STORAGE = measurement(
    "storage",
    "one disk or flash memory of a device",
    (_DEVICE, SITE, _ROLE, Tag("volume", "which one")),
    Field("use_ratio", "float", "ratio", "in use"),
    Field("used_bytes", "int", "byte", "in use"),
    Field("total_bytes", "int", "byte", "size"),
    period_s=300,
)
WIRELESS = measurement(
    "wireless",
    "a figure of an access point or controller: clients, access points, noise …",
    (
        _DEVICE,
        SITE,
        _ROLE,
        Tag("class", "clients, ap-count, utilization, noise-floor …"),
        Tag("radio", "which radio or network, or all"),
    ),
    Field("value", "float", "1", "clients and ap-count as numbers, ratios in per cent"),
    period_s=300,
)
INVENTORY = measurement(
    "inventory",
    "make, model and version of a device",
    (_DEVICE, SITE, _ROLE),
    Field("name", "str", "1", "its name in the estate, or else its id"),
    Field("vendor", "str", "1", "maker"),
    Field("os", "str", "1", "operating system"),
    Field("hardware", "str", "1", "model"),
    Field("version", "str", "1", "software version"),
    Field("serial", "str", "1", "serial number"),
    Field("parts", "int", "1", "parts in ENTITY-MIB"),
    period_s=3600,
)
IP_SLA = measurement(
    "ip_sla",
    "the latest result of an operation that a Cisco router runs (CISCO-RTTMON-MIB)",
    (
        _DEVICE,
        SITE,
        _ROLE,
        Tag("operation", "its tag on the router, or else its owner or number"),
    ),
    Field("kind", "str", "1", "echo, udp_jitter, tcp_connect …"),
    Field("up", "int", "flag", "1 if it was answered, in time or late"),
    Field("sense", "str", "1", "ok, over_threshold, timeout …"),
    Field("rtt_ms", "float", "ms", "round trip; for jitter the mean of its packets"),
    Field("jitter_ms", "float", "ms", "mean of both directions"),
    Field("loss_ratio", "float", "ratio", "packets lost in either direction"),
    Field("mos", "float", "MOS", "as estimated by the router, if a codec is set"),
    Field("icpif", "int", "1", "impairment by ITU-T G.113, if a codec is set"),
)
FINDING = measurement(
    "finding",
    "something an engineer should know about a device although nothing is down",
    (_DEVICE, SITE, _ROLE, Tag("finding", "counters_32_bit, engine_id_shared …")),
    Field("active", "int", "flag", "1 while it is true, 0 in the row that ends it"),
    Field("text", "str", "1", "the finding, in a sentence"),
)
LINE = measurement(
    "line",
    "one WAN line, measured at its port, against its contracted rate",
    (
        Tag("line", "estate id of the line"),
        SITE,
        Tag("role", "primary or backup"),
        Tag("supplier", "supplier"),
    ),
    Field("down_bps", "float", "bit/s", "towards the site"),
    Field("up_bps", "float", "bit/s", "from the site"),
    Field(
        "down_use_ratio",
        "float",
        "ratio",
        "towards the site, share of the contract",
    ),
    Field("up_use_ratio", "float", "ratio", "from the site, share of the contract"),
    Field("up", "int", "flag", "1 if its port is up"),
    Field("carrying", "int", "flag", "1 if it carries more than keep-alives"),
    Field("in_errors_per_s", "float", "1/s", "ifInErrors of its port"),
    Field("out_errors_per_s", "float", "1/s", "ifOutErrors of its port"),
    Field("in_discards_per_s", "float", "1/s", "ifInDiscards of its port"),
    Field("out_discards_per_s", "float", "1/s", "ifOutDiscards of its port"),
    Field("contract_down_bps", "float", "bit/s", "contracted rate towards the site"),
    Field("contract_up_bps", "float", "bit/s", "contracted rate from the site"),
    Field("cost_per_year", "float", "GBP", "its cost, if the estate has it"),
    Field("contract_end_ms", "int", "ms", "when its contract ends, Unix time"),
    Field("circuit_ref", "str", "1", "what the supplier calls it"),
    Field("device", "str", "1", "estate id of the device that it ends on"),
    Field("port", "str", "1", "port that it ends on, by its stable name"),
)
VPN_GATEWAY = measurement(
    "vpn_gateway",
    "one VPN gateway as a laptop sees it: a TCP connection and a TLS handshake",
    (Tag("gateway", "estate id of the gateway"), SITE),
    Field("name", "str", "1", "its name in the estate, or else its id"),
    Field("up", "int", "flag", "1 if it answered"),
    Field("answered", "int", "flag", "as `up`; absent while Towpath was cut off"),
    Field("outcome", "str", "1", "ok, or the reason from the closed list"),
    Field("connect_ms", "float", "ms", "TCP connection"),
    Field("tls_ms", "float", "ms", "TLS handshake"),
    Field("certificate_days", "float", "d", "days until its certificate expires"),
)
NEIGHBOUR = measurement(
    "neighbour",
    "a switch, router or access point seen on a port (LLDP, CDP and similar)",
    (
        _DEVICE,
        SITE,
        _ROLE,
        Tag("port", "port of the device"),
        Tag("heard", "the neighbour: its chassis id, or else its name or address"),
    ),
    Field("protocol", "str", "1", "lldp, cdp, fdp, edp, sonmp, mndp, ctron-cdp"),
    Field("remote_name", "str", "1", "its name"),
    Field("remote_port", "str", "1", "name of its port"),
    Field("remote_port_descr", "str", "1", "description of its port"),
    Field("remote_chassis", "str", "1", "its chassis id"),
    Field("remote_address", "str", "1", "its management address"),
    Field("remote_device", "str", "1", "its id, if it is a device of the estate"),
    period_s=600,
)
IDENTITY = measurement(
    "identity",
    "the names by which a device's neighbours know it",
    (_DEVICE, SITE, _ROLE),
    Field("sys_name", "str", "1", "sysName"),
    Field("chassis", "str", "1", "LLDP chassis id, or else bridge address"),
    period_s=600,
)

EVENT = measurement(
    "event",
    "notifications of devices (traps and informs), equal ones counted together",
    (
        _DEVICE,
        SITE,
        _ROLE,
        Tag(
            "event",
            "link_down, ups_on_battery …; `trap` and its OID if it is unknown",
        ),
        Tag("port", "port, by its stable name, if it is about a port"),
        Tag("about", "other subject: a peer, an outlet, an access point"),
    ),
    Field("severity", "str", "1", "ok, info, notice, warning or critical"),
    Field("level", "int", "1", "the same as a number: ok 0 … critical 4"),
    Field("text", "str", "1", "message for people"),
    Field("count", "int", "1", "how many were received; 0 in a row that only ends it"),
    Field("active", "int", "flag", "1 while it lasts, 0 when it has ended"),
    Field("first_ms", "int", "ms", "when the first was received, Unix time"),
    Field("last_ms", "int", "ms", "when the last was received, Unix time"),
    Field("trap", "str", "1", "OID of the notification"),
    Field("name", "str", "1", "its name in its MIB"),
)
SITE_STATE = measurement(
    "site",
    "the state of one site, as the status page shows it; absent while that is unknown",
    (SITE,),
    Field(
        "state",
        "int",
        "1",
        "0 working, 1 degraded, 2 problem, 3 down, 4 no data, 5 not monitored",
    ),
    Field(
        "urgency",
        "int",
        "1",
        "the same in order: 0 working, 1 not monitored, 2 no data … 5 down",
    ),
    Field("state_text", "str", "1", "the same in words"),
    Field("why", "str", "1", "the reason, in a sentence"),
    Field("name", "str", "1", "name of the site"),
    Field("devices", "int", "1", "devices that are polled"),
    Field("devices_up", "int", "1", "those that answer"),
    Field("lines", "int", "1", "lines of the site"),
    Field("lines_up", "int", "1", "those that are not down; without data: not counted"),
    Field("alerts_firing", "int", "1", "alerts that fire and that no other explains"),
    Field("busiest_line", "str", "1", "the line with the highest use"),
    Field("busiest_line_use_ratio", "float", "ratio", "its use, share of its contract"),
    Field("call_poor_ratio", "float", "ratio", "poor calls of the laptops at the site"),
    Field("latitude", "float", "1", "degrees (WGS 84), if the estate has it"),
    Field("longitude", "float", "1", "degrees (WGS 84), if the estate has it"),
)
SITE_NAME = measurement(
    "site_name",
    "a site of the estate: selectors and tables show its name and hold its id",
    (
        SITE,
        Tag("label", "its name and id: Town hall (town-hall)", describes=True),
        # In a table of Grafana, a column that no other query has.
        Tag("site_id", "the id of the site once more", describes=True),
    ),
    # Not `name`: that is a column of many tables.
    Field("called", "str", "1", "its name"),
    Field("devices", "int", "1", "its devices that are polled"),
)
_ALERT_TAGS = (
    Tag("rule", "which rule"),
    SITE,
    Tag("subject", "what it is about, such as device=core-1,port=Gi1/0/7"),
    Tag("severity", "critical, warning or info"),
)
_ALERT_TEXTS = (
    Field("level", "int", "1", "its severity: info 1, warning 3, critical 4"),
    Field("site_name", "str", "1", "name of the site that it is about, if any"),
    Field("title", "str", "1", "the rule's title: what is wrong"),
    Field("summary", "str", "1", "what is wrong, with names and figures"),
    Field("cause", "str", "1", "the probable cause, in words"),
    Field("affected", "str", "1", "what depends on it, such as: 4 devices"),
)
ALERT = measurement(
    "alert",
    "the state of an alert, at each change, and repeated while it fires",
    _ALERT_TAGS,
    Field("state", "str", "1", "pending, firing or resolved"),
    Field("firing", "int", "flag", "1 while firing, 0 when it is over"),
    Field("suppressed", "int", "flag", "1 if its cause was paged instead"),
    Field("since_ms", "int", "ms", "when it began, Unix time"),
    Field("until_ms", "int", "ms", "when it ended, Unix time; absent until then"),
    Field("explained_by", "str", "1", "key of the alert that was paged instead"),
    Field("changed", "int", "flag", "1 at a change of state; absent if repeated"),
    Field("acknowledged", "int", "flag", "1 while somebody is dealing with it"),
    Field("acknowledged_by", "str", "1", "who is dealing with it; empty: nobody"),
    Field("acknowledged_why", "str", "1", "what they do about it, as they wrote it"),
    Field("device", "str", "1", "estate id of the device that it is about, if any"),
    Field("port", "str", "1", "the port that it is about, if any"),
    Field("line", "str", "1", "estate id of the line that it is about, if any"),
    *_ALERT_TEXTS,
    period_s=300,
)
INCIDENT = measurement(
    "incident",
    "one row for each alert that was notified, at the time it began",
    _ALERT_TAGS,
    Field("until_ms", "int", "ms", "when it ended, Unix time; absent until then"),
    Field("lasted_s", "float", "s", "how long it lasted; absent until it has ended"),
    *_ALERT_TEXTS,
)

SERVER_MEASUREMENTS = (
    DEVICE,
    INTERFACE,
    SENSOR,
    PROCESSOR,
    MEMORY,
    STORAGE,
    WIRELESS,
    INVENTORY,
    LINE,
    ROOM,
    ROOM_PORT,
    FINDING,
    IP_SLA,
    VPN_GATEWAY,
    NEIGHBOUR,
    IDENTITY,
    EXPERIENCE,
    PARITY,
    EVENT,
    SITE_STATE,
    SITE_NAME,
    ALERT,
    INCIDENT,
    SILENCE,
    *CALL_MEASUREMENTS,
    *RTP_MEASUREMENTS,
    *SELF_MEASUREMENTS,
    SELF_CALLS,
)
CATALOGUE = Catalogue((*SERVER_MEASUREMENTS, *AGENT_MEASUREMENTS))
