"""Which defect classes each strip gets.

Classes are dealt like cards. A small first hand shows every class, so that even a sample of
eight strips does; the later hands come close to the labels of the real strips (there, of the
annotated strips: class 3 on 77 %, 1 on 13 %, 4 on 12 %, 2 on 4 %, two classes on 6 %; and 47 %
of all strips carry none), with the rare classes made somewhat less rare, because a small
sample could not be split otherwise.
"""

from collections.abc import Iterator
from itertools import islice

import numpy as np

Classes = tuple[int, ...]

NONE: Classes = ()
PAIR: Classes = (0, 0)  # stands for a pair, drawn when the hand is dealt
FIRST_HAND: tuple[Classes, ...] = (*(3 * [NONE]), (1,), (2,), (3,), (4,), PAIR)
SECOND_HAND: tuple[Classes, ...] = (*(6 * [NONE]), (1,), (2,), *(3 * [(3,)]), (4,))
LATER_HAND: tuple[Classes, ...] = (
    *(19 * [NONE]),
    *(4 * [(1,)]),
    *(2 * [(2,)]),
    *(11 * [(3,)]),
    *(3 * [(4,)]),
    PAIR,
)
PAIRS: tuple[Classes, ...] = ((3, 4), (1, 3), (1, 2), (2, 3))
PAIR_FREQUENCIES = (0.67, 0.215, 0.08, 0.035)  # of the real two-class strips


def deal(seed: np.random.SeedSequence, strips: int) -> list[Classes]:
    """Deal the defect classes of the first `strips` strips; a longer deal begins the same."""
    return list(islice(_deal(np.random.default_rng(seed)), strips))


def _deal(rng: np.random.Generator) -> Iterator[Classes]:
    for hand in (FIRST_HAND, SECOND_HAND):
        yield from _shuffled(rng, hand)
    while True:
        yield from _shuffled(rng, LATER_HAND)


def _shuffled(rng: np.random.Generator, hand: tuple[Classes, ...]) -> Iterator[Classes]:
    for position in rng.permutation(len(hand)):
        classes = hand[position]
        yield PAIRS[rng.choice(len(PAIRS), p=PAIR_FREQUENCIES)] if classes == PAIR else classes
