"""The difference between home and office, paired within laptops. Pure.

Staff with a better laptop, line or job may also be at home more often. So each laptop
is compared with itself, and only laptops seen at both places count. Laptop d, with
shares h and o of good quarters of an hour among H at home and O at the office, weighs
w = H·O / (H + O), the quarters of an hour that it can be compared in. The difference is
the mean of h - o by w.

The interval is a bootstrap over laptops, not over quarters of an hour: those of one
laptop are alike, so 2,000 of them from ten laptops are ten observations. Each replicate
draws as many laptops as there are, with replacement and from a fixed seed, and takes
both sums of its draw. With few laptops plain percentiles are too narrow, so those of
Student's distribution are taken ("expanded percentiles": Hesterberg, What Teachers
Should Know About the Bootstrap, 2015), for as many laptops as the weights are worth
(Kish's effective number).

If a few laptops are far worse, their share among the drawn ones is too uncertain for
percentiles, which then end too early on their side. So the interval also contains the
one of Hall's transformation of the mean by its skewness (Hall, On the Removal of
Skewness by Transformation, Journal of the Royal Statistical Society B 54, 1992). No
interval is narrower than the rule of three: if nothing bad was seen in n quarters of an
hour, up to 3 / n may still be.

No interval knows of laptops of which none was seen. What one laptop in twenty has is
in none of ENOUGH laptops less than once in twenty (0.95^60 = 0.046). So there is no
verdict from fewer.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from statistics import NormalDist

import msgspec

REPLICATES = 1_000
# So many laptops are needed for a verdict, counted by what their weights are worth.
ENOUGH = 60
_CONFIDENCE = 0.95
_NORMAL = NormalDist()


class PlaceCounts(msgspec.Struct):
    """Quarters of an hour of one laptop: good ones and all that were seen."""

    home_good: int = 0
    home_seen: int = 0
    office_good: int = 0
    office_seen: int = 0

    @property
    def is_paired(self) -> bool:
        return self.home_seen > 0 and self.office_seen > 0


class PairedDifference(msgspec.Struct, frozen=True):
    """Shares of the paired laptops, and the ends of the interval of `home` minus
    `office`. `matched`: the sum of the weights; `effective`: how many laptops of equal
    weight they are worth."""

    home: float
    office: float
    low: float
    high: float
    matched: float
    effective: float


def paired_difference(
    laptops: Sequence[PlaceCounts], seed: int, replicates: int = REPLICATES
) -> PairedDifference | None:
    """Returns the difference of the laptops seen at both places and its 95 % interval;
    None if there are fewer than two."""
    paired = [laptop for laptop in laptops if laptop.is_paired]
    if len(paired) < 2:
        return None
    weights = [
        laptop.home_seen * laptop.office_seen / (laptop.home_seen + laptop.office_seen)
        for laptop in paired
    ]
    matched = sum(weights)
    homes = [laptop.home_good / laptop.home_seen for laptop in paired]
    offices = [laptop.office_good / laptop.office_seen for laptop in paired]
    home, office = _mean(weights, homes, matched), _mean(weights, offices, matched)
    # Real: weight times difference; imaginary: weight. One sum adds both.
    parts = [
        complex(weight * (at_home - in_office), weight)
        for weight, at_home, in_office in zip(weights, homes, offices, strict=True)
    ]
    draw = random.Random(seed).choices
    sums = (sum(draw(parts, k=len(parts))) for _ in range(replicates))
    means = sorted(total.real / total.imag for total in sums)
    effective = matched**2 / sum(weight**2 for weight in weights)
    wide = _wide(max(2.0, effective))
    tail = _NORMAL.cdf(-wide)
    least = 3 / matched
    at = min(int(tail * replicates), (replicates - 1) // 2)
    middle = home - office
    skewed_low, skewed_high = _without_skewness(parts, middle, wide)
    return PairedDifference(
        home,
        office,
        max(-1.0, min(means[at], skewed_low, middle - least)),
        min(1.0, max(means[-1 - at], skewed_high, middle + least)),
        matched,
        effective,
    )


def _mean(weights: Sequence[float], shares: Sequence[float], total: float) -> float:
    return sum(w * share for w, share in zip(weights, shares, strict=True)) / total


def _wide(laptops: float) -> float:
    """How many standard errors each end is from the mean."""
    freedom = laptops - 1
    return math.sqrt(laptops / freedom) * _student(freedom)


def _without_skewness(
    parts: Sequence[complex], middle: float, wide: float
) -> tuple[float, float]:
    """Returns the interval by Hall's transformation. `parts`: weight times difference,
    and weight, of each laptop; `middle`: their mean."""
    total = sum(part.imag for part in parts)
    off = [(part.real - part.imag * middle) / total for part in parts]
    error = math.sqrt(sum(one**2 for one in off))
    if not error:
        return middle, middle
    skewness = sum(one**3 for one in off) / error**3

    def errors(end: float) -> float:
        if abs(skewness) < 1e-6:
            return end
        return 3 / skewness * (math.cbrt(1 + skewness * (end - skewness / 6)) - 1)

    return middle - error * errors(wide), middle - error * errors(-wide)


def _student(freedom: float) -> float:
    """The upper 2.5 % point of Student's distribution (Cornish and Fisher's series,
    right within a hundredth from five degrees of freedom on)."""
    z = _NORMAL.inv_cdf(1 - (1 - _CONFIDENCE) / 2)
    series = (
        z,
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
    )
    return sum(term / freedom**power for power, term in enumerate(series))
