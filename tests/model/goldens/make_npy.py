"""Writes the .npy files of this folder with numpy: 0, 1, 2, ... in shape (2, 1, 2, 2, 3), as each name says.

usage: make_npy.py FOLDER
"""

import pathlib
import sys

import numpy
from numpy.lib import format as npy

FILES = {
    "float32": ("<f4", "C", (1, 0)),
    "float64_big_endian_fortran": (">f8", "F", (1, 0)),
    "float16_version2": ("<f2", "C", (2, 0)),
    "int16_version3": (">i2", "C", (3, 0)),
    "uint8_fortran": ("|u1", "F", (1, 0)),
    "int64": ("<i8", "C", (1, 0)),
}

for name, (dtype, order, version) in FILES.items():
    array = numpy.asarray(numpy.arange(24).reshape(2, 1, 2, 2, 3), dtype=dtype, order=order)
    with open(pathlib.Path(sys.argv[1]) / f"{name}.npy", "wb") as file:
        npy.write_array(file, array, version=version)
