import inspect

import numpy as np
import pytest

import rot180.nn.functional as F
from rot180 import nn
from rot180.core import Tensor, manual_seed, tensor
from rot180.errors import ArgumentError, Rot180Error, ShapeError

# A call that makes the layer, in both libraries; shapes of its inputs ("i5" for indices below 5).
SAME_AS_PYTORCH = [
    ("Conv1d(4, 6, 3, stride=2, padding=1, dilation=2, groups=2)", [(2, 4, 11)]),
    ("Conv2d(4, 6, (3, 2), stride=(2, 1), padding=(1, 0), bias=False)", [(2, 4, 7, 6)]),
    ("Conv2d(2, 3, 4, stride=3, padding=2)", [(2, 2, 5, 5)]),
    ("Conv2d(2, 3, 3, padding='same')", [(2, 2, 5, 6)]),
    ("Conv2d(2, 3, 4, padding='same', padding_mode='reflect')", [(2, 2, 5, 6)]),
    ("Conv2d(2, 3, 3, padding=(2, 1), padding_mode='circular', stride=2)", [(2, 2, 5, 6)]),
    ("Conv1d(2, 3, 3, padding=2, padding_mode='replicate')", [(2, 2, 5)]),
    ("Conv2d(2, 3, 3)", [(2, 5, 6)]),
    ("Conv3d(2, 3, (2, 3, 1), padding=1)", [(2, 2, 4, 5, 3)]),
    ("ConvTranspose1d(4, 6, 3, 2, 1, 1, 2)", [(2, 4, 5)]),
    ("ConvTranspose2d(3, 2, (3, 2), stride=2, padding=1, bias=False)", [(2, 3, 4, 5)]),
    ("ConvTranspose3d(2, 2, 2, dilation=2)", [(2, 2, 2, 3, 2)]),
    ("MaxPool1d(3, 2, 1, ceil_mode=True)", [(2, 3, 8)]),
    ("MaxPool2d(3, stride=2, dilation=2)", [(2, 3, 8, 9)]),
    ("MaxPool2d(2, return_indices=True)", [(2, 3, 8, 9)]),
    ("MaxPool3d(2)", [(2, 2, 4, 5, 4)]),
    ("AvgPool1d(3, 2, 1, True, False)", [(2, 3, 8)]),
    ("AvgPool2d(3, stride=2, padding=1, ceil_mode=True)", [(2, 3, 8, 9)]),
    ("AvgPool2d(2, divisor_override=3)", [(2, 3, 8, 9)]),
    ("AvgPool3d(2)", [(2, 2, 4, 5, 4)]),
    ("AdaptiveAvgPool1d(3)", [(2, 2, 7)]),
    ("AdaptiveAvgPool2d((3, None))", [(2, 2, 7, 5)]),
    ("AdaptiveAvgPool3d(2)", [(2, 2, 4, 5, 3)]),
    ("AdaptiveMaxPool1d(3)", [(2, 2, 7)]),
    ("AdaptiveMaxPool2d(3, return_indices=True)", [(2, 2, 7, 5)]),
    ("AdaptiveMaxPool3d(2)", [(2, 2, 4, 5, 3)]),
    ("MaxUnpool1d(2)", [(2, 3, 4), "i8"]),
    ("MaxUnpool2d(2)", [(2, 3, 2, 2), "i16"]),
    ("MaxUnpool3d(2)", [(1, 2, 1, 2, 1), "i16"]),
    ("Linear(5, 3)", [(2, 4, 5)]),
    ("Linear(5, 3, bias=False)", [(5,)]),
    ("Bilinear(4, 3, 2)", [(5, 4), (5, 3)]),
    ("Embedding(6, 3)", ["i6"]),
    ("BatchNorm1d(3)", [(4, 3)]),
    ("BatchNorm1d(3, momentum=None)", [(4, 3, 5)]),
    ("BatchNorm2d(3, eps=0.1, momentum=0.3)", [(2, 3, 4, 5)]),
    ("BatchNorm2d(3, affine=False)", [(2, 3, 4, 5)]),
    ("BatchNorm2d(3, track_running_stats=False)", [(2, 3, 4, 5)]),
    ("BatchNorm3d(2)", [(2, 2, 3, 4, 2)]),
    ("InstanceNorm1d(3, affine=True)", [(2, 3, 5)]),
    ("InstanceNorm2d(3, affine=True, track_running_stats=True)", [(2, 3, 4, 5)]),
    ("InstanceNorm2d(3)", [(3, 4, 5)]),
    ("InstanceNorm3d(2)", [(2, 2, 3, 4, 2)]),
    ("LayerNorm(5)", [(2, 3, 5)]),
    ("LayerNorm((3, 5), bias=False)", [(2, 3, 5)]),
    ("LayerNorm(5, elementwise_affine=False)", [(2, 5)]),
    ("GroupNorm(2, 4)", [(2, 4, 3, 5)]),
    ("GroupNorm(1, 4, affine=False)", [(2, 4, 3)]),
    ("ReLU()", [(3, 4)]),
    ("ReLU6()", [(3, 4)]),
    ("LeakyReLU(0.2)", [(3, 4)]),
    ("ELU(0.5)", [(3, 4)]),
    ("GELU()", [(3, 4)]),
    ("GELU('tanh')", [(3, 4)]),
    ("SiLU()", [(3, 4)]),
    ("Softplus(2)", [(3, 4)]),
    ("Sigmoid()", [(3, 4)]),
    ("Tanh()", [(3, 4)]),
    ("Hardswish()", [(3, 4)]),
    ("Hardsigmoid()", [(3, 4)]),
    ("Hardtanh(-0.5, 0.7)", [(3, 4)]),
    ("Softsign()", [(3, 4)]),
    ("Softmax(dim=1)", [(3, 4, 2)]),
    ("LogSoftmax(dim=0)", [(3, 4, 2)]),
    ("Flatten()", [(2, 3, 4)]),
    ("Flatten(0, 1)", [(2, 3, 4)]),
    ("Unflatten(1, (2, 3))", [(2, 6, 4)]),
    ("Identity()", [(2, 3)]),
    ("Dropout(0.0)", [(2, 3)]),
    ("Upsample(scale_factor=2)", [(2, 2, 3, 4)]),
    ("Upsample(size=(5, 7), mode='bilinear')", [(2, 2, 3, 4)]),
    ("Upsample(scale_factor=2, mode='linear', align_corners=True)", [(2, 2, 4)]),
    ("PixelShuffle(2)", [(2, 8, 3, 2)]),
    ("PixelUnshuffle(2)", [(2, 2, 4, 6)]),
    ("ZeroPad1d(2)", [(2, 2, 3)]),
    ("ZeroPad2d((1, -1, 0, 2))", [(2, 2, 3, 4)]),
    ("ZeroPad3d(1)", [(2, 2, 3, 2, 2)]),
    ("ConstantPad1d(1, 2.5)", [(2, 2, 3)]),
    ("ConstantPad2d((1, 0, 2, 1), -1.5)", [(2, 2, 3, 4)]),
    ("ConstantPad3d(1, 0.5)", [(2, 2, 3, 2, 2)]),
    ("ReflectionPad1d((2, 1))", [(2, 2, 4)]),
    ("ReflectionPad2d((2, 1, 0, 2))", [(2, 2, 4, 5)]),
    ("ReflectionPad3d(1)", [(2, 2, 3, 2, 2)]),
    ("ReplicationPad1d((2, 1))", [(2, 2, 4)]),
    ("ReplicationPad2d(2)", [(2, 2, 4, 5)]),
    ("ReplicationPad3d(1)", [(2, 2, 3, 2, 2)]),
    ("CircularPad1d((2, 1))", [(2, 2, 4)]),
    ("CircularPad2d((2, 1, 0, 2))", [(2, 2, 4, 5)]),
    ("CircularPad3d(1)", [(2, 2, 3, 2, 2)]),
    ("Unfold((2, 3), padding=1, stride=2)", [(2, 2, 5, 6)]),
    ("Fold((4, 5), (2, 2))", [(2, 8, 12)]),
    ("CrossEntropyLoss(label_smoothing=0.1)", [(4, 5), "i5"]),
    ("CrossEntropyLoss(weight=W, ignore_index=2, reduction='sum')", [(4, 5), "i5"]),
    ("NLLLoss(weight=W)", [(4, 5), "i5"]),
    ("MSELoss()", [(4, 5), (4, 5)]),
    ("L1Loss(reduction='none')", [(4, 5), (4, 5)]),
    ("HuberLoss(delta=0.5)", [(4, 5), (4, 5)]),
    ("SmoothL1Loss(beta=0.5)", [(4, 5), (4, 5)]),
    ("BCELoss()", ["p", "p"]),
    ("BCEWithLogitsLoss(pos_weight=W)", [(4, 5), "p"]),
    ("KLDivLoss(reduction='batchmean')", [(4, 5), "p"]),
]
WEIGHT = np.array([0.5, 1.0, 2.0, 0.25, 1.5])
# Layers whose numbers PyTorch cannot give: another name or random.
OWN = {
    "GlobalAvgPool",
    "GlobalMaxPool",
    "Dropout1d",
    "Dropout2d",
    "Dropout3d",
    "L2Penalty",
}
NO_LAYERS = {"Module", "Sequential", "ModuleList", "ModuleDict"}


