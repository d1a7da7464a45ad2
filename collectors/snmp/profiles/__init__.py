"""Devices as data: which columns a device has, what they mean, in what unit.

`catalog/*.yaml` are the profiles; `load` reads them, `read` asks a device, `apply`
turns what it said into readings.
"""

from collectors.snmp.profiles.apply import find, readings
from collectors.snmp.profiles.found import Found
from collectors.snmp.profiles.load import Profile, ProfileError, Profiles, load
from collectors.snmp.profiles.read import Reader, Sayings, read

__all__ = [
    "Found",
    "Profile",
    "ProfileError",
    "Profiles",
    "Reader",
    "Sayings",
    "find",
    "load",
    "read",
    "readings",
]
