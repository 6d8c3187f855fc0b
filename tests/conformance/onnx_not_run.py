"""Which of ONNX's cases are not run, and why. `*` and `?` stand for any letters."""

from __future__ import annotations

__all__ = ["NOT_RUN", "OPERATORS_NOT_MAPPED", "TYPES"]

TYPES = frozenset(
    {"bool", "float32", "float64"} | {f"{u}int{n}" for u in ("", "u") for n in (8, 16, 32, 64)}
)
"""The data types of this library; cases that hold another are not run."""

NOT_RUN: dict[str, str] = {
    "test_arg???_*_select_last_index": "of equal cells the first is the answer here",
    "test_averagepool_*_dilations*": "mean pools have no dilation, as in PyTorch",
    "test_lppool_2d_dilations": "mean pools have no dilation, as in PyTorch",
    "test_maxpool_2d_uint8": "max pools are for floating point here",
    "test_maxpool_with_argmax_2d_precomputed_strides": "indices that run down the columns first",
    "test_training_dropout": "random: drawn by another generator",
    "test_training_dropout_mask": "random: drawn by another generator",
    "test_training_dropout_default*": "random: drawn by another generator",
    "test_div_*int*": "integers divide to floating point here, as in NumPy and PyTorch",
    "test_pow_types_int??_float32": "an integer to a power of a float is a float here",
    "test_onehot_out_of_range_indices": "a class out of range is an error here, not a row of zeros",
    "test_reduce_max_empty_set*": "no cells have no maximum: an error here, as in NumPy",
    "test_reduce_min_empty_set": "no cells have no minimum: an error here, as in NumPy",
    "test_resize_*_cubic*": "no cubic interpolation",
    "test_resize_*_antialias": "no antialiasing",
    "test_resize_tf_crop_and_resize*": "no cropping while resizing: slice first",
    "test_resize_*_half_pixel_symmetric": "linear goes by cell centres or corners only",
    "test_resize_downsample_sizes_linear_pytorch_half_pixel": (
        "PyTorch itself no longer puts a single output cell at coordinate 0"
    ),
    "test_resize_downsample_scales_linear_align_corners": (
        "by corners the scale follows from the whole sizes, as in PyTorch"
    ),
    "test_resize_*_not_larger": "sizes are taken as they are, without an aspect ratio to keep",
    "test_resize_*_not_smaller": "sizes are taken as they are, without an aspect ratio to keep",
    "test_resize_downsample_*s_nearest": "nearest is the floor of i·in/out, no other rounding",
    "test_resize_upsample_sizes_nearest_*_align_corners": "nearest is the floor of i·in/out",
    "test_resize_upsample_sizes_nearest_*_asymmetric": "nearest is the floor of i·in/out",
    "test_resize_upsample_sizes_nearest_*_half_pixel": "nearest is the floor of i·in/out",
}

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