def draw(rng, spec, first):
    if isinstance(spec, tuple):
        return rng.standard_normal(spec)
    if spec == "p":
        return rng.uniform(0.05, 0.95, (4, 5))
    below = int(spec[1:])
    shape = (4,) if first is None or first.ndim == 2 else first.shape
    if first is not None and first.ndim > 2:  # places in a plane must differ
        planes = first.shape[0] * first.shape[1]
        places = [rng.permutation(below)[: first[0, 0].size] for _ in range(planes)]
        return np.stack(places).reshape(shape)
    return rng.integers(0, below, shape)


def make(call, library, wrap):
    return eval(call, {"__builtins__": {}}, {**vars(library), "W": wrap(WEIGHT)})


@pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
@pytest.mark.parametrize(("call", "specs"), SAME_AS_PYTORCH, ids=lambda v: v)
def test_layers_agree_with_pytorch(rng, call, specs, training):
    torch = pytest.importorskip("torch")
    ours, theirs = make(call, nn, np.asarray), make(call, torch.nn, torch.tensor)
    ours.double().train(training)
    theirs.double().train(training)
    state = {k: rng.uniform(0.5, 1.5, v.shape) for k, v in theirs.state_dict().items()}
    state = {k: v.astype(int) if "num_batches" in k else v for k, v in state.items()}
    ours.load_state_dict(state)
    theirs.load_state_dict({k: torch.tensor(v) for k, v in state.items()})

    first, inputs = None, []
    for spec in specs:
        inputs.append(draw(rng, spec, first))
        first = inputs[0]
    xs = [tensor(x, requires_grad=x.dtype.kind == "f") for x in inputs]
    ts = [torch.tensor(x, requires_grad=x.dtype.kind == "f") for x in inputs]
    for _ in range(2):  # twice, so that running statistics move on
        y, t = ours(*xs), theirs(*ts)
        if isinstance(y, tuple):
            np.testing.assert_array_equal(y[1].data, t[1].numpy())
            y, t = y[0], t[0]
        np.testing.assert_allclose(y.data, t.detach().numpy(), rtol=1e-10, atol=1e-12)
        g = rng.standard_normal(y.shape)
        if y.requires_grad:
            y.backward(g)
            t.backward(torch.tensor(g))
    # PyTorch's slope of hardsigmoid is 1/6 rounded to float32, in float64 too.
    exact = 1e-7 if call == "Hardsigmoid()" else 1e-9
    for x, other in zip(xs, ts, strict=True):
        if x.grad is not None:
            np.testing.assert_allclose(x.grad.data, other.grad.numpy(), rtol=exact, atol=1e-11)
    for name, parameter in theirs.named_parameters():
        mine = dict(ours.named_parameters())[name]
        np.testing.assert_allclose(mine.grad.data, parameter.grad.numpy(), rtol=1e-9, atol=1e-11)
    for name, value in theirs.state_dict().items():
        mine = ours.state_dict()[name].numpy()
        if "Instance" in call and name == "num_batches_tracked":
            continue  # PyTorch has the buffer, but does not count
        np.testing.assert_allclose(mine, value.numpy(), rtol=1e-10, err_msg=name)


