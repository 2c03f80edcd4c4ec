import pytest

from severstal_prep.training_crops import CROP_SIDE, training_lefts


def test_training_crops_are_the_papers() -> None:
    assert training_lefts() == (32, 288, 544, 800, 1056, 1312)
    assert training_lefts(0) == (0, 256, 512, 768, 1024, 1280)
    assert training_lefts(64)[-1] + CROP_SIDE == 1600


@pytest.mark.parametrize("offset", [-1, 65])
def test_training_crops_stay_on_the_strip(offset: int) -> None:
    with pytest.raises(ValueError, match="0 to 64"):
        training_lefts(offset)
