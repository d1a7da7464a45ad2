"""The tables of `docs/dpia.md`: what is collected about one laptop, why, and where it
goes. Generated from the catalogue and the list of places; a measurement without a
purpose cannot be documented, and fails the tests."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from collectors.personal_data import PersonalDataPlace, Root
from probes.wire.catalogue import Catalogue
from probes.wire.durations import exact_duration_text

ITEMS_HEAD = "| item | what it is for | what is left out | every | kept | fields |\n"
FLOWS_HEAD = "| from | to | what | protected by | kept |\n"
DIAGRAM_BEGIN, DIAGRAM_END = "<!-- flows: begin -->\n", "<!-- flows: end -->"
# In every row of every item.
_COMMON = frozenset({"outcome", "ok", "state", "cost_bytes"})
_GROUPS = "experience"
_DMZ = "a DMZ node"


class Purpose(NamedTuple):
    """Why a measurement is needed, and what it could have held and does not."""

    purpose: str
    left_out: str


PURPOSES: Mapping[str, Purpose] = {
    "call_path": Purpose(
        "whether calls can be good from here, and in which direction they are not",
        "calls: the packets are the agent's own, nobody's call is looked at",
    ),
    "path": Purpose(
        "whether the home's network, the provider or the council is slow",
        "addresses of the routers on the way",
    ),
    "teams_relay": Purpose(
        "whether Microsoft's side is slow, so that nobody looks for the fault at home",
        "meetings, accounts, people",
    ),
    "media_edge": Purpose(
        "whether the servers that take a team's calls answer, before its shift begins",
        "calls, callers, accounts; only laptops of a team that has such servers run it",
    ),
    "name_lookup": Purpose(
        "whether DNS is slow or fails",
        "names that the person looks up: the council's list only",
    ),
    "web": Purpose(
        "whether the council's services and Microsoft's front doors answer",
        "pages that the person visits: the council's list only",
    ),
    "vpn": Purpose(
        "whether the VPN is connected, keeps its connection and carries calls well",
        "user names, what is sent through it",
    ),
    "wifi": Purpose(
        "whether a weak Wi-Fi explains poor calls",
        "the network's name and address, the neighbours' networks",
    ),
    "laptop": Purpose(
        "whether the laptop itself (busy, hot, full) explains poor calls",
        "programs and windows, and whether it is in use",
    ),
    "bandwidth": Purpose(
        "whether the line is fast enough, once a day at most",
        "use of the line by others: it is not run while the line is in use",
    ),
    "agent": Purpose(
        "whether the agent works and keeps its promises about cost",
        "anything about the person",
    ),
}


class _Folder(NamedTuple):
    """A folder of the server that holds places of personal data."""

    title: str
    source: str
    measure: str


_FOLDERS: Mapping[Root, _Folder] = {
    "journal": _Folder("journal", "ingest", "files 0600"),
    "store": _Folder("store of single laptops", "journal", "files 0600, apart"),
    "bodies": _Folder("bodies that cannot be read", "ingest", "files 0600"),
    "registry": _Folder("registry", "ingest", "files 0600, hashes of secrets"),
    "api": _Folder("answers of the API", "registry", "files 0600"),
    "broker": _Folder("broker", "laptop", "TLS, one user for each laptop"),
}


def items_table(catalogue: Catalogue) -> str:
    """What is collected about one laptop."""
    lines = [ITEMS_HEAD + "|---|---|---|---|---|---|"]
    for measurement in catalogue:
        if not measurement.personal:
            continue
        why = PURPOSES[measurement.name]
        fields = [f.name for f in measurement.fields if f.name not in _COMMON]
        every = exact_duration_text(measurement.period_s).removeprefix("1 ")
        lines.append(
            f"| `{measurement.name}` | {why.purpose} | {why.left_out} | {every} "
            f"| {measurement.retention_days} days | {', '.join(fields)} |"
        )
    return "\n".join(lines) + "\n"


def common_names(catalogue: Catalogue) -> list[str]:
    """The tags and fields that every row about a laptop has."""
    personal = [measurement for measurement in catalogue if measurement.personal]
    tags = [tag.name for tag in personal[0].tags]
    return [*tags, *sorted(_COMMON)]


def flows_table(catalogue: Catalogue, places: Iterable[PersonalDataPlace]) -> str:
    """Every flow of personal data, from the laptop to where it ends."""
    lines = [FLOWS_HEAD + "|---|---|---|---|---|"]
    lines += [f"| {' | '.join(row)} |" for row in _flows(catalogue, places)]
    return "\n".join(lines) + "\n"


def _flows(
    catalogue: Catalogue, places: Iterable[PersonalDataPlace]
) -> Iterator[tuple[str, ...]]:
    names = [f"`{m.name}`" for m in catalogue if m.personal]
    yield (
        "laptop",
        "the laptop's own disk",
        "what waits to be sent, the last results, a log of what was sent",
        "the user's own folder, 0700",
        "28 days (`spool.max_days`)",
    )
    yield (
        "laptop",
        "ingest",
        ", ".join(names),
        "TLS with a checked certificate; a secret for each laptop",
        "not kept there",
    )
    for place in places:
        folder = _FOLDERS[place.root]
        yield folder.source, folder.title, place.holds, folder.measure, place.kept
    yield from _dmz_flows(names)
    yield (
        "Microsoft's record of calls",
        "role `calls`, in memory",
        "records of calls, with names, addresses and devices, if `calls.enabled`",
        "TLS; an application with one permission, its secret or certificate",
        "the time for reading them: nothing of it is written",
    )
    calls = catalogue.measurement("teams_calls")
    yield (
        "role `calls`, in memory",
        "shared store, boards, reports",
        f"`{calls.name}`: figures of groups; `room_calls`: of meeting rooms",
        "`groups.least` people, secondary suppression",
        f"{calls.retention_days} days",
    )
    exports = catalogue.measurement("cqd_streams")
    yield (
        "a file that a person exported (`towpath import cqd`)",
        "shared store, boards",
        f"`{exports.name}`: streams of a site in a day or month",
        "as many streams as `groups.least` people make on a busy day; whole days and "
        "months",
        f"{exports.retention_days} days",
    )
    groups = catalogue.measurement(_GROUPS)
    yield (
        "journal",
        "shared store, boards, reports",
        f"`{groups.name}`: figures of groups, not personal data if the group is large "
        "enough",
        "`groups.least` laptops (ten, never below five), secondary suppression",
        f"{groups.retention_days} days",
    )


def _dmz_flows(names: Iterable[str]) -> Iterator[tuple[str, ...]]:
    """The flows that only a council with a DMZ node has."""
    node = "TLS with a certificate of each side; files of that machine's nats-server"
    yield (
        "laptop",
        f"{_DMZ}, if there is one",
        ", ".join(names),
        "TLS with a checked certificate; a secret for each laptop",
        "on its nats-server until the inside has pulled them, 31 days at most; what "
        "does not fit or cannot be read in its files, 30 days",
    )
    yield (
        "registry",
        f"{_DMZ} (bucket `agents` of its nats-server)",
        "enrolled laptops: pseudonym, home site, team, ring, hashes of secrets; hashes "
        "of enrolment tokens",
        node,
        "as enrolled laptops",
    )
    yield (
        _DMZ,
        "registry",
        "of laptops that enrol there: random id, digest of the computer's number, new "
        "secret, address (for tokens that are limited to networks); of all: hour last "
        "seen, versions of agent and policy, support codes that they ask for",
        node,
        "not kept on the way; what the inside keeps is in the registry's row",
    )
    yield (
        "registry",
        _DMZ,
        "of laptops that ask: support code, and the names of people of the service "
        "desk who have looked",
        node,
        "not kept on the way",
    )
    yield (
        _DMZ,
        "journal",
        "what laptops reported there; rows of laptops that are not enrolled are left "
        "out",
        "TLS with a certificate of each side; only the inside opens the connection",
        "as in the journal",
    )


def flows_diagram(catalogue: Catalogue, places: Iterable[PersonalDataPlace]) -> str:
    """The same as a picture (Mermaid)."""
    count = sum(measurement.personal for measurement in catalogue)
    lines = [
        "```mermaid",
        "flowchart LR",
        f'  laptop["laptop: {count} measurements, pseudonym"] -- TLS --> ingest',
    ]
    for root in dict.fromkeys(place.root for place in places):
        folder = _FOLDERS[root]
        lines.append(f'  {folder.source} --> {root}["{folder.title}"]')
    lines += [
        '  broker -- TLS --> ingest["ingest"]',
        '  laptop -. TLS .-> dmz["DMZ node, if there is one"]',
        "  dmz -. TLS .-> journal",
        "  registry -. TLS .-> dmz",
        "  dmz -. TLS .-> registry",
        '  journal -- "groups of ten or more" --> shared["shared store"]',
        '  microsoft["Microsoft\'s record of calls"] -- TLS --> calls["role calls"]',
        '  calls -- "groups of ten or more" --> shared',
        '  shared --> pages["boards, reports, status page"]',
        "```",
    ]
    return "\n".join(lines) + "\n"
