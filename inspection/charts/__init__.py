"""Static charts as inline SVG: drawn by matplotlib, coloured by the page's own variables.

Each function of `pareto`, `control`, `confidence`, `reliability` and `trends` takes figures and
returns a `drawing.Drawing`. Drawings are safe HTML, need no script and no style attribute, and
are the same bytes for the same figures.
"""
