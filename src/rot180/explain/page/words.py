"""The words of the page in English and Chinese."""

from __future__ import annotations

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
        (
            "Point at a cell: what it is made of lights up, one colour for each product. "
            "A dashed frame marks the cells that read it."
        ),
        "指向一个格子：它的来源会亮起来，每一项乘积一种颜色；虚线框是读取它的格子。",
    ),
    "about gather": (
        "The window slides over {source}; every cell of {of} is read out through the kernel.",
        "窗口在 {source} 上滑动，透过卷积核得到 {of} 的每个格子。",
    ),
    "about gather turned": (
        (
            "{source}, padded with zeros, is read through the kernel turned by 180 degrees: "
            "that is {of}."
        ),
        "{source} 补0之后，与旋转180度的卷积核做相关，得到 {of}。",
    ),
    "about gather turned dilated": (
        (
            "{source}, dilated by the stride and padded with zeros, is read through the kernel turned "
            "by 180 degrees: that is {of}."
        ),
        "{source} 按步幅插0、再补0之后，与旋转180度的卷积核做相关，得到 {of}。",
    ),
    "about gather dilated": (
        (
            "{source}, dilated by the stride and padded with zeros, is read through the kernel as it "
            "is: that is {of}."
        ),
        "{source} 按步幅插0、再补0之后，与未旋转的卷积核做相关，得到 {of}。",
    ),
    "about scatter": (
        (
            "Each cell of {source} hands its value to the cells of {of} it is connected with. "
            "Nothing is turned. The last grid is the sum so far."
        ),
        (
            "{source} 的每个格子把自己的值分发给 {of} 中与它相连的格子，"
            "什么也不用旋转。最后的网格是到此为止的和。"
        ),
    ),
    "about matrix": (
        (
            "The same map as one sparse matrix: a row for each cell of {of}, a column for each cell of "
            "{source}. One colour is one shared number."
        ),
        (
            "同一个线性映射写成一个稀疏矩阵：{of} 的每个格子一行，"
            "{source} 的每个格子一列；同色即共享的同一个数。"
        ),
    ),
    "about network": (
        (
            "The layer unrolled: of {dense} connections {left} are left, in {colours} colours; "
            "one colour is one tap of the kernel."
        ),
        (
            "把这一层展开：全连接共 {dense} 条，留下 {left} 条，{colours} 种颜色；"
            "一种颜色是卷积核的一个位置。"
        ),
    ),
    "about graph": (
        "The chain rule, edge by edge. Under each array is the gradient that arrives at it.",
        "沿着每条边的链式法则；每个数组下面是传到它的误差敏感项。",
    ),
    "about duality": (
        (
            "Forward correlation means backward convolution, and forward convolution backward "
            "correlation."
        ),
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
    "forward": ("Forward", "正向传播"),
    "backward": ("Backward", "反向传播"),
    "equation": ("Equation", "公式"),
    "input": ("input", "输入"),
    "output": ("output", "输出"),
    "inner": ("on the way", "中间量"),
    "upstream": ("upstream gradient", "传来的误差敏感项"),
    "gradient": ("gradient", "误差敏感项"),
    "kernel": ("kernel", "卷积核"),
    "stride": ("stride", "步幅"),
    "padded": ("padding", "补0"),
    "dilated": ("dilation", "空洞"),
    "groups": ("groups", "分组"),
    "output padding": ("output padding", "输出补0"),
    "turned": ("turned by 180°", "旋转180度"),
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
        "{given} numbers changed; {count} cells follow.",
        "改动了 {given} 个数，{count} 个格子随之变化。",
    ),
    "sum so far": ("sum so far", "到此为止的和"),
    "handed out": ("handed out", "分发"),
    "too large": ("Too large to draw here; look at another view.", "太大，画不下；请看别的视图。"),
    "padding": ("padding", "补0"),
    "dilation": ("zeros between, from the stride", "步幅造成的插0"),
    "remainder": ("leftover rows", "余下的行列"),
    "unread": ("read by no window", "没有窗口读到"),
    "cropped": ("cropped away", "裁掉"),
    "correlation": ("forward correlation", "前向相关"),
    "convolution": ("forward convolution", "前向卷积"),
    "choice": ("chosen among", "从中选出"),
    "help": (
        "Keys: arrows move, a digit changes a number, the bar's buttons step and play.",
        "键盘：方向键移动，按数字键修改数值，按钮可单步和播放。",
    ),
    "no script": ("This page needs JavaScript.", "此页面需要 JavaScript。"),
}


def page_words(lang: str) -> dict[str, str]:
    """Every phrase of the page in one language."""
    column = LANGUAGES.index(lang)
    return {key: pair[column] for key, pair in _WORDS.items()}
