"""What pages say, in the reader's language: English in the code, others in catalogues beside."""

from inspection.words.catalogues import catalogue, language, languages, speaking
from inspection.words.numbers import decimal, moment, number, percent, probability
from inspection.words.saying import plural, say, say_html, word

__all__ = [
    "catalogue",
    "decimal",
    "language",
    "languages",
    "moment",
    "number",
    "percent",
    "plural",
    "probability",
    "say",
    "say_html",
    "speaking",
    "word",
]
