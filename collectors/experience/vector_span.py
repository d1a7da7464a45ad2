"""Finds out what can be calculated from sums: spans of 0/1 vectors. Pure.

Each set of atoms becomes a random vector modulo a prime, with one element for each set.
A set is a linear combination of others if its vector is. That is wrong with a chance of
about one in a million for each set, and needs no fractions. A vector is one integer
with 64 bits for each element, so that a row operation is one multiplication and one
addition. The prime is 2³¹ - 1, so that remainders are calculated by shifts.
"""

from __future__ import annotations

import random
from collections.abc import Iterable

_PRIME = (1 << 31) - 1
_LANE = 64


class VectorSpan:
    """The span of the sets that were added; it never contains one of `secrets`."""

    def __init__(self, secrets: Iterable[int], most: int, seed: int = 0) -> None:
        """Sets are the bits of integers; at most `most` of them will be added."""
        self._random = random.Random(seed)
        self._bits = _LANE * (most + 2)
        self._ones = sum(1 << at for at in range(0, self._bits, _LANE))
        self._low = self._ones * _PRIME
        self._high = self._ones * ((1 << 33) - 1)
        self._atoms: dict[int, int] = {}
        self._basis: list[tuple[int, int]] = []
        self._secrets = [self._vector(bits) for bits in secrets]

    def add(self, bits: int) -> bool:
        """Adds a set. Returns False, and adds nothing, if a secret would be in the
        span."""
        vector = self._vector(bits)
        for pivot, row in self._basis:
            vector = self._without(vector, pivot, row)
        if not vector:
            return True
        pivot = ((vector & -vector).bit_length() - 1) // _LANE * _LANE
        vector = self._remainders(vector * pow(_at(vector, pivot), -1, _PRIME))
        left = [self._without(secret, pivot, vector) for secret in self._secrets]
        if not all(left):
            return False
        self._basis.append((pivot, vector))
        self._secrets = left
        return True

    def _vector(self, bits: int) -> int:
        total = 0
        while bits:
            lowest = bits & -bits
            bits ^= lowest
            if lowest not in self._atoms:
                self._atoms[lowest] = self._random.getrandbits(self._bits) & self._low
            total += self._atoms[lowest]
        return self._remainders(total)

    def _without(self, vector: int, pivot: int, row: int) -> int:
        """Returns `vector` with 0 at `pivot`, by adding a multiple of `row`."""
        factor = _at(vector, pivot)
        if not factor:
            return vector
        return self._remainders(vector + (_PRIME - factor) * row)

    def _remainders(self, vector: int) -> int:
        """Returns every element, each less than 2⁶³, modulo the prime."""
        for _ in range(3):
            vector = (vector & self._low) + ((vector >> 31) & self._high)
        # Each element is now at most the prime itself, which stands for 0.
        return vector - ((vector + self._ones) >> 31 & self._ones) * _PRIME


def _at(vector: int, pivot: int) -> int:
    return vector >> pivot & ((1 << _LANE) - 1)
