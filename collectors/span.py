"""What can be worked out from sums: spans of 0/1 vectors. Pure.

Sets of atoms become random vectors modulo a prime, as long as there are sets: a set is
a sum of multiples of others where its vector is. That is exact but for a chance of
about one in ten million for each set, and needs no fractions.
"""

from __future__ import annotations

import random
from collections.abc import Iterable

_PRIME = 2**31 - 1


class Span:
    """Grows by the sets that are told, and never reaches one of `secrets`."""

    def __init__(self, secrets: Iterable[int], most: int, seed: int = 0) -> None:
        """Sets are bits of whole numbers; `most`: how many will be told at most."""
        self._chance = random.Random(seed)
        self._length = most + 2
        self._atoms: dict[int, list[int]] = {}
        self._basis: list[tuple[int, list[int]]] = []
        self._secrets = [self._vector(bits) for bits in secrets]

    def tell(self, bits: int) -> bool:
        """Adds a set; False, and nothing is added, where a secret would be told."""
        vector = self._vector(bits)
        for pivot, row in self._basis:
            vector = _less(vector, pivot, row)
        pivot = next((at for at, value in enumerate(vector) if value), -1)
        if pivot < 0:
            return True
        inverse = pow(vector[pivot], -1, _PRIME)
        vector = [value * inverse % _PRIME for value in vector]
        left = [_less(secret, pivot, vector) for secret in self._secrets]
        if not all(map(any, left)):
            return False
        self._basis.append((pivot, vector))
        self._secrets = left
        return True

    def _vector(self, bits: int) -> list[int]:
        total = [0] * self._length
        while bits:
            lowest = bits & -bits
            bits ^= lowest
            if lowest not in self._atoms:
                self._atoms[lowest] = [
                    self._chance.randrange(_PRIME) for _ in range(self._length)
                ]
            total = [a + b for a, b in zip(total, self._atoms[lowest], strict=True)]
        return [value % _PRIME for value in total]


def _less(vector: list[int], pivot: int, row: list[int]) -> list[int]:
    """`vector` with nothing left at `pivot`."""
    factor = vector[pivot]
    if not factor:
        return vector
    return [(a - factor * b) % _PRIME for a, b in zip(vector, row, strict=True)]
