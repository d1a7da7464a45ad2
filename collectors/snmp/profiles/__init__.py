"""Device profiles: which columns a device has, their meaning and their unit, as data.

`catalog/*.yaml` are the profiles. `load` loads them, `read_profiles` reads a device's
columns, `find_rows` and `to_readings` turn the columns into readings.
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
