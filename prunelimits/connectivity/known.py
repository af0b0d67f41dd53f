"""Which modules and functions the tracer knows, by what they do to paths."""

from __future__ import annotations

from torch import nn

# Applied to each element by itself. Module classes are called as they are: none holds parameters
# or behaves differently in training.
ACTIVATIONS = (
    nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.ELU, nn.CELU, nn.SELU, nn.GELU, nn.SiLU, nn.Mish,
    nn.Sigmoid, nn.LogSigmoid, nn.Tanh, nn.Hardtanh, nn.Hardsigmoid, nn.Hardswish, nn.Hardshrink,
    nn.Softplus, nn.Softshrink, nn.Softsign, nn.Tanhshrink, nn.Threshold,
)  # fmt: skip
ACTIVATION_NAMES = {
    "relu", "relu_", "relu6", "leaky_relu", "leaky_relu_", "elu", "elu_", "celu", "selu", "gelu",
    "silu", "mish", "sigmoid", "sigmoid_", "logsigmoid", "tanh", "tanh_", "hardtanh", "hardsigmoid",
    "hardswish", "hardshrink", "softplus", "softshrink", "softsign", "tanhshrink", "threshold",
    "abs", "neg", "exp", "clamp", "square", "sin", "cos",
}  # fmt: skip
IDENTITIES = (nn.Identity, nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout)
IDENTITY_NAMES = {
    "dropout", "dropout1d", "dropout2d", "dropout3d", "alpha_dropout", "contiguous", "clone",
    "detach", "float", "double", "to",
}  # fmt: skip
# Each output element is one input element, or a zero.
MOVES = (nn.Flatten, nn.Unflatten, nn.PixelShuffle, nn.PixelUnshuffle, nn.ChannelShuffle,
          nn.ZeroPad1d, nn.ZeroPad2d, nn.ZeroPad3d)  # fmt: skip
MOVE_NAMES = {
    "flatten", "unflatten", "view", "reshape", "permute", "transpose", "movedim", "squeeze",
    "unsqueeze", "getitem", "cat", "concat", "concatenate", "stack", "chunk", "split", "unbind",
    "pixel_shuffle", "channel_shuffle", "flip", "expand", "repeat",
}  # fmt: skip
POOLS = (nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d, nn.AvgPool1d, nn.AvgPool2d, nn.AvgPool3d)
POOL_NAMES = {f"{kind}_pool{axes}d" for kind in ("max", "avg") for axes in (1, 2, 3)}
ADAPTIVE_POOLS = (
    nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d, nn.AdaptiveAvgPool3d,
    nn.AdaptiveMaxPool1d, nn.AdaptiveMaxPool2d, nn.AdaptiveMaxPool3d,
)  # fmt: skip
ADAPTIVE_NAMES = {f"adaptive_{kind}_pool{n}d" for kind in ("max", "avg") for n in (1, 2, 3)}
SOFTMAX_NAMES = {"softmax", "log_softmax", "softmin"}
SHAPE_NAMES = {"size", "dim", "numel", "getattr"}
SCALAR_OPERATORS = {
    "add", "sub", "mul", "truediv", "div", "pow", "iadd", "isub", "imul", "itruediv", "neg", "pos",
    "add_", "sub_", "mul_", "div_", "rsub",
}  # fmt: skip
POOL_ARGUMENTS = {
    "max": ("kernel_size", "stride", "padding", "dilation"),
    "avg": ("kernel_size", "stride", "padding"),
}