def test_no_layer_is_forgotten():
    layers = {
        name
        for name in nn.__all__
        if inspect.isclass(getattr(nn, name)) and issubclass(getattr(nn, name), nn.Module)
    }
    compared = {call.partition("(")[0] for call, _ in SAME_AS_PYTORCH}
    assert layers - NO_LAYERS == compared | OWN


FUNCTIONS = {
    "Conv": "conv",
    "ConvTranspose": "conv_transpose",
    "MaxPool": "max_pool",
    "AvgPool": "avg_pool",
    "AdaptiveAvgPool": "adaptive_avg_pool",
    "AdaptiveMaxPool": "adaptive_max_pool",
    "MaxUnpool": "max_unpool",
    "Dropout": "dropout",
}
TWINS = {
    **{f"{layer}{n}d": f"{name}{n}d" for layer, name in FUNCTIONS.items() for n in (1, 2, 3)},
    "Dropout": "dropout",
    "BatchNorm2d": "batch_norm",
    "InstanceNorm2d": "instance_norm",
    "LayerNorm": "layer_norm",
    "GroupNorm": "group_norm",
    "LeakyReLU": "leaky_relu",
    "ELU": "elu",
    "GELU": "gelu",
    "Softplus": "softplus",
    "Hardtanh": "hardtanh",
    "Softmax": "softmax",
    "LogSoftmax": "log_softmax",
    "Upsample": "interpolate",
    "Unfold": "unfold",
    "Fold": "fold",
    "CrossEntropyLoss": "cross_entropy",
    "NLLLoss": "nll_loss",
    "MSELoss": "mse_loss",
    "L1Loss": "l1_loss",
    "HuberLoss": "huber_loss",
    "SmoothL1Loss": "smooth_l1_loss",
    "BCELoss": "binary_cross_entropy",
    "BCEWithLogitsLoss": "binary_cross_entropy_with_logits",
    "KLDivLoss": "kl_div",
}


