"""The letters of docs/platforms.md for Windows are what the tests run."""

import re

from documents import ROOT, text_of

# Which tests run what the table says is run under Wine.
RUN_UNDER_WINE = {
    "interfaces, routes": "interfaces_and_routes_are_those_of_this_machine",
    "Wi-Fi": "what_wine_cannot_answer_is_an_answer_of_ours",
    "the route to an address": "interfaces_and_routes_are_those_of_this_machine",
    "proxy": "the_proxies_of_a_person_the_environment_and_an_administrator_are_read",
    "a proxy script (PAC)": "windows_runs_the_proxy_script",
    "DNS servers": "names_are_looked_up_at_the_resolvers_of_this_laptop",
    "a gateway's hardware address": "what_wine_cannot_answer_is_an_answer_of_ours",
    "hops on the way": "echo_requests_are_answered",
    "the computer's own number": "firmware_describes_the_computer",
    "how busy processor, memory and links are, the battery, this process": (
        "load_and_traffic_are_those_that_psutil_reads"
    ),
    "time asleep": "interfaces_and_routes_are_those_of_this_machine",
    "errors of connections": "errors_have_the_outcomes_that_they_have_elsewhere",
    "trusted certificates": "windows_checks_certificates_and_knows_none_of_ours",
    "the agent's log": "a_laptop_enrols_measures_delivers_and_keeps_a_log",
    "its state, for others": "state_outside_the_profile_is_closed_to_others",
    "settings that other people may have written": (
        "settings_of_another_user_in_a_folder_of_all_are_not_read"
    ),
    "programs of the system": "planted_programs_and_libraries_are_not_used",
}
# These are the installer's, in a module of their own.
INSTALLATION = {
    "what people see of a service, and ask of it",
    "installation as a service",
}


def test_every_w_is_a_test_under_wine_and_every_test_is_named() -> None:
    rows = [
        [cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip("|"))]
        for line in re.findall(r"^\|.*\|$", text_of("docs/platforms.md"), re.MULTILINE)
    ]
    first = rows.index(["what", "Linux", "Windows", "macOS"]) + 2
    table = [row for row in rows[first:] if len(row) == 4]
    run = {row[0] for row in table if re.search(r"\bW: ", row[2])}
    assert run == RUN_UNDER_WINE.keys() | INSTALLATION
    smoke = (ROOT / "tests/test_windows_smoke.py").read_text()
    for row, test in RUN_UNDER_WINE.items():
        assert f"def test_{test}(" in smoke, row
    assert (ROOT / "tests/test_windows_installation.py").exists()
    # Every answer has a letter.
    for what, *answers in table:
        for answer in answers:
            assert re.match(r"[LWRD]: |not (run|tried)$", answer), (what, answer)
