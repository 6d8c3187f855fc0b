"""Figures: explanations drawn, for paper, lectures and films.

It promises: `draw(e, path)` for a figure (svg, png, pdf) of every view, `animate(e, path)` for a
film (gif, mp4) of the forward and of the backward window, and the colours that these and the page
share. It draws what views and cells say and computes no gradient. matplotlib, Pillow and
imageio-ffmpeg are extras and are imported when the first picture is drawn.
"""

from rot180.explain.figures.film import animate, frames
from rot180.explain.figures.views import FIGURES, draw, figure

__all__ = ["FIGURES", "animate", "draw", "figure", "frames"]