@pytest.mark.parametrize("layer", TWINS)
def test_layer_and_function_have_the_same_defaults(layer):
    kept = inspect.signature(getattr(nn, layer)).parameters
    given = inspect.signature(getattr(F, TWINS[layer])).parameters
    shared = (kept.keys() & given.keys()) - {"weight", "bias"}
    assert shared or layer in ("LayerNorm", "GroupNorm")
    for name in shared:
        assert kept[name].default == given[name].default, name


@pytest.mark.parametrize("layer", sorted({call.partition("(")[0] for call, _ in SAME_AS_PYTORCH}))
def test_argument_order_and_defaults_are_pytorchs(layer):
    torch = pytest.importorskip("torch")
    left_out = {"device", "dtype", "inplace", "size_average", "reduce", "args", "kwargs"}
    left_out |= {"max_norm", "norm_type", "scale_grad_by_freq", "sparse", "_weight", "_freeze"}
    left_out |= {"min_value", "max_value"}
    if layer in ("Softmax", "LogSoftmax"):
        pytest.skip("axis is NumPy's word; dim is accepted too")
    theirs = [
        p
        for p in inspect.signature(getattr(torch.nn, layer)).parameters.values()
        if p.name not in left_out
    ]
    ours = [
        p
        for p in inspect.signature(getattr(nn, layer)).parameters.values()
        if p.kind is not p.KEYWORD_ONLY
    ]
    # Newer releases append arguments, and AvgPool1d has fewer there.
    pairs = list(zip(ours, theirs, strict=False))
    assert pairs or not ours
    assert [mine.name for mine, _ in pairs] == [other.name for _, other in pairs]
    for mine, other in pairs:
        if mine.name == "align_corners":  # None and False mean the same there
            continue
        assert mine.default == other.default, mine.name


