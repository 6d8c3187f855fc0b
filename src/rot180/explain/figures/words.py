"""The words of figures in English and Chinese; the page says the same ones."""

from __future__ import annotations

from rot180.explain.words import LANGUAGES

__all__ = ["WORDS", "say"]

WORDS: dict[str, tuple[str, str]] = {
    "forward": ("Forward", "正向传播"),
    "backward": ("Backward", "反向传播"),
    "input": ("input", "输入"),
    "output": ("output", "输出"),
    "inner": ("on the way", "中间量"),
    "upstream": ("upstream gradient", "传来的误差敏感项"),
    "gradient": ("gradient", "误差敏感项"),
    "kernel": ("kernel", "卷积核"),
    "turned": ("turned by 180°", "旋转180度"),
    "stride": ("stride", "步幅"),
    "padded": ("padding", "补0"),
    "dilated": ("dilation", "空洞"),
    "groups": ("groups", "分组"),
    "output padding": ("output padding", "输出补0"),
    "padding": ("padding", "补0"),
    "dilation": ("zeros between, from the stride", "步幅造成的插0"),
    "remainder": ("leftover rows", "余下的行列"),
    "unread": ("read by no window", "没有窗口读到"),
    "cropped": ("cropped away", "裁掉"),
    "correlation": ("forward correlation", "前向相关"),
    "convolution": ("forward convolution", "前向卷积"),
    "handed out by": ("handed out by", "分发自"),
    "sum so far": ("sum so far", "到此为止的和"),
    "sum": ("the sum", "总和"),
}


def say(key: str, lang: str) -> str:
    """A word in one of the languages.

    >>> say("turned", "zh")
    '旋转180度'
    """
    return WORDS[key][LANGUAGES.index(lang)]
