"""How the documentation is built: Sphinx, MyST and furo, every warning an error.

The rule: a build needs no network, so the inventories of other projects are in this repository
(``inventories``), with the names that these pages use. Every name of this project must resolve.
"""

from __future__ import annotations

import builtins
import sys
from importlib.metadata import version as installed_version

project = "async-task-pipeline"
author = "the async-task-pipeline authors"
copyright = f"2026, {author}"
release = version = installed_version(project)

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.intersphinx",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
    "sphinx_codeautolink",
    "sphinx_copybutton",
    "sphinx_design",
]
exclude_patterns = ["_build", "inventories"]
html_theme = "furo"
html_title = project
toc_object_entries_show_parents = "hide"  # the names are long enough
html_favicon = "images/favicon.svg"
html_static_path = ["static"]
html_css_files = ["site.css"]
html_theme_options = {
    "source_repository": "https://github.com/mouchenghao/async-task-pipeline/",
    "source_branch": "main",
    "source_directory": "docs/",
    "footer_icons": [],
}

myst_enable_extensions = ["attrs_inline", "colon_fence", "deflist", "substitution"]
myst_heading_anchors = 3
myst_substitutions = {"version": version}

intersphinx_mapping = {
    name: (site, f"inventories/{name}.inv")
    for name, site in {
        "python": "https://docs.python.org/3/",
        "anyio": "https://anyio.readthedocs.io/en/stable/",
        "trio": "https://trio.readthedocs.io/en/stable/",
        "attrs": "https://www.attrs.org/en/stable/",
        "distributed": "https://distributed.dask.org/en/stable/",
        "stamina": "https://stamina.hynek.me/en/stable/",
        "numpy": "https://numpy.org/doc/stable/",
        "pytest": "https://docs.pytest.org/en/stable/",
    }.items()
}

# The blocks of a page are one program, as the tests run them.
codeautolink_concat_default = True
# Where a class was defined, and where its documentation has it.
codeautolink_inventory_map = {
    "_contextvars.ContextVar": "contextvars.ContextVar",
    "_contextvars.ContextVar.get": "contextvars.ContextVar.get",
    "_contextvars.ContextVar.set": "contextvars.ContextVar.set",
    "_pytest.fixtures.fixture": "pytest.fixture",
    "_thread._local": "threading.local",
    "anyio._core._synchronization.Event.set": "anyio.Event.set",
    "concurrent.futures.thread.ThreadPoolExecutor": "concurrent.futures.ThreadPoolExecutor",
    "unittest.async_case.IsolatedAsyncioTestCase": "unittest.IsolatedAsyncioTestCase",
}

# What is copied of a session is what is typed.
copybutton_prompt_text = "$ "
copybutton_exclude = ".linenos, .gp, .go"

autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
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