def test_a_convolution_turns_the_kernel(rng):
    x = rng.standard_normal((2, 3, 6, 5))
    plain, turned = nn.Conv2d(3, 2, (3, 2)).double(), nn.Conv2d(3, 2, (3, 2), mode="convolution")
    turned.double().load_state_dict(
        {"weight": plain.weight.data[:, :, ::-1, ::-1], "bias": plain.bias.data}
    )
    np.testing.assert_allclose(plain(x).data, turned(x).data, rtol=1e-12)


@pytest.mark.parametrize("padding", ["valid", "full", "same_upper", "same_lower", ((1, 2), (0, 3))])
@pytest.mark.parametrize("padding_mode", ["zeros", "replicate"])
def test_all_paddings_work_in_layers(rng, padding, padding_mode):
    x = rng.standard_normal((2, 2, 6, 5))
    layer = nn.Conv2d(2, 3, (3, 2), stride=2, padding=padding, padding_mode=padding_mode).double()
    if padding_mode == "zeros":
        expected = F.conv2d(x, layer.weight, layer.bias, stride=2, padding=padding)
        np.testing.assert_array_equal(layer(x).data, expected.data)
    else:
        like = nn.Conv2d(2, 3, (3, 2), stride=2, padding=padding).double()
        assert layer(x).shape == like(x).shape


def test_the_output_size_of_a_transposed_convolution_may_be_chosen(rng):
    layer = nn.ConvTranspose2d(1, 1, 3, stride=2, padding=1)
    x = rng.standard_normal((2, 1, 4, 4)).astype(np.float32)
    assert layer(x).shape == (2, 1, 7, 7)
    assert layer(x, output_size=(8, 7)).shape == (2, 1, 8, 7)
    with pytest.raises(ShapeError, match="expected a size from 7 to 8, got 9"):
        layer(x, output_size=(9, 7))


def test_evaluation_of_batch_norm_treats_statistics_as_constants(rng):
    layer = nn.BatchNorm2d(3).double()
    x = rng.standard_normal((4, 3, 2, 2))
    layer(x)
    layer.eval()
    before = {k: v.numpy().copy() for k, v in layer.state_dict().items()}
    t = tensor(x, requires_grad=True)
    g = rng.standard_normal(x.shape)
    layer(t).backward(g)
    scale = layer.weight.data / np.sqrt(layer.running_var.data + layer.eps)
    np.testing.assert_allclose(t.grad.data, g * scale[:, None, None], rtol=1e-12)
    for name, value in layer.state_dict().items():
        np.testing.assert_array_equal(value.numpy(), before[name])


def test_running_statistics_are_written_in_place(rng):
    layer = nn.BatchNorm1d(3, momentum=None).double()
    mean, memory = layer.running_mean, layer.running_mean.data
    batches = rng.standard_normal((5, 8, 3))
    for batch in batches:
        layer(batch)
    assert layer.running_mean is mean
    assert mean.data is memory
    assert layer.num_batches_tracked.item() == 5
    np.testing.assert_allclose(memory, batches.mean(axis=(0, 1)), rtol=1e-12)
    np.testing.assert_allclose(layer.running_var.data, batches.var(axis=1, ddof=1).mean(0))


