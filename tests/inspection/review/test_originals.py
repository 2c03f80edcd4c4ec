"""Where a patch lies on its strip, as the log of the review knows it."""

from inspection.review.originals import corner, place


def test_on_a_strip_of_one_row_the_place_is_the_left_edge() -> None:
    assert place({"left": 224, "top": 0, "width": 1600}) == 224
    assert corner(224, 1600) == (224, 0)


def test_rows_of_patches_count_one_after_another() -> None:
    # 44 whole rows of 512 px, and 256 px of the next.
    assert place({"left": 256, "top": 44, "width": 512}) == 22_784
    assert corner(22_784, 512) == (256, 44)
