"""The order of test files among the workers of pytest-xdist.

Some files mostly wait: for a kill, a retry, a whole demo. At the end they would leave
the processors idle. So the last worker begins with them, while the others work.
"""

from __future__ import annotations

from typing import Any

from xdist.scheduler.loadfile import LoadFileScheduling

# The longest first. A file that is in neither list comes by its number of tests.
WAITING: tuple[str, ...] = (
    "test_demo",
    "test_river_roles",
    "test_grafana_push_histories",
    "test_river_bad_input",
    "test_river_kill",
    "test_river_full_disk",
    "test_journal_kill",
    "test_alerts_full_disk",
    "test_agent_schedule",
    "test_traps_run",
    "test_snmp_namespace",
    "test_alerts_escalation_killed",
    "test_journal_bounds",
    "test_river_stop",
    "test_alerts_standby",
    "test_sharing_processes",
    "test_sharing_nats",
    "test_dmz_node",
    "test_journal_nats",
    "test_store_writers",
    "test_agent_spool",
    "test_ingest_abuse",
    "test_importing_rest_client",
    "test_personal_data",
    "test_probes_path",
    "test_nats_trial",
    "test_roles_apart",
    "test_snmp_guards",
    "test_agent_clock",
    "test_ingest_new_laptops",
    "test_probes_shaped_path",
    "test_probes_bad_networks",
    "test_agent_place_network",
    "test_alerts_engine",
    "test_alerts_restart",
    "test_alerts_refused",
    "test_snmp_v3_restart",
)
# Files that take most processor time, the greatest first.
WORKING: tuple[str, ...] = (
    "test_report_pdf",
    "test_windows_smoke",
    "test_pages_focus",
    "test_influx_answers",
    "test_grafana_figures",
    "test_store_influx_rollups",
    "test_grafana_rules_agree",
    "test_prometheus_rules_agree",
    "test_snmp_profiles",
    "test_grafana_influx",
    "test_commands_state",
    "test_alerts_silence_histories",
    "test_linux_package",
    "test_one_file_package",
    "test_release",
    "test_report_calls",
    "test_alerts_rules",
    "test_grafana_push",
    "test_grafana_kept_rows",
    "test_grafana_experience",
    "test_snmp_odd_values",
    "test_store_contract_queries",
    "test_sign_in_acting",
    "test_store_rollup",
    "test_disclosure_control",
    "test_dashboards_store",
    "test_snmp_facts",
    "test_grafana_check",
    "test_alerts_histories",
    "test_alerts_topologies",
    "test_report_files",
    "test_alerts_service_desk",
    "test_web_fleet",
    "test_observed",
    "test_alerts_late_causes",
    "test_web_unseen",
    "test_store_roll_up_kill",
    "test_store_files_merging",
    "test_display",
    "test_store_day_tops",
)


def next_file(files: list[str], waits: bool) -> str:
    """The file that a worker takes next, of `files` with the most tests first."""

    def rank(name: str) -> tuple[bool, int]:
        stem = name.rpartition("/")[2].removesuffix(".py")
        if stem in WAITING:
            return not waits, WAITING.index(stem)
        return waits, WORKING.index(stem) if stem in WORKING else len(WORKING)

    return min(files, key=rank)


class LaneScheduling(LoadFileScheduling):
    """A file is run by one worker, in the order of `next_file`."""

    def _assign_work_unit(self, node: Any) -> None:
        waits = len(self.nodes) > 1 and node is self.nodes[-1]
        file = next_file(list(self.workqueue), waits)
        self.workqueue.move_to_end(file, last=False)
        super()._assign_work_unit(node)