@pytest.mark.parametrize("kind", [nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d])
def test_dropout_uses_its_generator_and_rests_in_evaluation(kind):
    axes = {"1": 1, "2": 2, "3": 3}.get(kind.__name__[-2], 2)
    x = np.ones((8, 16, *(4,) * axes), np.float32)
    y = kind(0.4, generator=np.random.default_rng(3))(x).data
    again = kind(0.4, generator=np.random.default_rng(3))(x).data
    np.testing.assert_array_equal(y, again)
    np.testing.assert_allclose(np.unique(y), [0, 1 / 0.6], rtol=1e-6)
    channels = y.reshape(8, 16, -1)
    whole = (channels == channels[..., :1]).all()
    assert whole == (kind is not nn.Dropout)
    np.testing.assert_array_equal(kind(0.4).eval()(x).data, x)
    assert not kind(1.0)(x).data.any()


def test_global_pools(rng):
    x = rng.standard_normal((2, 3, 4, 5))
    np.testing.assert_allclose(nn.GlobalAvgPool()(x).data, x.mean((2, 3), keepdims=True))
    np.testing.assert_array_equal(nn.GlobalMaxPool()(x).data, x.max((2, 3), keepdims=True))


def test_the_penalty_has_the_gradient_two_lambda_w(rng):
    model = nn.Sequential(nn.Conv2d(2, 3, 3), nn.Linear(4, 2)).double()
    loss = nn.L2Penalty(0.25)(model)
    weights = [model[0].weight, model[1].weight]
    np.testing.assert_allclose(loss.item(), 0.25 * sum((w.data**2).sum() for w in weights))
    loss.backward()
    for w in weights:
        np.testing.assert_allclose(w.grad.data, 2 * 0.25 * w.data)
    assert model[0].bias.grad is None
    everything = nn.L2Penalty(0.25, biases=True)(model)
    total = sum((p.data**2).sum() for p in model.parameters())
    np.testing.assert_allclose(everything.item(), 0.25 * total)
    np.testing.assert_allclose(nn.L2Penalty(0.25)(weights).item(), loss.item())


def test_a_padding_index_stays_zero_and_learns_nothing(rng):
    layer = nn.Embedding(5, 3, padding_idx=-1)
    assert not layer.weight.data[4].any()
    y = layer(tensor(np.array([4, 1, 4])))
    y.backward(rng.standard_normal(y.shape).astype(np.float32))
    assert not layer.weight.grad.data[4].any()
    assert layer.weight.grad.data[1].any()


def test_seeds_decide_the_first_values():
    manual_seed(5)
    first = nn.Conv2d(2, 3, 3).weight.data
    manual_seed(5)
    np.testing.assert_array_equal(nn.Conv2d(2, 3, 3).weight.data, first)
    made = [nn.Linear(3, 2, generator=np.random.default_rng(1)).weight.data for _ in range(2)]
    np.testing.assert_array_equal(*made)
    assert not nn.Linear(3, 2, init="he").bias.data.any()


