"""The documentation site. Pictures, figures and the list of commands are made while it is built, by the package."""

import sys
from pathlib import Path

import nlrn

sys.path.insert(0, str(Path(__file__).parent))

project, author, copyright = "nlrn", "the nlrn authors", "the nlrn authors, MIT licence"  # noqa: A001  # Sphinx's name
release = version = nlrn.__version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "making"]
html_theme = "furo"
html_title = "nlrn"
html_static_path: list[str] = []
exclude_patterns = ["_build", "_made", "results.md"]  # what is made is included in other pages
myst_heading_anchors = 3

man_pages = [("command-line", "nlrn", "denoise and upscale images", "", 1)]

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_preserve_defaults = True
# extras of the package that the site is built without; what they are is not documented here
autodoc_mock_imports = ["spandrel", "onnx", "onnxruntime", "lightning_fabric"]
napoleon_custom_sections = [("Returns", "params_style")]
