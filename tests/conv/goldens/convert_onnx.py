#!/usr/bin/env python3
"""Converts the ONNX node tests of ConvTranspose into goldens of 3-D layers.

    convert_onnx.py FOLDER [/usr/share/libonnx-testdata/data/node]      (Debian package libonnx-testdata)

1-D and 2-D nodes get leading axes of one voxel. ONNX can pad an axis differently in front and behind, and can ask for
an output shape from which such pads follow; PyTorch's layer cannot. So the symmetric part of the pads becomes `padding`, and
what is left is what the layer's output is cropped by in front (`crop`) and how far it reaches (`y`).

  onnx.txt   one node test per line, key=value
  onnx.bin   its input, weight, bias and output, little-endian float32

ONNX's models are protocol buffers; of those only what is needed is read here, with no further package.
"""

import pathlib
import sys

import numpy as np


def varint(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
        shift += 7


def fields(data):
    """(number, value) of every field of a message: an int, or bytes."""
    at = 0
    while at < len(data):
        key, at = varint(data, at)
        kind = key & 7
        if kind == 0:
            value, at = varint(data, at)
        else:
            size, at = {1: lambda: (8, at), 5: lambda: (4, at), 2: lambda: varint(data, at)}[kind]()
            value, at = data[at:at + size], at + size
        yield key >> 3, value


def every(data, number):
    return [value for found, value in fields(data) if found == number]


def integers(values):
    """A repeated integer field, packed (bytes) or not."""
    result = []
    for value in values:
        if isinstance(value, int):
            result.append(value)
            continue
        at = 0
        while at < len(value):
            number, at = varint(value, at)
            result.append(number)
    return result


def tensor(path):
    """TensorProto: dims = 1, data_type = 2 (1: float32), float_data = 4, raw_data = 9."""
    data = path.read_bytes()
    assert integers(every(data, 2)) == [1], f"{path} is not float32"
    raw = b"".join(every(data, 9) or every(data, 4))
    return np.frombuffer(raw, "<f4").reshape(integers(every(data, 1)))


def node(path):
    """(op_type, attributes) of a model of one node. ModelProto.graph = 7, GraphProto.node = 1, NodeProto: op_type = 4,
    attribute = 5, AttributeProto: name = 1, i = 3, s = 4, ints = 8."""
    graph = every(path.read_bytes(), 7)[0]
    (only,) = every(graph, 1)
    attributes = {}
    for attribute in every(only, 5):
        name = every(attribute, 1)[0].decode()
        attributes[name] = every(attribute, 4)[0].decode() if every(attribute, 4) else (
            integers(every(attribute, 8)) or integers(every(attribute, 3)))
    return every(only, 4)[0].decode(), attributes


def pads(attributes, natural, out):
    """Pads (front, behind) of one axis whose unpadded output is `natural` long and whose output is `out`: ONNX's rules, where
    the larger half of an odd total goes behind for SAME_UPPER and in front otherwise."""
    total = natural - out
    half = total // 2
    return (half, total - half) if attributes.get("auto_pad") == "SAME_UPPER" else (total - half, half)


def convert(folder):
    op_type, attributes = node(folder / "model.onnx")
    assert op_type == "ConvTranspose"
    unknown = set(attributes) - {"strides", "pads", "dilations", "output_padding", "group", "kernel_shape", "auto_pad", "output_shape"}
    assert not unknown, unknown
    files = folder / "test_data_set_0"
    x, w = tensor(files / "input_0.pb"), tensor(files / "input_1.pb")
    bias = tensor(files / "input_2.pb") if (files / "input_2.pb").exists() else np.zeros(0, "f4")
    y = tensor(files / "output_0.pb")
    rank = x.ndim - 2
    ones = (1,) * (3 - rank)
    get = lambda name, default: tuple(attributes.get(name, [default] * rank))
    kernel, strides, dilations, more = w.shape[2:], get("strides", 1), get("dilations", 1), get("output_padding", 0)
    padding, output_padding, crop = [], [], []
    for axis in range(rank):
        natural = (x.shape[2 + axis] - 1) * strides[axis] + dilations[axis] * (kernel[axis] - 1) + 1 + more[axis]
        if "pads" in attributes:
            front, behind = attributes["pads"][axis], attributes["pads"][rank + axis]
        else:
            front, behind = pads(attributes, natural, y.shape[2 + axis])
        assert natural - front - behind == y.shape[2 + axis]
        # A layer pads both sides alike, by no less than 0. Pads below 0 behind lengthen the output: output_padding.
        both = max(0, min(front, behind))
        padding.append(both)
        output_padding.append(more[axis] + max(0, -behind))
        crop.append(front - both)
        assert crop[-1] >= 0, "the output would have to be lengthened in front"
    lift = lambda array: array.reshape(array.shape[:2] + ones + array.shape[2:])
    zeros = (0,) * (3 - rank)
    return dict(name=folder.name[len("test_"):], x=lift(x), w=lift(w), bias=bias, y=lift(y), stride=ones + strides,
                padding=zeros + tuple(padding), output_padding=zeros + tuple(output_padding), dilation=ones + dilations,
                groups=(attributes.get("group") or [1])[0], crop=zeros + tuple(crop))


def main():
    target = pathlib.Path(sys.argv[1])
    source = pathlib.Path(sys.argv[2] if len(sys.argv) > 2 else "/usr/share/libonnx-testdata/data/node")
    join = lambda numbers: ",".join(map(str, numbers))
    lines, data = [], bytearray()

    def store(array):
        place = f"{len(data)},{array.size}"
        data.extend(array.astype("<f4").tobytes())
        return place

    for folder in sorted(source.glob("test_convtranspose*")):
        found = convert(folder)
        lines.append(f"name={found['name']} x={join(found['x'].shape)} w={join(found['w'].shape)} y={join(found['y'].shape)} "
                     + " ".join(f"{key}={join(found[key])}" for key in ("stride", "padding", "output_padding", "dilation", "crop"))
                     + f" groups={found['groups']} x_values={store(found['x'])} w_values={store(found['w'])} "
                     f"bias_values={store(found['bias'])} y_values={store(found['y'])}")
    (target / "onnx.txt").write_text("\n".join(lines) + "\n")
    (target / "onnx.bin").write_bytes(data)


if __name__ == "__main__":
    main()
