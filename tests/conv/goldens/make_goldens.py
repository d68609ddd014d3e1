#!/usr/bin/env python3
"""Writes the goldens of both convolutions from PyTorch (made with Debian 12's python3-torch, 1.13).

    make_goldens.py FOLDER

  conv_transpose3d.txt   one case per line, key=value; what the layer and its input are, and where its values lie in
  conv_transpose3d.bin   little-endian values in the case's dtype. Weight, bias and input are drawn, in this order, from the
                         linear congruential generator below, seeded with `seed`; of the output every `step`-th element is kept.
  conv3d.txt, conv3d.bin the same of the convolution; padding may be a word
  conv3d_extra_repr.txt  parameters, a tab, and what PyTorch prints of them
  extra_repr.txt         parameters, a tab, and what PyTorch prints of them
  output_padding.txt     parameters, an input extent and an output_size, a tab, and the output_padding or "refused"

tests/support/goldens.hpp reads them. The same PyTorch writes the same bytes.
"""

import itertools
import pathlib
import sys

import numpy as np
import torch

MOST_VALUES = 2800  # per case; enough for all of most outputs. Larger outputs keep every step-th, a prime
STEPS = (1, 3, 7, 13, 29, 61)


class Lcg:
    """Knuth's MMIX generator; values are multiples of 2^-23 in [-1, 1), exact in float32."""

    def __init__(self, seed):
        self.state = seed

    def symmetric(self, shape):
        values = np.empty(int(np.prod(shape)))
        for i in range(values.size):
            self.state = (self.state * 6364136223846793005 + 1442695040888963407) % 2**64
            values[i] = ((self.state >> 40) - 2**23) * 2.0**-23
        return values.reshape(shape)


def triple(value):
    return (value,) * 3 if isinstance(value, int) else tuple(value)


def case(name, x, w, stride=1, padding=0, output_padding=0, dilation=1, groups=1, bias=True, output_size=None):
    """x is (N, C, D, H, W), w is (C, C'/groups, kd, kh, kw)."""
    return dict(name=name, x=x, w=w, stride=triple(stride), padding=triple(padding), output_padding=triple(output_padding),
                dilation=triple(dilation), groups=groups, bias=bias, output_size=output_size)


CASES = [
    # PyTorch's own samples, with what peers get wrong.
    case("torch1_k3s2p2op1", (1, 3, 4, 4, 4), (3, 3, 3, 3, 3), stride=2, padding=2, output_padding=1),
    case("torch2_groups_op_reaches_stride", (2, 2, 4, 4, 4), (2, 2, 4, 5, 6), stride=(3, 2, 1), padding=(1, 2, 3),
         output_padding=(2, 3, 1), groups=2, dilation=4),
    case("torch3_dilated", (1, 1, 4, 5, 2), (1, 1, 4, 3, 1), stride=2, padding=1, output_padding=1, dilation=(2, 3, 2),
         bias=False),
    case("torch4_k345", (1, 1, 4, 3, 4), (1, 2, 3, 4, 5), stride=2, padding=1, output_padding=1, bias=False),
    case("torch5_plain", (1, 4, 5, 5, 5), (4, 8, 3, 3, 3), bias=False),
    case("k16s16p7_output_size", (1, 1, 2, 1, 3), (1, 2, 16, 16, 16), stride=16, padding=7, output_size=(20, 9, 49)),
    # semantics.md: x(1,64,8,128,172) -> 128, k5 s2 p2 op1, with fewer channels and a smaller plane.
    case("k5s2p2op1_reduced", (1, 8, 4, 6, 9), (8, 6, 5, 5, 5), stride=2, padding=2, output_padding=1),
    # Layers networks use.
    case("k2s2", (2, 6, 3, 4, 5), (6, 4, 2, 2, 2), stride=2),
    case("k3s1p1", (1, 7, 5, 4, 6), (7, 5, 3, 3, 3), padding=1),
    case("k3s2p1op1", (2, 5, 4, 3, 5), (5, 3, 3, 3, 3), stride=2, padding=1, output_padding=1),
    case("k4s2p1", (2, 9, 3, 4, 5), (9, 3, 4, 4, 4), stride=2, padding=1),
    case("k4s4", (1, 3, 2, 3, 2), (3, 2, 4, 4, 4), stride=4),
    case("k6s3p2op1", (1, 1, 3, 4, 5), (1, 1, 6, 6, 6), stride=3, padding=2, output_padding=1),
    case("k9s3p3", (1, 3, 3, 2, 4), (3, 1, 9, 9, 9), stride=3, padding=3),
    case("k122s122", (1, 17, 4, 3, 5), (17, 5, 1, 2, 2), stride=(1, 2, 2)),
    case("k344s122p1", (1, 6, 3, 4, 5), (6, 4, 3, 4, 4), stride=(1, 2, 2), padding=1, bias=False),
    case("depthwise_k4s2p1", (2, 5, 3, 4, 5), (5, 1, 4, 4, 4), stride=2, padding=1, groups=5),
    case("depthwise_k7p3", (1, 3, 4, 5, 6), (3, 1, 7, 7, 7), padding=3, groups=3),
    case("groups3_2_to_4", (2, 6, 3, 4, 3), (6, 4, 3, 2, 3), stride=(2, 2, 1), groups=3),
    case("k1s1", (3, 4, 2, 3, 5), (4, 6, 1, 1, 1)),
    # Corners: phases without taps, padding past the kernel's reach, dilation sharing factors with the stride.
    case("stride_beyond_kernel", (1, 3, 3, 4, 3), (3, 2, 1, 2, 3), stride=(3, 4, 5), output_padding=(2, 3, 4)),
    case("padding_beyond_kernel", (1, 2, 6, 8, 9), (2, 3, 3, 3, 3), stride=2, padding=(4, 5, 6)),
    case("dilation_shares_factor", (1, 2, 3, 4, 2), (2, 3, 3, 2, 4), stride=(4, 6, 6), dilation=(6, 4, 9)),
    case("one_output_voxel", (2, 3, 3, 3, 5), (3, 4, 3, 3, 3), padding=(2, 2, 3)),
    case("output_size_minimum", (1, 2, 3, 4, 5), (2, 3, 3, 3, 3), stride=2, padding=1, output_size=(5, 7, 9)),
    case("output_size_full_rank", (2, 2, 3, 4, 5), (2, 3, 3, 4, 5), stride=(2, 3, 4), output_size=(2, 3, 8, 15, 24)),
]


