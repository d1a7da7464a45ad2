"""What a panel says if it has nothing to show. Pure."""

from __future__ import annotations

from dashboards.grafana.board import Panel

_NO_RESULT = "No result in this range"
# Measurement → what it means that it has no rows.
NOTHING = {
    "alert": "None",
    "cqd_streams": "No export of the Call Quality Dashboard is imported",
    "device": "No device is polled",
    "event": "None",
    "experience": "Too few laptops, or not measured",
    "finding": "Nothing",
    "incident": "None",
    "interface": "It reports no such figures",
    "inventory": "It does not report what it is",
    "ip_sla": "No router runs an IP SLA operation",
    "line": "No line in the estate",
    "memory": "It reports no memory",
    "neighbour": "No neighbour known",
    "phone_calls": "No log of telephone calls is read, or too few people",
    "probe_agreement": "No record of Microsoft's is read, or no day of it is over",
    "processor": "It reports no processor",
    "room_calls": "No room has an account of Teams Rooms, or none had a call",
    "room": "No room in the estate",
    "room_port": "No room has a port in the estate",
    "rtp_capture": "No port is mirrored to Towpath",
    "rtp_media": "No port is mirrored to Towpath, or too few people",
    "self_agents": "No laptop is enrolled",
    "self_calls": "No process reads Microsoft's record of calls",
    "self_certificate": "No certificate is set",
    "self_clock": "No process reports",
    "self_disk": "No process reports",
    "self_dmz": "There is no DMZ node",
    "self_dmz_node": "There is no DMZ node",
    "self_team": "No team in the estate",
    "self_ingest": "No report is received",
    "self_journal": "No process reports",
    "self_nats": "The journal is in files",
    "self_notify": "No channel is set up",
    "self_poll": "No poller reports",
    "self_reader": "No reader reports",
    "self_share": "No poller shares the estate",
    "self_standby": "One machine alerts, without a standby",
    "self_stream": "The journal is in files",
    "self_traps": "Traps are switched off",
    "self_web": "The status page is switched off",
    "sensor": "No such sensor is read",
    "silence": "None",
    "sip_calls": "No mirrored port has its SIP read, or too few people called",
    "site": "No state is known",
    "storage": "It reports no disk",
    "teams_room": "No export of Teams Rooms is imported",
    "teams_calls": "No record of Microsoft's is read, or too few people",
    "vpn_gateway": "No gateway in the estate",
    "wireless": "No radio reports this",
}


def nothing_text(panel: Panel) -> str:
    """Returns the panel's own words, or else those of its first measurement. Where only
    some rows are shown, such as faults, there are none."""
    if panel.no_value:
        return panel.no_value
    if panel.rows_if:
        return "None"
    names = [target.query.measurement for target in panel.targets]
    return next((NOTHING[name] for name in names if name in NOTHING), _NO_RESULT)
