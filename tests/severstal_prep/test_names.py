import unicodedata

import pytest

from severstal_prep.names import match_names

NFC = "стрип ё.jpg"
NFD = unicodedata.normalize("NFD", NFC)


@pytest.mark.parametrize(
    ("listed", "there", "what"),
    [
        (NFC, NFD, "Unicode form"),
        (NFD, NFC, "Unicode form"),
        ("a.jpg", "A.JPG", "case"),
        (NFC.upper(), NFD, "case"),
        ("a.jpg", "a.png", "suffix"),
        ("a", "a.jpg", "suffix"),
        ("a.v2", "a.v2.TIF", "suffix"),
        ("A.JPEG", "a.jpg", "suffix"),
        ("a.jpg", "a", "suffix"),
    ],
)
def test_a_name_means_the_one_file_that_it_can_mean(listed: str, there: str, what: str) -> None:
    found = match_names([listed, "b.jpg"], [there, "b.jpg", "c.jpg"])
    assert found.files == {listed: there, "b.jpg": "b.jpg"}
    assert found.unclear == {}
    assert found.notes == (
        f"1 name differs from the file in {what} ({listed!r} is the file {there!r})",
    )


def test_equal_names_come_first_and_need_no_note() -> None:
    found = match_names(["a.jpg", "A.jpg"], ["A.jpg", "a.jpg", "a.png"])
    assert found.files == {"a.jpg": "a.jpg", "A.jpg": "A.jpg"}
    assert found.notes == ()


def test_a_missing_file_is_neither_found_nor_unclear() -> None:
    found = match_names(["a.jpg", "ab.jpg"], ["ab.jpg"])
    assert found.files == {"ab.jpg": "ab.jpg"}
    assert found.unclear == {}


@pytest.mark.parametrize(
    ("listed", "there", "unclear"),
    [
        (["a.jpg"], ["A.jpg", "A.JPG"], "'a.jpg' can mean the file 'A.JPG' or 'A.jpg'"),
        (["a"], ["a.png", "a.jpg"], "'a' can mean the file 'a.jpg' or 'a.png'"),
        (["A.jpg", "a.JPG"], ["a.jpg"], "'A.jpg' and 'a.JPG' can mean the same file, 'a.jpg'"),
        (["a.jpg", "A.jpg"], ["a.jpg"], "'A.jpg' and 'a.jpg' can mean the same file, 'a.jpg'"),
        ([NFC, NFD], [NFD], "can mean the same file"),
    ],
)
def test_what_is_not_clear_is_said_and_not_guessed(
    listed: list[str], there: list[str], unclear: str
) -> None:
    found = match_names(listed, there)
    assert unclear in next(iter(found.unclear.values()))
    assert set(found.unclear) | set(found.files) == set(listed)
