"""The words of explanations in English and Chinese, those of the documents they grew from."""

from __future__ import annotations

from rot180.errors import ArgumentError

__all__ = ["LANGUAGES", "check_lang", "say"]

LANGUAGES = ("en", "zh")

_WORDS: dict[str, tuple[str, str]] = {
    "forward": ("forward", "正向传播"),
    "backward": ("backward", "反向传播"),
    "upstream": ("upstream gradient", "传来的误差敏感项"),
    "gradient": ("gradient", "误差敏感项"),
    "input": ("input", "输入"),
    "output": ("output", "输出"),
    "inner": ("on the way", "中间量"),
    "view scatter": (
        "scatter: each cell hands its gradient back through the plain kernel",
        "散播：每个输出把误差敏感项乘以未旋转的卷积核，分发回它看到的输入",
    ),
    "view gather": (
        "gather: full correlation with the turned kernel over the padded, dilated gradient",
        "收集：误差敏感项插0、补0之后，与旋转180度的卷积核做全卷积",
    ),
    "view gather plain": (
        "gather: full correlation with the kernel as it is (the forward pass turned it)",
        "收集：前向已旋转卷积核，误差敏感项插0、补0之后，与原卷积核做全相关",
    ),
    "view gather pool": (
        "gather: every cell adds up its share of each window that sees it",
        "收集：每个格子把看到它的各个窗口平摊下来的误差敏感项加起来",
    ),
    "view gather forward": (
        "gather: correlation over the padded input",
        "收集：在补0的输入上做相关",
    ),
    "view scatter pool": (
        "scatter: upsampling, each output hands its gradient to its window",
        "散播：上采样，每个输出把误差敏感项分给它的窗口，总和不变",
    ),
    "view scatter forward": (
        "scatter: each cell hands its value to the outputs that see it",
        "散播：每个格子把自己的值交给看到它的输出",
    ),
    "view matrix": ("matrix: patches as rows", "矩阵：每个感受野排成一行（im2col）"),
    "view network": (
        "network: connections cut, weights shared",
        "网络：全连接层去掉一些连接，再共享权值",
    ),
    "network": (
        "{sources} cells to {targets}: {dense} connections, {cut} cut, {left} in {colours} colours",
        "{sources} 到 {targets}：全连接 {dense} 条，去掉 {cut}，剩下 {left}，{colours} 种颜色",
    ),
    "view graph": ("graph: the chain rule, edge by edge", "计算图：沿着每条边的链式法则"),
    "view duality": (
        "duality: correlation and convolution change places",
        "对偶：前向相关，反向卷积；前向卷积，反向相关",
    ),
    "mode correlation": (
        "forward correlation, backward convolution",
        "前向相关，反向卷积",
    ),
    "mode convolution": (
        "forward convolution, backward correlation",
        "前向卷积，反向相关",
    ),
    "given": ("given", "给定"),
    "definition": ("its operation", "由运算定义"),
    "unread": ("nothing reads it", "没有格子读取它"),
    "local": ("local gradient", "局部梯度"),
    "chain rule": ("chain rule", "链式法则"),
    "put in": ("local gradients put in", "代入局部梯度"),
    "same": ("the same, as the sweep reads it", "同一式子，按反向传播的读法"),
    "not the same": ("the sweep reads something ELSE", "反向传播的读法与此不同"),
    "swept": ("as the sweep reads it", "按反向传播的读法"),
    "numbers": ("numbers put in", "代入数值"),
    "engine": ("the engine's value: equal", "引擎的值：相等"),
    "differs": ("the engine's value: it DIFFERS", "引擎的值：不相等"),
    "proof": (
        "{title}: {count} entries, the rule is the derivative in each",
        "{title}：{count} 个元素，每一个的法则都等于按定义求得的导数",
    ),
    "no proof": (
        "{title}: NOT proved for {wrong} of {count} entries",
        "{title}：{count} 个元素中，{wrong} 未能证明",
    ),
    "layer": ("layer", "层"),
    "shape": ("shape", "形状"),
    "more": ("and {count} more cells", "以及另外 {count} 个格子"),
    "weight": ("kernel", "卷积核"),
}


def check_lang(lang: str) -> str:
    """The language, or an ArgumentError that names those there are."""
    if lang not in LANGUAGES:
        raise ArgumentError("explain: lang", expected='"en" or "zh"', got=repr(lang))
    return lang


def say(key: str, lang: str, **parts: object) -> str:
    """A phrase in one of the languages, with the parts put in."""
    return _WORDS[key][LANGUAGES.index(lang)].format(**parts)
