"""Devices as data: which columns a device has, what they mean, in what unit.

`catalog/*.yaml` are the profiles; `load` reads them, `read` asks a device, `apply`
turns what it said into readings.
"""

from collectors.snmp.profiles.apply import find_rows, to_readings
from collectors.snmp.profiles.matched_rows import MatchedRow
from collectors.snmp.profiles.profile_loader import (
    Profile,
    ProfileError,
    Profiles,
    load,
)
from collectors.snmp.profiles.profile_reader import (
    IdentityFacts,
    ProfileReader,
    read_profiles,
)

__all__ = [
    "IdentityFacts",
    "MatchedRow",
    "Profile",
    "ProfileError",
    "ProfileReader",
    "Profiles",
    "find_rows",
    "load",
    "read_profiles",
    "to_readings",
]
