"""Apprise: several services behind one channel, each on its own."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from faulty_http import FaultyServer
from mail_server import NOW_MS, PAGE
from services import free_port

from alerts.notify import DeliveryRefused, PartlyDelivered, RetryLater
from alerts.notify.apprise_channel import (
    Apprise,
    AppriseConfig,
    fitting_text,
    secret_parts,
    service_urls,
)

KEY = "k3y-of-the-duty-phone"


@pytest.fixture
def server() -> Iterator[FaultyServer]:
    with FaultyServer() as server:
        yield server


def channel(folder: Path, *urls: str, timeout_s: float = 15) -> Apprise:
    place = folder / "urls"
    place.write_text("\n".join(urls))
    return Apprise(
        AppriseConfig.model_validate({"urls": {"file": place}, "timeout_s": timeout_s})
    )


def titles(server: FaultyServer, path: str) -> list[str]:
    return [one.json["title"] for one in server.requests if path in one.path]


async def test_a_service_that_fails_costs_the_others_nothing_and_is_tried_alone(
    server: FaultyServer, tmp_path: Path
) -> None:
    at = f"localhost:{server.port}"
    duty = channel(tmp_path, f"json://{at}/good", f"json://:{KEY}@{at}/bad/{KEY}")
    server.fault, server.fault_at = 503, "/bad"
    with pytest.raises(RetryLater, match=r"address 2 \(json\): .*503") as failure:
        await duty.notify(PAGE)
    assert KEY not in str(failure.value)
    # The first has it: the message must stay the same one.
    assert failure.value.may_have_arrived
    server.fault = 0
    await duty.notify(PAGE)
    assert len(titles(server, "/good")) == 1
    assert len(titles(server, "/bad")) == 2


async def test_a_service_that_refuses_or_fails_for_long_does_not_keep_the_end_back(
    server: FaultyServer, tmp_path: Path
) -> None:
    at = f"localhost:{server.port}"
    duty = channel(tmp_path, f"json://{at}/good", f"json://{at}/bad")
    server.fault, server.fault_at = 404, "/bad"
    with pytest.raises(PartlyDelivered, match="accepted for the others"):
        await duty.notify(PAGE)
    server.fault = 500
    with pytest.raises(RetryLater):
        await duty.notify(PAGE)
    later = msgspec.structs.replace(PAGE, sent_ms=NOW_MS + 901_000)
    with pytest.raises(PartlyDelivered):
        await duty.notify(later)


async def test_a_service_that_hangs_is_given_up_in_time(
    server: FaultyServer, tmp_path: Path
) -> None:
    server.fault = "hang"
    duty = channel(tmp_path, f"json://localhost:{server.port}/", timeout_s=0.5)
    with pytest.raises(RetryLater) as failure:
        await duty.notify(PAGE)
    assert failure.value.may_have_arrived


async def test_an_address_that_apprise_does_not_know_is_told_without_its_key(
    tmp_path: Path,
) -> None:
    for url in (f"slak://{KEY}/x/y", f"slack://{KEY}", KEY):
        with pytest.raises(DeliveryRefused, match="apprise knows no such") as failure:
            await channel(tmp_path, url).notify(PAGE)
        assert KEY not in str(failure.value)
    with pytest.raises(RetryLater, match="there is no address"):
        await channel(tmp_path, "# none yet").notify(PAGE)
    config = AppriseConfig.model_validate({"urls": {"file": tmp_path / "none"}})
    with pytest.raises(RetryLater, match="cannot be read"):
        await Apprise(config).notify(PAGE)


class KeptTexts(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.texts.append(record.getMessage())


async def test_no_log_has_a_key(server: FaultyServer, tmp_path: Path) -> None:
    # As Towpath logs: libraries from WARNING on.
    kept = KeptTexts()
    logging.getLogger().addHandler(kept)
    at = f"localhost:{server.port}"
    for url in (f"json://u:{KEY}@{at}/{KEY}?+X-Key={KEY}", f"ntfy://u:{KEY}@{at}/t"):
        await channel(tmp_path, url).notify(PAGE)
        server.fault = 500
        with pytest.raises(RetryLater):
            await channel(tmp_path, url).notify(PAGE)
        server.fault = 0
    gone = channel(tmp_path, f"json://u:{KEY}@localhost:{free_port()}/{KEY}")
    with pytest.raises(RetryLater, match="Connection refused") as failure:
        await gone.notify(PAGE)
    assert KEY not in str(failure.value)
    logging.getLogger().removeHandler(kept)
    assert not [text for text in kept.texts if KEY in text]


def test_a_file_of_addresses_may_have_comments() -> None:
    assert service_urls("# phones\n\n ntfy://a/b \nslack://x\n") == [
        "ntfy://a/b",
        "slack://x",
    ]


def test_a_text_message_has_what_to_do_and_fits() -> None:
    assert fitting_text(PAGE, 32_768, 250) == PAGE.text
    short = fitting_text(PAGE, 1_000, 250)
    assert short.startswith("Report circuit WB-0047 to Severn Telecom")
    assert short.endswith("https://towpath.example.gov.uk/sites/library")
    tiny = fitting_text(PAGE, 160, 0)
    assert len(PAGE.subject) + 2 + len(tiny) <= 160 or tiny == "…"


def test_every_part_of_an_address_may_be_a_key() -> None:
    parts = secret_parts("slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/#ops")
    assert {"T1JJ3T3L2", "A1BRTD4JD", "TIiajkdnlazkcOXrIdevi7FQ"} <= set(parts)
