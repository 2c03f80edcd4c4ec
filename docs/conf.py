"""The documentation site: `make docs`. Sphinx reads this file.

Nothing is fetched, neither by the build nor by a reader's browser.
"""

import importlib.metadata
import re
import sys
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx

sys.path.insert(0, str(Path(__file__).parent))
from command_help import CommandHelp

project = "steel-sise"
release = importlib.metadata.version("steel-sise")
copyright = "the authors of steel-sise, Apache-2.0"
extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]

html_theme = "furo"
html_title = f"steel-sise {release}"
html_copy_source = False
html_show_sphinx = False

default_role = "literal"
highlight_language = "text"
autodoc_typehints = "signature"
napoleon_use_ivar = True
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
autodoc_class_signature = "mixed"

myst_heading_anchors = 3
myst_links_external_new_tab = False
# Notebooks are stored without outputs; a build runs those that have changed.
nb_execution_mode = "cache"
nb_execution_cache_path = str(Path(__file__).parents[1] / "build" / "notebooks")
nb_execution_in_temp = True
nb_execution_timeout = 600
nb_execution_raise_on_error = True
nb_output_stderr = "remove"  # progress


def without_initvar(*told: Any) -> tuple[str, str | None] | None:
    """A signature without `InitVar`, which says nothing to who calls it."""
    *_, arguments, returned = told
    return arguments and (re.sub(r"(?:dataclasses\.)?InitVar\[(\w+)\]", r"\1", arguments), returned)


def setup(app: Sphinx) -> None:
    """Add the directive that shows what `--help` prints, and mend signatures."""
    app.add_directive("command-help", CommandHelp)
    app.connect("autodoc-process-signature", without_initvar)
