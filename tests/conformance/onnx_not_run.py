"""Which of ONNX's cases are not run, and why. `*` and `?` stand for any letters."""

from __future__ import annotations

__all__ = ["NOT_RUN", "OPERATORS_NOT_MAPPED", "TYPES"]

TYPES = frozenset(
    {"bool", "float32", "float64"} | {f"{u}int{n}" for u in ("", "u") for n in (8, 16, 32, 64)}
)
"""The data types of this library; cases that hold another are not run."""

NOT_RUN: dict[str, str] = {}

OPERATORS_NOT_MAPPED: dict[str, str] = {
    "recurrent networks and attention are outside the library": (
        "Attention CausalConvWithState FlexAttention GRU LSTM LinearAttention RNN RotaryEmbedding "
        "TensorScatter SwiGLU"
    ),
    "quantised arithmetic is outside the library": (
        "ConvInteger DequantizeLinear DynamicQuantizeLinear MatMulInteger QLinearConv "
        "QLinearMatMul QuantizeLinear"
    ),
    "control flow, sequences and optionals are Python's": (
        "If Loop OptionalGetElement OptionalHasElement Scan SequenceInsert SequenceMap "
        "SplitToSequence"
    ),
    "strings, trees, labels and files are no tensors": (
        "ArrayFeatureExtractor Binarizer ImageDecoder LabelEncoder RegexFullMatch StringConcat "
        "StringNormalizer StringSplit TfIdfVectorizer TreeEnsemble"
    ),
    "no such function here: signal processing": (
        "BlackmanWindow DFT HammingWindow HannWindow MelWeightMatrix STFT"
    ),
    "no such function here: geometry of pictures": (
        "AffineGrid CenterCropPad DeformConv GridSample NonMaxSuppression RoiAlign"
    ),
    "no such function here: inverse and hyperbolic functions": (
        "Acos Acosh Asin Asinh Atan Atanh Cosh Sinh Tan"
    ),
    "no such function here: bits, logic and whole numbers; NumPy has them, without gradients": (
        "And BitCast BitShift BitwiseAnd BitwiseNot BitwiseOr BitwiseXor Ceil IsInf IsNaN Mod Not "
        "Or Round Xor"
    ),
    "no such function here: sorting, searching, scattering": (
        "Compress CumProd CumSum Hardmax NonZero ReverseSequence Scatter ScatterElements ScatterND "
        "TopK Trilu Unique"
    ),
    "no such function here: linear algebra beyond products": "Det Einsum",
    "no such function here: other norms and shrinkages": (
        "LRN LpNormalization MeanVarianceNormalization RMSNormalization Shrink"
    ),
    "makes an array from numbers, as NumPy does": (
        "Constant ConstantOfShape EyeLike Range Shape Size"
    ),
    "between types: x.astype does it; most cases are about types that NumPy lacks": "Cast CastLike",
    "another random generator": "Bernoulli",
    "optimisers are held to PyTorch's, in the tests of training": "Adagrad Adam Momentum",
}
"""Operators that have one-node cases and no counterpart, by reason."""
