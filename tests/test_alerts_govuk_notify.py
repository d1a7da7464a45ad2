"""GOV.UK Notify against a server that behaves as its documents describe."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from channel_rigs import GovukNotifyRig
from govuk_notify_server import EMAIL_TEMPLATE, SMS_TEMPLATE
from mail_server import PAGE
from pydantic import ValidationError

from alerts.notify import DeliveryRefused, PartlyDelivered, RetryLater
from alerts.notify.govuk_notify import GovukNotify, GovukNotifyConfig
from probes.wire.clock import WallClock, wall_ms

PHONE = "+44 7700 900123"


@pytest.fixture
def notify(tmp_path: Path) -> Iterator[GovukNotifyRig]:
    rig = GovukNotifyRig(tmp_path)
    yield rig
    rig.close()


def channel(
    rig: GovukNotifyRig, now_ms: WallClock = wall_ms, **more: Any
) -> GovukNotify:
    return GovukNotify(rig.config.model_copy(update=more), now_ms)


async def test_a_text_message_has_the_subject_what_to_do_and_the_address(
    notify: GovukNotifyRig,
) -> None:
    await channel(notify, to=(PHONE,)).notify(PAGE)
    [message] = notify.service.notifications
    assert message["phone_number"] == PHONE
    assert message["body"].startswith("PROBLEM (critical): Central Library")
    assert "Report circuit WB-0047" in message["body"]
    assert message["body"].endswith("https://towpath.example.gov.uk/sites/library")


async def test_a_message_whose_answer_was_lost_is_not_sent_again(
    notify: GovukNotifyRig,
) -> None:
    server = notify.server
    server.fault, server.fault_at, server.after = "close", "/email", True
    with pytest.raises(RetryLater) as failure:
        await notify.notifier.notify(PAGE)
    assert failure.value.may_have_arrived
    server.fault = 0
    # A new process knows nothing of the first attempt.
    await channel(notify).notify(PAGE)
    assert len(notify.service.notifications) == 1


@pytest.mark.parametrize(
    ("status", "raised", "sentence"),
    [
        ("permanent-failure", DeliveryRefused, "does not exist"),
        ("temporary-failure", RetryLater, "inbox is full"),
        ("technical-failure", RetryLater, "could not send it"),
    ],
)
async def test_what_notify_could_not_deliver_is_a_failure_and_is_sent_again(
    status: str, raised: type[Exception], sentence: str, notify: GovukNotifyRig
) -> None:
    notify.service.status = status
    with pytest.raises(raised, match=rf"duty@council\.example: .*{sentence}"):
        await notify.notifier.notify(PAGE)
    notify.service.status = "delivered"
    await channel(notify).notify(PAGE)
    assert len(notify.service.notifications) == 2


async def test_a_message_on_its_way_is_not_waited_for(notify: GovukNotifyRig) -> None:
    notify.service.status = "sending"
    await channel(notify, confirm_s=0.6).notify(PAGE)
    await channel(notify, confirm_s=0).notify(PAGE)
    assert len(notify.service.notifications) == 1


async def test_a_recipient_that_notify_refuses_costs_the_others_nothing(
    notify: GovukNotifyRig,
) -> None:
    notify.service.refused = {PHONE}
    both = channel(notify, to=(PHONE, "duty@council.example"))
    with pytest.raises(PartlyDelivered, match=r"900123: .*400.*team-only API key"):
        await both.notify(PAGE)
    [message] = notify.service.notifications
    assert message["email_address"] == "duty@council.example"


async def test_a_template_that_wants_more_a_wrong_key_and_a_wrong_clock_are_told(
    notify: GovukNotifyRig, tmp_path: Path
) -> None:
    templates = notify.service.templates
    templates[EMAIL_TEMPLATE] = ("email", "((subject))", "((engineer))")
    with pytest.raises(DeliveryRefused, match="Missing personalisation: engineer"):
        await notify.notifier.notify(PAGE)
    late = channel(notify, lambda: round(time.time() * 1000) - 60_000)
    with pytest.raises(DeliveryRefused, match="system clock must be accurate"):
        await late.notify(PAGE)
    place = tmp_path / "notify.key"
    place.write_text(place.read_text()[:-1] + "f")
    with pytest.raises(DeliveryRefused, match=r"403.*API key not found") as failure:
        await notify.notifier.notify(PAGE)
    assert place.read_text()[-36:] not in str(failure.value)
    place.write_text("only-half-a-key")
    with pytest.raises(RetryLater, match="copy it again"):
        await notify.notifier.notify(PAGE)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"to": [PHONE], "email_template": EMAIL_TEMPLATE}, "expected sms_template"),
        ({"to": ["a@b.uk"], "sms_template": SMS_TEMPLATE}, "expected email_template"),
        ({"to": ["duty"], "sms_template": SMS_TEMPLATE}, "not 'duty'"),
        ({"to": ["a@b.uk"], "email_template": "12"}, "email_template"),
    ],
)
def test_wrong_settings_are_one_sentence(
    settings: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(ValidationError, match=sentence):
        GovukNotifyConfig.model_validate({"api_key": {"env": "K"}, **settings})
    with pytest.raises(ValidationError, match="expected api_key"):
        GovukNotifyConfig.model_validate(
            {"to": ["a@b.uk"], "email_template": EMAIL_TEMPLATE}
        )
