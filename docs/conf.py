"""Sphinx configuration. The docs are Markdown (MyST); the reference is made from the docstrings."""

import aiocpg

project = "aiocpg"
author = "aiocpg contributors"
copyright = "aiocpg contributors"
release = version = aiocpg.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode"]
exclude_patterns = ["_build", "reference/engine-table.md"]
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3

# The order of the source is the order of reading; types stand in the signature, units and ranges in the text.
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
python_use_unqualified_type_names = True
napoleon_use_rtype = False

# A reference to a public name that is not in the docs is a warning, and so an error. What is left out: types of Python
# and private ones in signatures, and the first words of attributes, which napoleon takes for types.
nitpicky = True
nitpick_ignore_regex = [("py:class", r"(?!aiocpg\.).*"), ("py:exc", "HTTP.*"), ("py:class", r"aiocpg\.(.+\.)?_.*")]

html_theme = "furo"
html_title = f"aiocpg {release}"
