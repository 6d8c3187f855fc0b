"""The words of the page in English and Chinese; those of the figures are among them."""

from __future__ import annotations

from rot180.explain.figures.words import WORDS
from rot180.explain.words import LANGUAGES

__all__ = ["page_words"]

_WORDS: dict[str, tuple[str, str]] = {
    "views": ("Views", "视图"),
    "view cells": ("Cells", "格子"),
    "view gather": ("Gather", "收集"),
    "view scatter": ("Scatter", "散播"),
    "view matrix": ("Matrix", "矩阵"),
    "view network": ("Network", "网络"),
    "view graph": ("Graph", "计算图"),
    "view duality": ("Duality", "对偶"),
    "about cells": (
        "Point at a cell: its sources light up, a colour a product; cells that read it are dashed.",
        "指向一个格子：它的来源会亮起来，每一项乘积一种颜色；虚线框是读取它的格子。",
    ),
    "about gather": (
        "The window slides over {source}; every cell of {of} is read out through the kernel.",
        "窗口在 {source} 上滑动，透过卷积核得到 {of} 的每个格子。",
    ),
    "about gather turned": (
        "{source}, padded with zeros, read through the kernel turned by 180°, is {of}.",
        "{source} 补0之后，与旋转180度的卷积核做相关，得到 {of}。",
    ),
    "about gather turned dilated": (
        "{source}, dilated by the stride and padded, read through the turned kernel, is {of}.",
        "{source} 按步幅插0、再补0之后，与旋转180度的卷积核做相关，得到 {of}。",
    ),
    "about gather dilated": (
        "{source}, dilated by the stride and padded, read through the kernel as it is, is {of}.",
        "{source} 按步幅插0、再补0之后，与未旋转的卷积核做相关，得到 {of}。",
    ),
    "about scatter": (
        "Each cell of {source} hands its value on to cells of {of}; nothing is turned.",
        "{source} 的每个格子把自己的值分发给 {of} 中与它相连的格子，什么也不用旋转。",
    ),
    "about matrix": (
        "One sparse matrix: a row a cell of {of}, a column a cell of {source}, a colour a number.",
        "同一映射的稀疏矩阵：{of} 的每格一行，{source} 的每格一列，同色即同一个数。",
    ),
    "about network": (
        "The layer unrolled: of {dense} connections {left} are left, in {colours} colours.",
        "把这一层展开：全连接共 {dense} 条，留下 {left} 条，{colours} 种颜色。",
    ),
    "about graph": (
        "The chain rule, edge by edge; under each array is the gradient that arrives at it.",
        "沿着每条边的链式法则；每个数组下面是传到它的误差敏感项。",
    ),
    "about duality": (
        "Forward correlation means backward convolution, and the other way round.",
        "前向相关，反向卷积；前向卷积，反向相关。",
    ),
    "of": ("Array", "数组"),
    "show": ("Cells show", "格子显示"),
    "numbers": ("numbers", "数值"),
    "symbols": ("symbols", "符号"),
    "back": ("Step back", "上一步"),
    "forth": ("Step", "下一步"),
    "play": ("Play", "播放"),
    "pause": ("Pause", "暂停"),
    "reset": ("Reset numbers", "恢复数值"),
    "theme": ("Light or dark", "亮色或暗色"),
    "equation": ("Equation", "公式"),
    "given": ("given", "给定"),
    "change": ("Change {cell}", "修改 {cell}"),
    "read by": ("Read by", "被读取于"),
    "nobody": ("No cell reads it.", "没有格子读取它。"),
    "nothing": ("No term reaches this cell: it is 0.", "没有任何项到达这个格子：它是 0。"),
    "more": ("and {count} more", "以及另外 {count} 个"),
    "sources": ("from {cells}", "来自 {cells}"),
    "agrees": (
        "All {count} computed cells equal the engine's.",
        "全部 {count} 个计算出的格子都与引擎相等。",
    ),
    "differs": (
        "{count} computed cells DIFFER from the engine's.",
        "有 {count} 个格子与引擎不相等。",
    ),
    "changed": (
        "Numbers changed: {given}; cells that follow: {count}.",
        "改动的数：{given}；随之变化的格子：{count}。",
    ),
    "handed out": ("handed out", "分发"),
    "too large": ("Too large to draw here; look at another view.", "太大，画不下；请看别的视图。"),
    "choice": ("chosen among", "从中选出"),
    "help": (
        "Keys: arrows move, a digit changes a number, the buttons step and play.",
        "键盘：方向键移动，按数字键修改数值，按钮可单步和播放。",
    ),
    "no script": ("This page needs JavaScript.", "此页面需要 JavaScript。"),
}


def page_words(lang: str) -> dict[str, str]:
    """Every phrase of the page in one language.

    >>> page_words("zh")["view gather"]
    '收集'
    """
    column = LANGUAGES.index(lang)
    return {key: pair[column] for key, pair in {**WORDS, **_WORDS}.items()}
