"""How the documentation is built: Sphinx, MyST and furo, every warning an error.

The rule: a build needs no network, so no foreign inventory is fetched. Names of other
projects are shown without a link; every name of this project must resolve.
"""

from __future__ import annotations

import builtins
import sys
from importlib.metadata import version as installed_version

project = "async-task-pipeline"
author = "the async-task-pipeline authors"
copyright = f"2026, {author}"
release = version = installed_version(project)

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode"]
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = project

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"

# Only what is not ours may stay without a target: builtins, the standard library,
# the libraries in the signatures, type variables and private types.
_FOREIGN = "|".join(sorted({*sys.stdlib_module_names, "anyio", "attr", "attrs", "trio"}))
_BUILTINS = "|".join(sorted(name for name in dir(builtins) if not name.startswith("_")))
nitpick_ignore_regex = [
    (r"py:.*", rf"({_FOREIGN})\..+"),
    (r"py:.*", rf"({_BUILTINS})"),
    (r"py:.*", r"(.+\.)?~?([A-Z]|[A-Z][a-z]+T)"),
    # Private types of arguments and attributes: the description says what they are.
    (r"py:.*", r"Clock|Overflow|async_task_pipeline\._.+"),
    (r"py:.*", r"StageFunction|OnError|ExecutorKind|Executor|BatchSize"),
]


def keep_first_line(_app, what, _name, _obj, _options, lines):
    """Keep napoleon from reading "Seconds inside: …" as a type named "Seconds inside"."""
    if what in {"attribute", "property"}:
        lines[:0] = ["..", ""]  # an empty comment is the first line it looks at


def setup(app):
    """Run before napoleon, whose priority is 500."""
    app.connect("autodoc-process-docstring", keep_first_line, priority=400)
