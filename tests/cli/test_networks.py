"""A whole network on the real scan, from the command line: what PyTorch makes of it, and where it belongs."""

import json
import math
import pathlib
import struct

import nibabel
import numpy

from support import TESTDATA, ToolTest

NETWORKS = pathlib.Path(__file__).resolve().parents[1] / "networks"


def golden(name, key):
    """A float32 tensor of a .safetensors file."""
    content = (NETWORKS / "goldens" / f"{name}.safetensors").read_bytes()
    (length,) = struct.unpack_from("<Q", content)
    entry = json.loads(content[8 : 8 + length])[f"golden.{key}"]
    values = numpy.frombuffer(content, "<f4", math.prod(entry["shape"]), 8 + length + entry["data_offsets"][0])
    return values.reshape(entry["shape"])


class Networks(ToolTest):
    def test_a_scan_comes_out_as_from_pytorch(self):
        source = TESTDATA / "brain.nii.gz"
        self.run_tool(source, "-c", NETWORKS / "brain.json", "-o", self.folder / "out.nii")
        image = nibabel.load(self.folder / "out.nii")
        found = image.get_fdata().transpose(2, 1, 0)[::16, ::16, ::16]  # (x, y, z) to (D, H, W)
        expected = golden("brain", "output").astype("float64")
        self.assertEqual(found.shape, expected.shape)
        self.assertLessEqual(numpy.linalg.norm(found - expected) / numpy.linalg.norm(expected), 5e-6)
        before = nibabel.load(source).affine
        numpy.testing.assert_allclose(image.affine[:3, :3], before[:3, :3] / 2, rtol=1e-6)
        first = before @ [-0.25, -0.25, -0.25, 1]  # the field of view stays
        numpy.testing.assert_allclose(image.affine[:3, 3], first[:3], atol=1e-4)

    def test_its_plan_names_the_branch(self):
        config = NETWORKS / "brain.json"
        text = self.run_tool(TESTDATA / "brain.nii.gz", "-c", config, "-o", self.folder / "out.nii", "--dry-run").stdout
        self.assertIn('takes the output of layer 0 "scan"', text)
        self.assertIn("fused: in the epilogue of layer 1", text)


if __name__ == "__main__":
    import unittest

    unittest.main()
