"""A device's role is known from its sysObjectID and its description."""

from __future__ import annotations

import pytest

from collectors.discovery.found_devices import guess_role
from collectors.discovery.role_rules import find_role
from collectors.discovery.sweep import SweepAnswer
from collectors.snmp.profiles.identity import Identity


@pytest.mark.parametrize(
    ("object_id", "descr", "role"),
    [
        ("9.1.2494", "Cisco IOS Software, Catalyst L3 Switch Software", "switch"),
        ("9.1.2661", "Cisco IOS Software, ISR Software (ARMV8EL)", "router"),
        ("9.1.2409", "Cisco Firepower Threat Defense, Version 7", "firewall"),
        ("9.6.1.1004.28.5", "CBS350-24P-4G 24-Port Managed Switch", "switch"),
        ("2636.1.1.1.4.82.5", "qfx5100 Ethernet Switch", "switch"),
        ("2636.1.1.1.2.41", "srx100h2 internet router", "firewall"),
        ("12356.101.1.648", "", "firewall"),
        ("12356.106.1.42404", "", "switch"),
        ("318.1.3.27", "APC Web/SNMP Management Card", "ups"),
        ("318.1.3.4.6", "APC Web/SNMP Management Card", "environment"),
        ("14988.1", "RouterOS CRS317-1G-16S+", "switch"),
        ("14988.1", "RouterOS RB750Gr3", "router"),
        ("8072.3.2.10", "UAP-nanoHD 5.43", "access_point"),
        ("367.1.1", "RICOH Aficio", "other"),
        ("9.1.359", "IOS (tm) C2950 Software (C2950-I6Q4L2-M)", "switch"),
        ("9.1.620", "IOS (tm) C1841 Software (C1841-IPBASE-M)", "router"),
        ("9.6.1.80.371", "Linux, Cisco Systems, Inc WAP371", "access_point"),
        ("8072.3.2.8", "FreeBSD fw 12.1-RELEASE-p19-HBSD", "firewall"),
        ("8072.3.2.10", "Linux rut 4.14.221 #0 SMP Mon Feb 15 2021 armv7l", "router"),
        ("8072.3.2.10", "Linux web 6.1.0 #1 SMP Debian x86_64", "other"),
    ],
)
def test_the_most_specific_rule_gives_the_role(
    object_id: str, descr: str, role: str
) -> None:
    assert find_role(f"1.3.6.1.4.1.{object_id}", descr) == role


def test_an_unknown_device_has_the_role_that_its_description_suggests() -> None:
    identity = Identity(sys_object_id="1.3.6.1.4.1.99999.1", sys_descr="ACME switch 9")
    assert guess_role(SweepAnswer("10.0.0.1", identity=identity)) == "switch"
