"""How the site is built: `make docs` writes it to docs/_build/html, and nothing is fetched while it does."""

import os
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE / "_ext"))

import edge_gym  # noqa: E402

project = "edge_gym"
author = "The edge_gym authors"
copyright = author
version = release = edge_gym.__version__

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "mathml", "outside"]
exclude_patterns = ["_build", "_ext"]
source_suffix = {".md": "myst-nb"}
root_doc = "index"
templates_path = []

# The pages are also read as plain Markdown, so only what costs them nothing there.
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 4
myst_dmath_double_inline = True

# Tutorials run while the site is built, and once only until they change.
nb_execution_mode = os.environ.get("EDGE_GYM_DOCS_NOTEBOOKS", "cache")
nb_execution_cache_path = str(HERE / "_build" / "notebooks")
nb_execution_raise_on_error = True
nb_execution_timeout = 300
nb_execution_show_tb = True
nb_merge_streams = True

autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
autodoc_class_signature = "mixed"
autodoc_mock_imports = ["torch", "stable_baselines3", "sb3_contrib", "gymnasium.wrappers.rendering"]
# Types of other projects are named, and there is no network to look them up in.
nitpick_ignore_regex = [("py:.*", r"(?!edge_gym|edge_).*")]
nitpick_ignore = [  # ours, but no part of the interface
    ("py:class", f"edge_gym.{name}")
    for name in (
        "envs.batch.Batch",
        "evaluation.watching.Message",
        "evaluation.watching.ToolCall",
        "kernel.build.World",
        "tasks.task.Task",
    )
]
default_role = "code"  # docstrings have Markdown's backticks
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True

html_theme = "furo"
html_math_renderer = "mathml"
html_title = f"edge_gym {version}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_sphinx = False
html_show_sourcelink = True
html_copy_source = True
html_theme_options = {"navigation_with_keys": True}
pygments_style = "friendly"
pygments_dark_style = "native"
