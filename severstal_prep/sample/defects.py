"""Defects of the four classes, each a set of marks to be laid on a strip.

The classes have no names in the data; what is drawn follows their look there.
"""

from collections.abc import Callable

import numpy as np

from severstal_prep.sample.class1 import pits
from severstal_prep.sample.class2 import thin_lines
from severstal_prep.sample.class3 import broad_damage
from severstal_prep.sample.class4 import torn_flakes
from severstal_prep.sample.marks import Mark, Room

Painter = Callable[[np.random.Generator, Room], list[Mark]]

PAINTERS: dict[int, Painter] = {1: pits, 2: thin_lines, 3: broad_damage, 4: torn_flakes}


def paint(class_id: int, rng: np.random.Generator, room: Room) -> list[Mark]:
    """Draw the defects of a class (1 to 4) for one strip, within the columns of `room`."""
    return PAINTERS[class_id](rng, room)
