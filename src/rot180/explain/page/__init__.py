"""Page: an explanation as one interactive HTML file that needs nothing else.

It promises: `render(e)`, a whole page with its style, its script and its data, that works from a
file without a network; and `notebook(e)`, the same in a frame for a notebook's cell. The page
computes with the terms of the law, which are shipped as data, so that a changed number reaches
every cell that depends on it. The HTML, CSS and JavaScript are written by hand and lie beside this
file; no formula, no number and no rule of an operation is written there.
"""

from rot180.explain.page.render import notebook, render

__all__ = ["notebook", "render"]
