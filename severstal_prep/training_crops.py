"""Where on a strip the six training crops lie."""

STRIP_HEIGHT, STRIP_WIDTH = 256, 1600
CROP_SIDE = STRIP_HEIGHT
"""Of a crop, and of a patch, px."""

TRAINING_CROPS = STRIP_WIDTH // CROP_SIDE
LARGEST_OFFSET = STRIP_WIDTH - TRAINING_CROPS * CROP_SIDE


def training_lefts(offset: int = LARGEST_OFFSET // 2) -> tuple[int, ...]:
    """Left edges in px of the six crops of a 1600 px strip; the paper centres them (32 px).

    Raises ValueError if the crops would leave the strip (offset outside 0 to 64).
    """
    if not 0 <= offset <= LARGEST_OFFSET:
        raise ValueError(f"the offset must be 0 to {LARGEST_OFFSET} px, not {offset}")
    return tuple(offset + CROP_SIDE * i for i in range(TRAINING_CROPS))