def join(numbers):
    return ",".join(str(number) for number in numbers)


def forward(case_, dtype, seed, batched):
    """PyTorch's output; the unbatched input is the batched one's first volume."""
    draw = Lcg(seed)
    out_channels = case_["w"][1] * case_["groups"]
    tensor = lambda shape: torch.tensor(draw.symmetric(shape), dtype=dtype)
    layer = torch.nn.ConvTranspose3d(case_["x"][1], out_channels, case_["w"][2:], case_["stride"], case_["padding"],
                                     case_["output_padding"], case_["groups"], case_["bias"], case_["dilation"], dtype=dtype)
    with torch.no_grad():
        layer.weight.copy_(tensor(case_["w"]))
        if case_["bias"]:
            layer.bias.copy_(tensor((out_channels,)))
        x = tensor(case_["x"])
        size = case_["output_size"]
        if size and not batched and len(size) == 5:
            size = size[1:]
        return layer(x if batched else x[0], output_size=list(size) if size else None), size


def conv_transpose3d(folder):
    lines, values = [], bytearray()
    for seed, case_ in enumerate(CASES, start=1):
        for dtype, batched in itertools.product((torch.float32, torch.float64), (True, False)):
            y, size = forward(case_, dtype, seed, batched)
            step = next(step for step in STEPS if y.numel() // step <= MOST_VALUES)
            kept = np.ascontiguousarray(y.numpy().ravel()[::step])
            name = case_["name"] + ("" if batched else "_unbatched") + ("_float64" if dtype == torch.float64 else "")
            x = case_["x"] if batched else case_["x"][1:]
            lines.append(f"name={name} dtype={str(dtype)[6:]} seed={seed} x={join(x)} w={join(case_['w'])} "
                         f"bias={int(case_['bias'])} stride={join(case_['stride'])} padding={join(case_['padding'])} "
                         f"output_padding={join(case_['output_padding'])} dilation={join(case_['dilation'])} "
                         f"groups={case_['groups']} output_size={join(size or ())} y={join(y.shape)} step={step} "
                         f"values={len(values)},{kept.size}")
            values += kept.astype(kept.dtype.newbyteorder("<")).tobytes()
    (folder / "conv_transpose3d.txt").write_text("\n".join(lines) + "\n")
    (folder / "conv_transpose3d.bin").write_bytes(values)


def convolution(name, x, w, stride=1, padding=0, dilation=1, groups=1, bias=True, padding_mode="zeros"):
    """x is (N, C, D, H, W), w is (C', C/groups, kd, kh, kw)."""
    padding = padding if isinstance(padding, str) else triple(padding)
    return dict(name=name, x=x, w=w, stride=triple(stride), padding=padding, dilation=triple(dilation), groups=groups,
                bias=bias, padding_mode=padding_mode)


CONVOLUTIONS = [
    convolution("k3s1p1", (2, 5, 4, 5, 6), (7, 5, 3, 3, 3), padding=1),
    convolution("k3s2p1", (1, 6, 7, 8, 9), (5, 6, 3, 3, 3), stride=2, padding=1),
    convolution("k2s2", (2, 3, 5, 6, 7), (4, 3, 2, 2, 2), stride=2, bias=False),
    convolution("k1s2", (1, 9, 5, 6, 7), (17, 9, 1, 1, 1), stride=2),
    convolution("k4s2p1", (1, 3, 6, 7, 8), (6, 3, 4, 4, 4), stride=2, padding=1),
    convolution("k4s4_patches", (1, 1, 8, 9, 12), (20, 1, 4, 4, 4), stride=4),
    convolution("k345s123p012", (1, 4, 6, 7, 9), (4, 2, 3, 4, 5), stride=(1, 2, 3), padding=(0, 1, 2), groups=2),
    convolution("depthwise_k7p3", (1, 5, 6, 7, 8), (5, 1, 7, 7, 7), padding=3, groups=5),
    convolution("depthwise_k3s2", (2, 6, 5, 6, 7), (6, 1, 3, 3, 3), stride=2, padding=1, groups=6),
    convolution("dilated_d2", (1, 8, 9, 7, 8), (8, 8, 3, 3, 3), padding=2, dilation=2),
    convolution("dilated_s3d2", (1, 3, 9, 8, 10), (4, 3, 3, 2, 3), stride=3, padding=(2, 1, 0), dilation=2),
    convolution("padding_beyond_kernel", (1, 4, 3, 4, 5), (6, 4, 2, 3, 1), padding=(3, 4, 2)),
    convolution("padding_beyond_kernel_s2", (1, 2, 3, 4, 5), (3, 2, 3, 1, 2), stride=2, padding=(4, 3, 5)),
    convolution("kernel_covers_input", (2, 3, 3, 4, 5), (8, 3, 3, 4, 5), stride=(1, 2, 5)),
    convolution("stride_beyond_input", (1, 2, 3, 4, 5), (3, 2, 2, 2, 2), stride=9),
    convolution("same_even", (1, 3, 4, 5, 6), (4, 3, 2, 4, 3), padding="same"),
    convolution("same_dilated", (1, 3, 6, 5, 7), (4, 3, 3, 4, 2), padding="same", dilation=(1, 1, 3)),
    convolution("same_replicate", (1, 2, 4, 5, 6), (3, 2, 2, 4, 3), padding="same", padding_mode="replicate"),
    convolution("valid", (1, 3, 4, 5, 6), (4, 3, 2, 4, 3), padding="valid", stride=2),
    convolution("replicate", (2, 3, 4, 5, 6), (4, 3, 3, 3, 3), padding=(2, 1, 3), padding_mode="replicate"),
    convolution("replicate_s2", (1, 3, 4, 5, 6), (4, 3, 3, 4, 2), stride=2, padding=(2, 1, 3), padding_mode="replicate"),
    convolution("reflect", (1, 4, 4, 5, 6), (4, 2, 3, 3, 3), padding=(1, 2, 3), groups=2, padding_mode="reflect"),
    convolution("reflect_s2", (1, 3, 4, 5, 6), (2, 3, 5, 3, 3), stride=(2, 1, 3), padding=(2, 0, 1), padding_mode="reflect"),
    convolution("reflect_without_padding", (1, 3, 4, 5, 6), (2, 3, 2, 2, 2), padding_mode="reflect"),
]


def as_padding(padding):
    return padding if isinstance(padding, str) else join(padding)


def conv3d(folder):
    lines, values, prints = [], bytearray(), []
    for seed, case_ in enumerate(CONVOLUTIONS, start=1001):
        parts = [f"seed={seed} w={join(case_['w'])} bias={int(case_['bias'])} stride={join(case_['stride'])} "
                 f"padding={as_padding(case_['padding'])} dilation={join(case_['dilation'])} groups={case_['groups']} "
                 f"padding_mode={case_['padding_mode']}"]
        for dtype, batched in itertools.product((torch.float32, torch.float64), (True, False)):
            draw = Lcg(seed)
            tensor = lambda shape: torch.tensor(draw.symmetric(shape), dtype=dtype)
            layer = torch.nn.Conv3d(case_["x"][1], case_["w"][0], case_["w"][2:], case_["stride"], case_["padding"],
                                    case_["dilation"], case_["groups"], case_["bias"], case_["padding_mode"], dtype=dtype)
            with torch.no_grad():
                layer.weight.copy_(tensor(case_["w"]))
                if case_["bias"]:
                    layer.bias.copy_(tensor((case_["w"][0],)))
                x = tensor(case_["x"])
                y = layer(x if batched else x[0])
            step = next(step for step in STEPS if y.numel() // step <= MOST_VALUES)
            kept = np.ascontiguousarray(y.numpy().ravel()[::step])
            name = case_["name"] + ("" if batched else "_unbatched") + ("_float64" if dtype == torch.float64 else "")
            lines.append(f"name={name} dtype={str(dtype)[6:]} x={join(case_['x'] if batched else case_['x'][1:])} {parts[0]} "
                         f"y={join(y.shape)} step={step} values={len(values)},{kept.size}")
            values += kept.astype(kept.dtype.newbyteorder("<")).tobytes()
        prints.append(f"{parts[0]}\t{layer.extra_repr()}")
    (folder / "conv3d.txt").write_text("\n".join(lines) + "\n")
    (folder / "conv3d.bin").write_bytes(values)
    (folder / "conv3d_extra_repr.txt").write_text("\n".join(prints) + "\n")


def parameters(in_channels, out_channels, kernel_size, **rest):
    """The key=value line of a module's parameters, and the module."""
    module = torch.nn.ConvTranspose3d(in_channels, out_channels, kernel_size, **rest)
    text = (f"in_channels={in_channels} out_channels={out_channels} kernel_size={join(module.kernel_size)} "
            f"stride={join(module.stride)} padding={join(module.padding)} output_padding={join(module.output_padding)} "
            f"groups={module.groups} bias={int(module.bias is not None)} dilation={join(module.dilation)}")
    return text, module


def extra_repr(folder):
    lines = []
    for dilation, stride, padding, output_padding, groups, bias in itertools.product(
            (1, (1, 2, 1), 4), (1, 4), (0, (0, 0, 1)), (0, (0, 1, 0)), (1, 2), (True, False)):
        if output_padding != 0 and stride == 1 and dilation == 1:
            continue  # PyTorch makes such a module, but cannot run it
        text, module = parameters(4, 6, (3, 4, 5), stride=stride, padding=padding, output_padding=output_padding,
                                  groups=groups, bias=bias, dilation=dilation)
        lines.append(f"{text}\t{module.extra_repr()}")
    text, module = parameters(64, 32, 4, stride=2, padding=1)
    lines.append(f"{text}\t{module.extra_repr()}")
    (folder / "extra_repr.txt").write_text("\n".join(lines) + "\n")


def output_padding(folder):
    """Every size around the admissible range on the last axis, and size lists of every length."""
    lines = []
    layers = [dict(kernel_size=4, stride=2, padding=1), dict(kernel_size=3, stride=2, padding=1, output_padding=1),
              dict(kernel_size=3, stride=(1, 2, 3), padding=(1, 0, 2)), dict(kernel_size=5, stride=3, dilation=4, padding=2),
              dict(kernel_size=2, stride=4)]
    extent = (3, 4, 5)
    for layer in layers:
        text, module = parameters(2, 3, **layer)
        least = [(extent[a] - 1) * module.stride[a] - 2 * module.padding[a] + module.dilation[a] * (module.kernel_size[a] - 1) + 1
                 for a in range(3)]
        sizes = [[least[0], least[1], least[2] + more] for more in range(-2, module.stride[2] + 2)]
        sizes += [[least[a] + module.stride[a] - 1 for a in range(3)], [least[0] + module.stride[0], least[1], least[2]],
                  [least[0], least[1] - 1, least[2]], [1, 3] + least, [7, 7] + least, [1] + least, least[1:], [0, 1, 3] + least]
        for size in sizes:
            try:
                y = module(torch.zeros((1, 2) + extent), output_size=size)
                result = join(y.shape[2 + a] - least[a] for a in range(3))
            except ValueError:
                result = "refused"
            lines.append(f"{text} input={join(extent)} output_size={join(size)}\t{result}")
    (folder / "output_padding.txt").write_text("\n".join(lines) + "\n")


def main():
    torch.set_num_threads(1)
    folder = pathlib.Path(sys.argv[1])
    conv_transpose3d(folder)
    conv3d(folder)
    extra_repr(folder)
    output_padding(folder)


if __name__ == "__main__":
    main()
