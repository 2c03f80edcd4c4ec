from sise.strict_json import dumps


def test_what_is_not_finite_is_null() -> None:
    content = {"a": [1.5, float("nan"), {"b": (float("inf"), True)}], "c": "NaN", "d": None}
    assert dumps(content) == '{"a": [1.5, null, {"b": [null, true]}], "c": "NaN", "d": null}'
