"""Streams are good, poor or unclassified as Microsoft's own dashboard has them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.calls.call_record import MEDIA, Media
from collectors.calls.stream_verdict import RuleForm, load_stream_rules, poor_share


@pytest.mark.parametrize(
    ("media", "figures", "latest", "older"),
    [
        ("audio", {"rtt_ms": 500.0}, "good", "good"),
        ("audio", {"rtt_ms": 500.1}, "poor", "poor"),
        ("audio", {"loss_ratio": 0.1}, "good", "good"),
        ("audio", {"loss_ratio": 0.101}, "poor", "poor"),
        ("audio", {"jitter_ms": 30.0, "rtt_ms": 20.0}, "good", "good"),
        ("audio", {"jitter_ms": 30.1, "rtt_ms": 20.0}, "poor", "poor"),
        ("audio", {"jitter_ms": 1.0, "degradation_mos": 1.1}, "good", "poor"),
        ("audio", {"jitter_ms": 1.0, "concealed_ratio": 0.08}, "good", "poor"),
        ("audio", {"concealed_ratio": 0.08}, "unclassified", "poor"),
        ("audio", {}, "unclassified", "unclassified"),
        ("audio", {"jitter_ms": 99.0, "packets": 0.0}, "unclassified", "unclassified"),
        ("video", {"frame_loss_percent": 51.0}, "poor", "poor"),
        ("video", {"frame_loss_percent": 9.0, "frame_rate": 1.0}, "good", "good"),
        ("video", {"frame_rate": 6.9}, "poor", "poor"),
        ("video", {"frame_rate": 7.0}, "good", "good"),
        ("video", {"late_loss_ratio": 0.16}, "poor", "poor"),
        ("video", {"jitter_ms": 99.0}, "unclassified", "unclassified"),
        ("screen_sharing", {"frame_rate": 1.9}, "poor", "poor"),
        ("screen_sharing", {"frame_rate": 2.0}, "good", "good"),
    ],
)
def test_each_limit_is_strict_and_of_its_form(
    media: Media, figures: dict[str, float], latest: str, older: str
) -> None:
    for form, expected in (("latest", latest), ("older", older)):
        rule = load_stream_rules(form).by_media[media]  # type: ignore[arg-type]
        assert rule.verdict(figures)[0] == expected


@given(
    form=st.sampled_from(["latest", "older"]),
    media=st.sampled_from(MEDIA),
    figures=st.dictionaries(
        st.sampled_from(["rtt_ms", "loss_ratio", "jitter_ms", "frame_rate"]),
        st.none() | st.floats(0, 1e6),
    ),
)
def test_only_a_poor_stream_has_a_cause(
    form: RuleForm, media: Media, figures: dict[str, float | None]
) -> None:
    verdict, due_to = load_stream_rules(form).by_media[media].verdict(figures)
    assert (verdict == "poor") == bool(due_to)
    assert {figures[name] for name in due_to} - {None} or not due_to


def test_unclassified_streams_are_no_part_of_the_share() -> None:
    assert poor_share(1, 3) == 0.25
    assert poor_share(0, 0) is None


def test_each_form_names_its_source() -> None:
    assert "2021" in load_stream_rules("latest").source
    assert "2018" in load_stream_rules("older").source
