"""What can be worked out from sums: spans of 0/1 vectors. Pure.

Sets of atoms become random vectors modulo a prime, as long as there are sets: a set is
a sum of multiples of others where its vector is. That is exact but for a chance of
about one in a million for each set, and needs no fractions. A vector is one whole
number with a lane of 64 bits for each element, so that a row operation is a
multiplication and an addition; the prime is 2³¹ - 1, whose remainders are shifts.
"""

from __future__ import annotations

import random
from collections.abc import Iterable

_PRIME = (1 << 31) - 1
_LANE = 64


class Span:
    """Grows by the sets that are told, and never reaches one of `secrets`."""

    def __init__(self, secrets: Iterable[int], most: int, seed: int = 0) -> None:
        """Sets are bits of whole numbers; `most`: how many will be told at most."""
        self._chance = random.Random(seed)
        self._bits = _LANE * (most + 2)
        self._ones = sum(1 << at for at in range(0, self._bits, _LANE))
        self._low = self._ones * _PRIME
        self._high = self._ones * ((1 << 33) - 1)
        self._atoms: dict[int, int] = {}
        self._basis: list[tuple[int, int]] = []
        self._secrets = [self._vector(bits) for bits in secrets]

    def tell(self, bits: int) -> bool:
        """Adds a set; False, and nothing is added, where a secret would be told."""
        vector = self._vector(bits)
        for pivot, row in self._basis:
            vector = self._less(vector, pivot, row)
        if not vector:
            return True
        pivot = ((vector & -vector).bit_length() - 1) // _LANE * _LANE
        vector = self._remainders(vector * pow(_at(vector, pivot), -1, _PRIME))
        left = [self._less(secret, pivot, vector) for secret in self._secrets]
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
                self._atoms[lowest] = self._chance.getrandbits(self._bits) & self._low
            total += self._atoms[lowest]
        return self._remainders(total)

    def _less(self, vector: int, pivot: int, row: int) -> int:
        """`vector` with nothing left at `pivot`."""
        factor = _at(vector, pivot)
        if not factor:
            return vector
        return self._remainders(vector + (_PRIME - factor) * row)

    def _remainders(self, vector: int) -> int:
        """Every lane, of less than 2⁶³, modulo the prime."""
        for _ in range(3):
            vector = (vector & self._low) + ((vector >> 31) & self._high)
        # What is left is at most the prime itself, and then nothing.
        return vector - ((vector + self._ones) >> 31 & self._ones) * _PRIME


def _at(vector: int, pivot: int) -> int:
    return vector >> pivot & ((1 << _LANE) - 1)
