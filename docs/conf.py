"""How the documentation is built: `nox -s docs`. Needs no network."""

import triojob

project = "triojob"
author = "The triojob developers"
project_copyright = "2026, the triojob developers"
version = release = triojob.__version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.intersphinx",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
]
exclude_patterns = ["_build", "examples", "inventories", "performance"]
# Tables that other pages include.
exclude_patterns += [f"reliability/{name}.md" for name in ("matrix", "mutation-figures", "soak")]

html_theme = "furo"
html_title = f"triojob {release}"
# A list of the pages for language models: https://llmstxt.org
html_extra_path = ["llms.txt"]

# Of a console, what a reader types.
copybutton_prompt_text = "$ "

myst_enable_extensions = ["colon_fence", "deflist"]
# `[text](#a-heading)` works down to the third level.
myst_heading_anchors = 3

# In the order of the source, where related things stand together.
autodoc_member_order = "bysource"
autodoc_typehints = "both"
autodoc_typehints_description_target = "documented"
# One parameter a line where they do not fit into one.
maximum_signature_line_length = 88
autodoc_class_signature = "separated"
napoleon_numpy_docstring = False

# Links into other projects' pages come from short lists kept here: a build needs no network.
# They are in the first inventory format, which is plain text: a name, its kind, its page.
# Add what you refer to.
intersphinx_mapping = {
    "python": ("https://docs.python.org/3", "inventories/python.txt"),
    "trio": ("https://trio.readthedocs.io/en/stable", "inventories/trio.txt"),
    "outcome": ("https://outcome.readthedocs.io/en/latest", "inventories/outcome.txt"),
}

nitpick_ignore_regex = [
    # What leads out of this project and is on no list above is plain text, not an error.
    (r"py:.*", r"(trio|outcome|rich|collections|concurrent|contextlib|pathlib|types|typing)\..*"),
    (r"py:.*", r"(httpx|opentelemetry)\..*|HTTPClient|HTTPTransport|AbstractAsyncContextManager"),
    # Signatures show some classes by the modules that define them.
    (r"py:class", r"triojob\.gradio\.(files\.file\.SegmentIterator|pool\.pool\.PoolStatistics)"),
    (r"py:class", r"triojob\._durable\.(results\.DurableResults|outcome\.RowOutcome)"),
    # Type variables, and the names that signatures have for them, have no page to lead to.
    (r"py:(class|obj|data)", r"(triojob\..*\.)?_?(T|P|R|K|V|B|Ts)(_co|_contra)?"),
]
