"""MetaImage files, written and read by what the format's definition says, independently of the tool."""

import pathlib
import zlib

import numpy

TYPES = {"MET_CHAR": "int8", "MET_UCHAR": "uint8", "MET_SHORT": "int16", "MET_USHORT": "uint16", "MET_INT": "int32",
         "MET_UINT": "uint32", "MET_FLOAT": "float32", "MET_DOUBLE": "float64"}

# MetaImage's world is LPS, nibabel's RAS: x and y change their sign.
LPS = numpy.diag([-1.0, -1.0, 1.0, 1.0])


def write(path, values, affine, components=False):
    """`values` are (x, y, z[, t]), or with `components` (x, y, z, c); `affine` is RAS."""
    axes = 3 if components else values.ndim
    lps = LPS @ affine
    spacing = numpy.linalg.norm(lps[:3, :3], axis=0)
    matrix = numpy.eye(axes)
    matrix[:3, :3] = (lps[:3, :3] / spacing).T  # a row for each index axis
    fields = {
        "ObjectType": "Image",
        "NDims": axes,
        "BinaryData": True,
        "BinaryDataByteOrderMSB": False,
        "CompressedData": False,
        "TransformMatrix": numbers(matrix.ravel()),
        "Offset": numbers([*lps[:3, 3], *[0] * (axes - 3)]),
        "ElementSpacing": numbers([*spacing, *[1] * (axes - 3)]),
        "DimSize": " ".join(map(str, values.shape[:axes])),
        "ElementNumberOfChannels": values.shape[3] if components else 1,
        "ElementType": next(name for name, dtype in TYPES.items() if dtype == values.dtype.name),
        "ElementDataFile": "LOCAL",
    }
    header = "".join(f"{key} = {value}\n" for key, value in fields.items())
    voxels = numpy.moveaxis(values, 3, 0) if components else values  # components are the fastest
    pathlib.Path(path).write_bytes(header.encode() + voxels.tobytes(order="F"))


def read(path):
    """Array (x, y, z[, t][, c]) and RAS affine."""
    fields, data = split(pathlib.Path(path))
    axes = int(fields["NDims"])
    channels = int(fields.get("ElementNumberOfChannels", 1))
    shape = [int(size) for size in fields["DimSize"].split()]
    values = numpy.frombuffer(data, TYPES[fields["ElementType"]]).reshape([channels, *shape], order="F")
    affine = numpy.eye(4)
    affine[:3, :3] = parsed(fields["TransformMatrix"]).reshape(axes, axes).T[:3, :3] * parsed(fields["ElementSpacing"])[:3]
    affine[:3, 3] = parsed(fields["Offset"])[:3]
    return values[0] if channels == 1 else numpy.moveaxis(values, 0, -1), LPS @ affine


def split(path):
    """The header's fields and the voxels' bytes, from the same file or the one beside it."""
    raw = path.read_bytes()
    fields = {}
    position = 0
    while "ElementDataFile" not in fields:
        end = raw.index(b"\n", position)
        key, value = raw[position:end].decode().split("=", 1)
        fields[key.strip()] = value.strip()
        position = end + 1
    data = raw[position:] if fields["ElementDataFile"] == "LOCAL" else (path.parent / fields["ElementDataFile"]).read_bytes()
    return fields, zlib.decompress(data) if fields.get("CompressedData") == "True" else data


def numbers(values):
    return " ".join(repr(float(value)) for value in values)


def parsed(text):
    return numpy.array([float(number) for number in text.split()])
