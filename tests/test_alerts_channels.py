"""What every kind of channel does alike, each against a real or faithful server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from channel_rigs import MESSAGE_RIGS, RIGS, ChannelRig, rig
from mail_server import ALERT, NOW_MS, PAGE

from alerts.channel_trial import try_channel
from alerts.notify import DeliveryRefused, RetryLater, build_page
from alerts.notify.channels import KINDS
from alerts.notify.delivery_result import MessageTooLarge
from towpath.config import ConfigError, read

OVER = msgspec.structs.replace(ALERT, state="resolved", resolved_ms=NOW_MS)
RESOLUTION = build_page([OVER], "resolution", ["e1"], NOW_MS)


@pytest.fixture(params=list(RIGS))
def channel(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ChannelRig]:
    with rig(request.param, tmp_path) as channel:
        yield channel


def test_every_kind_of_channel_has_a_server_here() -> None:
    assert {name.partition(" ")[0] for name in RIGS} == set(KINDS)


@pytest.mark.parametrize("kind", MESSAGE_RIGS)
async def test_a_page_and_its_end_arrive_and_begin_with_problem_and_resolved(
    kind: str, tmp_path: Path
) -> None:
    with rig(kind, tmp_path) as channel:
        await channel.notifier.notify(PAGE)
        await channel.notifier.notify(RESOLUTION)
        page, end = channel.arrived()
    assert page.startswith("PROBLEM (critical): Central Library: the primary line")
    assert end.startswith("RESOLVED: Central Library: the primary line")


async def test_a_passing_failure_is_told_apart_from_a_refusal_and_names_the_server(
    channel: ChannelRig,
) -> None:
    for fault, expected in (("later", RetryLater), ("never", DeliveryRefused)):
        channel.set_fault(fault)
        with pytest.raises(expected) as failure:
            await channel.notifier.notify(PAGE)
        assert str(failure.value).startswith(f"{channel.notifier.where}: ")
        assert channel.secret not in str(failure.value)
    channel.set_fault("")
    await channel.notifier.notify(PAGE)


async def test_a_message_that_is_too_large_is_told_apart(channel: ChannelRig) -> None:
    channel.set_fault("too large")
    with pytest.raises(MessageTooLarge, match=r"413|552"):
        await channel.notifier.notify(PAGE)


async def test_a_server_that_is_gone_is_tried_again_as_a_new_message(
    channel: ChannelRig,
) -> None:
    channel.set_fault("gone")
    with pytest.raises(RetryLater) as failure:
        await channel.notifier.notify(PAGE)
    assert str(failure.value).startswith(f"{channel.notifier.where}: ")
    assert not failure.value.may_have_arrived


def test_one_sentence_tells_what_became_of_a_test_message(channel: ChannelRig) -> None:
    lines: list[str] = []
    channels = {"duty": channel.notifier}
    assert try_channel(channels, "duty", out=lines.append) == 0
    assert lines[-1].startswith("duty: delivered: ")
    assert "This is a test" in channel.arrived()[0]
    channel.set_fault("later")
    assert try_channel(channels, "duty", out=lines.append) == 1
    assert lines[-1].startswith(f"duty: not delivered: {channel.notifier.where}: ")
    channel.set_fault("never")
    assert try_channel(channels, "duty", out=lines.append) == 1
    assert lines[-1].startswith(f"duty: refused: {channel.notifier.where}: ")
    assert try_channel(channels, "dtuy", out=lines.append) == 2
    assert "did you mean 'duty'" in lines[-1]
    assert not [line for line in lines if channel.secret in line or "\n" in line]


SAID = [
    ('kind = "slack"', "not 'slack': one of "),
    ('kind = "webhok"', "did you mean 'webhook'"),
    ('url = "https://desk.example"', "a channel needs a kind: one of "),
    ('kind = "webhook"\nurl = "desk.example"', "begins with https:// or http://"),
    ('kind = "webhook"\nurl = "https://d"\nsecret = "plain"', "never the secret"),
    ('kind = "webhook"\nurl = "https://d"\nlimit.messages = -1', "at least 0"),
    ('kind = "webhook"\nurll = "https://d"', "unknown key; did you mean 'url'"),
    ('kind = "email"\nhost = "m"\nsender = "a@b"\nto = ["b"]', "a mail address"),
]


@pytest.mark.parametrize(("settings", "sentence"), SAID)
def test_wrong_settings_of_a_channel_are_one_sentence(
    settings: str, sentence: str, tmp_path: Path
) -> None:
    path = tmp_path / "towpath.toml"
    path.write_text(f"[alerts.channels.duty]\n{settings}\n")
    with pytest.raises(ConfigError) as failure:
        read(path)
    findings = [line for line in failure.value.findings if "alerts.channels" in line]
    assert [line for line in findings if sentence in line], findings
    assert "\n" not in findings[0]
