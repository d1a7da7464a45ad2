"""What a machine that alerts or stands by says of itself, and what it needs."""

from __future__ import annotations

from pathlib import Path

import pytest

from alerts.standby.standby_machine import standby_fields
from towpath.config import ConfigError, read
from towpath.role_parts import name_process


@pytest.mark.parametrize(
    ("is_active", "lease", "expected"),
    [
        pytest.param(True, (1, 2, 1), (1, 1, 2), id="evaluates"),
        pytest.param(False, (0, 2, 1), (0, 1, 2), id="stands by"),
        pytest.param(False, (1, 1, 1), (0, 0, 1), id="has the lease and fails"),
        pytest.param(False, (0, 2, 0), (0, 0, 0), id="knows nothing of others"),
        pytest.param(False, None, (0, 0, 0), id="leaves it because of its disk"),
    ],
)
def test_a_machine_says_whether_any_evaluates_and_how_many_there_are(
    is_active: bool, lease: tuple[int, int, int] | None, expected: tuple[int, int, int]
) -> None:
    shared = (
        {}
        if lease is None
        else dict(zip(("held", "pollers", "settled"), lease, strict=True))
    )
    assert tuple(standby_fields(is_active, shared).values()) == expected


def test_a_standby_needs_the_journal_in_nats_and_has_a_name_of_its_own(
    tmp_path: Path,
) -> None:
    settings_file = tmp_path / "towpath.toml"
    settings_file.write_text("[alerts.standby]\nenabled = true\n")
    with pytest.raises(ConfigError, match="two machines need one journal"):
        read(settings_file)
    settings_file.write_text(
        '[journal]\nkind = "nats"\n[alerts.standby]\nenabled = true\nname = "hall"\n'
    )
    assert name_process(read(settings_file), ["alert", "web"]) == "alert-web+hall"
