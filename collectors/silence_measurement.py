"""The measurement of silences and maintenance windows."""

from collectors.declare import SITE, measurement
from probes.wire.catalogue import Field, Tag

SILENCE = measurement(
    "silence",
    "a silence or maintenance window that is in force or planned: nobody is paged",
    (
        Tag("silence", "its number"),
        SITE,
        Tag("device", "estate id of the device; empty: all"),
        Tag("rule", "which rule; empty: all"),
        Tag("line", "estate id of the line; empty: all"),
        Tag("supplier", "whose lines; empty: all"),
    ),
    Field("planned", "int", "flag", "1 for announced maintenance, 0 for a silence"),
    Field("active", "int", "flag", "1 while in force, 0 before it begins"),
    Field("from_ms", "int", "ms", "when it begins, Unix time"),
    Field("until_ms", "int", "ms", "when it ends, Unix time"),
    Field("covers", "int", "1", "firing alerts that are not paged because of it"),
    Field("why", "str", "1", "the reason that was given"),
)
