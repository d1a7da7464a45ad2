"""The Wi-Fi and laptop probes: what they remember between observations, and report."""

import msgspec
import pytest

from probes.agent.probe_round import ProbeRounds, RoundSetup
from probes.measure.laptop_load import LaptopLoad, busy_ratio
from probes.measure.wifi import Wifi, WifiRunner, retry_ratio
from probes.platforms.system_facts import Interface, ProcessorTimes, WifiLink
from probes.platforms.system_load import processor_times
from probes.wire.catalogue import check_sample
from probes.wire.failure import NOT_THERE, Outcome
from probes.wire.measurements import CATALOGUE
from probes.wire.outcome_text import OUTCOME_TEXT
from probes.wire.report import Report, Result, Whereabouts, samples

LINK = WifiLink(
    connected=True, interface="wlan0", signal_dbm=-60, noise_dbm=-92, rx_bps=866.7e6,
    tx_bps=780e6, band_ghz=5.0, channel=36, width_mhz=80, standard="802.11ac",
    cell="a", tx_packets=1_000, tx_retries=10,
)  # fmt: skip


def fits_the_catalogue(result: Result) -> None:
    report = Report(1, "r", "a", 1, "s", Whereabouts(), (result,))
    for sample in samples(report, "", ""):
        check_sample(sample, CATALOGUE)


def changed(**facts: object) -> WifiLink:
    return msgspec.structs.replace(LINK, **facts)


class Radio:
    def __init__(self) -> None:
        self.now: list[WifiLink] | Outcome = [LINK]

    def __call__(self, key: bytes) -> list[WifiLink] | Outcome:
        assert len(key) == 16
        return self.now


async def test_the_next_result_has_the_weak_moments_and_roams_before_it() -> None:
    radio = Radio()
    wifi = Wifi(radio)
    first = await wifi.measure(now_ms=lambda: 1)
    fits_the_catalogue(first)
    assert first.outcome is Outcome.OK
    assert first.values["snr_db"] == 32
    assert (first.values["roams"], "retry_ratio" in first.values) == (0, False)
    radio.now = [changed(signal_dbm=-81)]
    await wifi.observe()
    radio.now = [changed(signal_dbm=-62, cell="b")]
    await wifi.observe()
    radio.now = [changed(signal_dbm=-58)]
    second = await wifi.measure(now_ms=lambda: 2)
    assert (second.values["signal_dbm"], second.values["signal_min_dbm"]) == (-58, -81)
    assert second.values["roams"] == 2
    third = await wifi.measure(now_ms=lambda: 3)
    assert (third.values["roams"], third.values["signal_min_dbm"]) == (0, -58)


async def test_no_hardware_no_radio_no_link_and_no_consent_are_four_outcomes() -> None:
    radio = Radio()
    wifi = Wifi(radio)
    for now, outcome in (
        (Outcome.NOT_PRESENT, Outcome.NOT_PRESENT),
        ([WifiLink(connected=False)], Outcome.NOT_CONNECTED),
        ([WifiLink(connected=False, radio_off=True)], Outcome.SWITCHED_OFF),
        (Outcome.NOT_PERMITTED, Outcome.NOT_PERMITTED),
        ([LINK], Outcome.OK),
    ):
        radio.now = now  # type: ignore[assignment]
        result = await wifi.measure(now_ms=lambda: 1)
        fits_the_catalogue(result)
        assert result.outcome is outcome
    assert len({OUTCOME_TEXT[one] for one in (*NOT_THERE, Outcome.NOT_PERMITTED)}) == 4
    assert "switched off" not in OUTCOME_TEXT[Outcome.NOT_PERMITTED]
    # Without a hash of the access point, roams are not known.
    radio.now = [changed(cell="")]
    assert "roams" not in (await wifi.measure(now_ms=lambda: 1)).values


@pytest.mark.parametrize(
    ("before", "now", "ratio"),
    [
        (None, LINK, None),
        (LINK, changed(tx_packets=1_900, tx_retries=110), 0.1),
        (LINK, changed(tx_packets=1_010), None),
        # Associated again: the counters have restarted.
        (LINK, changed(tx_packets=100, tx_retries=0), None),
        (LINK, changed(cell="b", tx_packets=1_900), None),
        (LINK, changed(tx_packets=None), None),
    ],
)
def test_retries_are_counted_between_two_results(
    before: WifiLink | None, now: WifiLink, ratio: float | None
) -> None:
    assert retry_ratio(before, now) == ratio


async def test_the_laptop_result_has_what_explains_a_poor_call() -> None:
    slept = [100.0]
    line = Interface(
        "eth0", physical=True, up=True, addresses=("10.1.1.1",), routed=True,
        default_metric=1, speed_bps=10**9, mtu_byte=1500,
    )  # fmt: skip
    laptop = LaptopLoad(lambda: [line], lambda: slept[0])
    first = await laptop.measure(now_ms=lambda: 10**12)
    fits_the_catalogue(first)
    assert first.values["woke"] == 0
    assert (first.values["link_bps"], first.values["link_mtu_byte"]) == (10**9, 1500)
    assert 0 < first.values["memory_ratio"] < 1
    slept[0] += 3_600
    assert (await laptop.measure(now_ms=lambda: 10**12)).values["woke"] == 1
    assert (await laptop.measure(now_ms=lambda: 10**12)).values["woke"] == 0
    unknown = LaptopLoad(lambda: Outcome.NOT_SUPPORTED, lambda: None)
    bare = await unknown.measure(now_ms=lambda: 10**12)
    assert bare.outcome is Outcome.OK
    assert not {"woke", "link_bps"} & set(bare.values)


def test_the_busy_ratio_covers_all_processors() -> None:
    assert busy_ratio(ProcessorTimes(10, 100), ProcessorTimes(13, 112)) == 0.25
    assert busy_ratio(ProcessorTimes(10, 100), ProcessorTimes(10, 100.1)) is None
    assert busy_ratio(ProcessorTimes(10, 100), ProcessorTimes(9, 112)) == 0
    now = processor_times()
    assert 0 < now.busy_s < now.total_s


async def test_a_glance_never_raises_and_skips_opted_out_probes() -> None:
    keys = []

    def broken(key: bytes) -> list[WifiLink]:
        keys.append(key)
        raise RuntimeError("a driver fault")

    def rounds(*opt_out: str) -> ProbeRounds:
        made = ProbeRounds(
            RoundSetup(software="test", now_ms=lambda: 5, opt_out=opt_out)
        )
        made._runners["wifi"] = WifiRunner(Wifi(broken))
        return made

    await rounds("vpn", "wifi").glance()
    assert not keys
    await rounds("vpn").glance()
    assert keys
