"""How long one agent takes to answer, and how often it does not, as experience has
shown."""

from __future__ import annotations

import msgspec

# The part of the longest time so far that counts after one shorter answer.
_FADING = 0.9
# A wait is this much longer than the answer that is expected.
_MARGIN = 1.5
_LONGEST_WAIT_S = 15.0
# An agent whose answers take longer is slow.
SLOW_S = 1.0
# How much one request weighs in the average of what is lost. One loss alone does not
# make a lossy line, two within a dozen requests do.
_WEIGHT, _LOSSY = 0.05, 0.04


class AnswerTime(msgspec.Struct):
    """What is expected of an agent; worth keeping over a restart.

    An agent that needs longer than the time-out receives a second request while it is
    still working on the first, which makes it even slower. So the waits follow what it
    needs.
    """

    expected_s: float = 0.0
    # The part of the requests that is lost, on average.
    loss: float = 0.0

    def record(self, took_s: float, lost: int = 0) -> None:
        """An answer came `took_s` after its request was sent, after `lost` earlier
        tries that had none."""
        self.loss += (lost / (lost + 1) - self.loss) * _WEIGHT
        self.expected_s = max(
            took_s, self.expected_s * _FADING + took_s * (1 - _FADING)
        )

    def wait_s(self, timeout_s: float) -> float:
        """How long to wait for an answer instead of `timeout_s`."""
        return max(timeout_s, min(self.expected_s * _MARGIN, _LONGEST_WAIT_S))

    @property
    def is_lossy(self) -> bool:
        """True if a request without an answer is most likely a lost packet."""
        return self.loss > _LOSSY

    def is_longer_than(self, timeout_s: float) -> bool:
        """True for an agent that is slow, measured by `timeout_s`."""
        return self.wait_s(timeout_s) > timeout_s
