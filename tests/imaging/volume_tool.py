"""Drives the volume_tool executable, whose path VOLUME_TOOL holds, for the tests beside this file."""

import os
import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path

import numpy as np


class ToolError(Exception):
    """What the tool said when it failed."""


def run(*arguments):
    done = subprocess.run([os.environ["VOLUME_TOOL"], *map(str, arguments)], capture_output=True, text=True, timeout=50)
    if done.returncode == 1:
        raise ToolError(done.stderr)
    if done.returncode != 0:
        raise RuntimeError(f"volume_tool ended with {done.returncode}: {done.stderr}")
    return {words[0]: words[1:] for words in map(str.split, done.stdout.splitlines())}


def header(path):
    """Fields of the header: pixel_type a name, all others lists of numbers."""
    return {key: values[0] if key == "pixel_type" else [float(value) for value in values]
            for key, values in run("header", path).items()}


def copy(source, target, **options):
    """Reads and writes a volume; returns {"clipped": ..., "bytes": ...}."""
    words = [f"{key}={value}" for key, value in options.items()]
    return {key: int(values[0]) for key, values in run("copy", source, target, *words).items()}


class FolderTest(unittest.TestCase):
    """A test with a folder of its own, self.folder."""

    def setUp(self):
        self.folder = Path(tempfile.mkdtemp(prefix="convt3d-test-"))
        self.addCleanup(shutil.rmtree, self.folder)

    def assert_refused(self, words, call, *arguments, **options):
        """The tool fails, and says each of the words."""
        with self.assertRaises(ToolError) as caught:
            call(*arguments, **options)
        for word in words:
            self.assertIn(word, str(caught.exception))


def counting(shape, dtype=np.float32):
    """0, 1, 2, ...: (x, y, z, ...) as nibabel has it, x fastest in the file."""
    return np.arange(np.prod(shape)).reshape(shape, order="F").astype(dtype)


def metaimage(**changes):
    """A MetaImage header for int16, 5 x 4 x 3 voxels, LOCAL; None takes a field out."""
    fields = {"ObjectType": "Image", "NDims": 3, "BinaryData": "True", "BinaryDataByteOrderMSB": "False",
              "TransformMatrix": "1 0 0 0 1 0 0 0 1", "Offset": "1 2 3", "ElementSpacing": "1 1 1", "DimSize": "5 4 3",
              "ElementType": "MET_SHORT"} | changes
    fields["ElementDataFile"] = fields.pop("ElementDataFile", "LOCAL")
    return "".join(f"{key} = {value}\n" for key, value in fields.items() if value is not None).encode()
