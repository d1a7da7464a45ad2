"""The grade of bufferbloat, and round trips per minute under load."""

import pytest

from probes.measure import bufferbloat


@pytest.mark.parametrize(
    ("increase", "grade"),
    [(0, "A+"), (4.9, "A+"), (5, "A"), (30, "B"), (60, "C"), (200, "D"), (400, "F")],
)
def test_the_grade_follows_the_mean_increase(increase, grade):
    assert bufferbloat.grade(20, 20, 20 + 2 * increase) == grade


def test_a_lower_round_trip_under_load_has_the_best_grade():
    assert bufferbloat.grade(30, 20, 20) == "A+"


def test_50_ms_under_load_are_1200_round_trips_per_minute():
    assert bufferbloat.responsiveness_rpm(50) == 1200
