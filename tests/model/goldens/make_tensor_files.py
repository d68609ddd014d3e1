"""Writes the .safetensors and .npz files of this folder, with numpy and struct alone.

usage: make_tensor_files.py FOLDER

Each holds 0, 1, 2, ... under keys of a small decoder and of every dtype: "up.2.weight", "dtype.float16". The safetensors
writer follows the format's description: u64 length, JSON padded with spaces to 8 bytes, the data without gaps.
"""

import io
import json
import pathlib
import struct
import sys
import zipfile

import numpy

SHAPES = {
    "up.2.weight": (2, 3, 2, 2, 2),
    "up.2.bias": (3,),
    "up.10.weight": (3, 1, 2, 2, 2),
    "up.10.num_batches_tracked": (),
    "other.w222": (1, 1, 2, 2, 2),
    "other.empty": (0, 3),
}
DTYPES = {
    "F64": "float64", "F32": "float32", "F16": "float16", "I8": "int8", "U8": "uint8", "I16": "int16", "U16": "uint16",
    "I32": "int32", "U32": "uint32", "I64": "int64", "U64": "uint64", "BOOL": "bool",
}


def ramp(shape, dtype="float32"):
    return numpy.arange(numpy.prod(shape, dtype=int)).reshape(shape).astype(dtype)


def arrays():
    return {key: ramp(shape) for key, shape in SHAPES.items()} | {
        f"dtype.{name}": ramp((2, 3), name) for name in DTYPES.values()
    }


def write_safetensors(path, stored):
    """`stored` is {key: (safetensors dtype, shape, bytes)}."""
    header, data = {"__metadata__": {"format": "pt"}}, b""
    for key, (dtype, shape, content) in stored.items():
        header[key] = {"dtype": dtype, "shape": list(shape), "data_offsets": [len(data), len(data) + len(content)]}
        data += content
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)


def main(folder):
    code = {name: dtype for dtype, name in DTYPES.items()}
    stored = {key: (code[str(array.dtype)], array.shape, array.tobytes()) for key, array in arrays().items()}
    halves = (ramp((2, 3)).view("uint32") >> 16).astype("uint16")  # 0 to 5 lose nothing in bfloat16
    stored["dtype.bfloat16"] = ("BF16", halves.shape, halves.tobytes())
    write_safetensors(folder / "tensors.safetensors", stored)
    numpy.savez(folder / "stored.npz", **arrays())
    numpy.savez_compressed(folder / "deflated.npz", **arrays())
    # As a program writes it that cannot go back: sizes follow the data.
    stream = io.BytesIO()
    with zipfile.ZipFile(Forward(stream), "w", zipfile.ZIP_DEFLATED) as archive:
        for key, array in arrays().items():
            npy = io.BytesIO()
            numpy.save(npy, array)
            archive.writestr(f"{key}.npy", npy.getvalue())
    (folder / "streamed.npz").write_bytes(stream.getvalue())


class Forward:
    """A file that can only be written on."""

    def __init__(self, file):
        self.file = file

    def write(self, content):
        return self.file.write(content)

    def flush(self):
        pass


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(pathlib.Path(sys.argv[1]))