BAD = [
    ("Conv2d(0, 3, 3)", "Conv2d: in_channels; expected an integer >= 1, got 0"),
    ("Conv2d(3, -1, 3)", "Conv2d: out_channels; expected an integer >= 1, got -1"),
    ("Conv2d(3, 2.5, 3)", "out_channels; expected an integer"),
    ("Conv2d(4, 6, 3, groups=3)", "in_channels 4 mod 3 = 1, out_channels 6 mod 3 = 0"),
    ("Conv2d(4, 6, 3, groups=0)", "Conv2d: groups out of range"),
    ("Conv2d(4, 6, 0)", "Conv2d: kernel_size out of range"),
    ("Conv2d(4, 6, (3, 3, 3))", "Conv2d: kernel_size has the wrong length"),
    ("Conv2d(4, 6, 3, stride=0)", "Conv2d: stride out of range"),
    ("Conv2d(4, 6, 3, dilation=0)", "dilation=1|dilation >= 1"),
    ("Conv2d(4, 6, 3, stride=2, padding='same')", "'same' is ambiguous with stride"),
    ("Conv2d(4, 6, 3, padding='some')", "unknown padding word"),
    ("Conv2d(4, 6, 3, padding_mode='mirror')", "zeros or reflect or replicate or circular"),
    ("Conv2d(4, 6, 3, mode='cross')", "Conv2d: mode; expected correlation or convolution"),
    ("Conv2d(4, 6, 3, init='best')", "init_by_name; expected default"),
    ("ConvTranspose2d(4, 6, 3, stride=2, output_padding=2)", "expected 0 <= output_padding < 2"),
    ("ConvTranspose2d(4, 6, 3, padding_mode='reflect')", "padding_mode; expected zeros"),
    ("MaxPool2d(2, padding=2)", "padding before axis 0 out of range"),
    ("MaxPool2d(0)", "kernel_size out of range"),
    ("MaxPool2d(2, ties='last')", "ties; expected first or all or split"),
    ("AvgPool2d(3, padding=2)", "0 <= padding <= 1"),
    ("AvgPool2d(3, divisor_override=0)", "divisor_override"),
    ("Linear(0, 3)", "Linear: in_features"),
    ("Embedding(3, 2, padding_idx=3)", "Embedding: padding_idx; expected a row, -3 to 2"),
    ("Unflatten(1, (-1, -1))", "unflattened_size"),
    ("BatchNorm2d(0)", "BatchNorm2d: num_features"),
    ("GroupNorm(3, 4)", "4 mod 3 = 1"),
    ("LayerNorm((3, 0))", "normalized_shape"),
    ("Dropout(1.5)", "Dropout: p; expected 0 to 1, got 1.5"),
    ("Dropout2d(-0.1)", "Dropout2d: p"),
    ("GELU('fast')", "GELU: approximate"),
    ("Hardtanh(1.0, 0.0)", "min_val < max_val"),
    ("Softmax(1, dim=1)", "axis= or dim=, not both"),
    ("Upsample()", "exactly one of size and scale_factor"),
    ("Upsample(size=3, mode='cubic')", "Upsample: mode"),
    ("PixelShuffle(0)", "upscale_factor"),
    ("ZeroPad2d((1, 2))", "one int or 4"),
    ("MSELoss('average')", "MSELoss: reduction; expected mean or sum or none"),
    ("CrossEntropyLoss(label_smoothing=2.0)", "CrossEntropyLoss: label_smoothing"),
    ("HuberLoss(delta=0.0)", "HuberLoss: delta"),
    ("SmoothL1Loss(beta=-1.0)", "SmoothL1Loss: beta"),
    ("L2Penalty(-1.0)", "L2Penalty: strength"),
]


@pytest.mark.parametrize(("call", "message"), BAD, ids=lambda v: v)
def test_bad_arguments_name_the_rule(call, message):
    with pytest.raises(ArgumentError, match=message.replace("(", r"\(")) as caught:
        make(call, nn, np.asarray)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (nn.BatchNorm2d(3), (2, 3, 4)),
        (nn.BatchNorm2d(3), (2, 4, 4, 4)),
        (nn.BatchNorm1d(3), (1, 3)),
        (nn.InstanceNorm2d(3), (2, 3)),
        (nn.Conv2d(3, 2, 3), (2, 4, 5, 5)),
        (nn.Conv2d(3, 2, 3), (2, 3, 2, 5)),
        (nn.Conv2d(3, 2, 3, padding=1, padding_mode="reflect"), (3,)),
        (nn.Linear(3, 2), (2, 4)),
    ],
    ids=lambda v: str(v),
)
def test_inputs_that_do_not_fit_are_told(layer, shape):
    with pytest.raises(Rot180Error) as caught:
        layer(np.zeros(shape, np.float32))
    assert "\n" not in str(caught.value)


def test_an_empty_batch_passes():
    row = nn.Sequential(
        nn.Conv2d(1, 2, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(18, 4)
    )
    y = row(np.zeros((0, 1, 8, 8), np.float32))
    assert y.shape == (0, 4)
    y.backward(Tensor(np.zeros((0, 4), np.float32)))
    assert not row[0].weight.grad.data.any()
