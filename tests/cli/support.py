"""What the tests of the command line share: running the tool, making volumes and configs, reading both formats back.

Nothing here calls the tool's own code: volumes are written and read with nibabel, or for MetaImage by metaimage.py.
"""

import json
import os
import pathlib
import subprocess
import tempfile
import unittest

import metaimage
import nibabel
import numpy

TOOL = os.environ["CONVT3D"]
TESTDATA = pathlib.Path(__file__).resolve().parents[2] / "testdata"


class ToolTest(unittest.TestCase):
    """A test case with a folder of its own, `self.folder`."""

    def setUp(self):
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.folder = pathlib.Path(temporary.name)

    def run_tool(self, *arguments, code=0, **settings):
        """The finished process; fails unless it ended with `code`."""
        settings.setdefault("timeout", 120)
        done = subprocess.run([TOOL, *map(str, arguments)], capture_output=True, text=True, **settings)
        self.assertEqual(done.returncode, code, f"{arguments}\nstdout: {done.stdout}\nstderr: {done.stderr}")
        self.assertNotIn("unexpected error", done.stderr)
        return done

    def refused(self, code, expected, *arguments, **settings):
        """stderr of a run that ends with `code` and says every text in `expected`, in the style of all errors."""
        done = self.run_tool(*arguments, code=code, **settings)
        for text in expected:
            self.assertIn(text, done.stderr)
        self.assertTrue(all(line.startswith(("convt3d: ", "  ")) for line in done.stderr.splitlines()), done.stderr)
        return done.stderr

    def report(self, *arguments, code=0, **settings):
        """The one JSON object on stdout."""
        return json.loads(self.run_tool(*arguments, "--json", code=code, **settings).stdout)

    def volume(self, name, values=None, affine=None):
        """A volume file of that name in the folder; by default a small ramp of uint8."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        write_volume(path, ramp() if values is None else values, affine)
        return path

    def upsample(self, values, config, *options, extension=".nii.gz", affine=None):
        """Runs the volume `values` (x, y, z[, t]) through `config`; gives the output's array and RAS affine."""
        target = self.folder / f"output{extension}"
        self.run_tool(self.volume(f"input{extension}", values, affine), "-c", config, "-o", target, "--force", *options)
        return read_volume(target)

    def config(self, *layers, name="config", **members):
        """A config file of these layers."""
        path = self.folder / f"{name}.json"
        path.write_text(json.dumps({"version": 1, "layers": list(layers), **members}))
        return path

    def files(self):
        """Names of all files in the test's folder."""
        return sorted(str(path.relative_to(self.folder)) for path in self.folder.rglob("*") if path.is_file())


def ramp(shape=(5, 6, 7), dtype=numpy.uint8):
    return numpy.arange(numpy.prod(shape)).reshape(shape).astype(dtype)


def conv(kernel_size, weight=1.0, in_channels=1, out_channels=1, **members):
    """A transposed convolution whose weights are all `weight`, or the nested lists given, without bias."""
    source = {"init": "constant", "value": weight} if numpy.isscalar(weight) else numpy.asarray(weight).tolist()
    return {"type": "conv_transpose3d", "in_channels": in_channels, "out_channels": out_channels, "kernel_size": kernel_size,
            "bias": False, "weights": {"weight": source}, **members}


def scale(factor):
    """The layer that multiplies every voxel by `factor`."""
    return conv(1, factor)


def oblique(spacing, origin=(-12.5, 34.25, 7.125), angles=(0.3, -0.5, 1.1)):
    """A RAS affine turned about all three axes."""
    a, b, c = angles
    x = numpy.array([[1, 0, 0], [0, numpy.cos(a), -numpy.sin(a)], [0, numpy.sin(a), numpy.cos(a)]])
    y = numpy.array([[numpy.cos(b), 0, numpy.sin(b)], [0, 1, 0], [-numpy.sin(b), 0, numpy.cos(b)]])
    z = numpy.array([[numpy.cos(c), -numpy.sin(c), 0], [numpy.sin(c), numpy.cos(c), 0], [0, 0, 1]])
    affine = numpy.eye(4)
    affine[:3, :3] = x @ y @ z @ numpy.diag(spacing)
    affine[:3, 3] = origin
    return affine


def world(affine, indices):
    """Positions of voxel indices (…, 3)."""
    return numpy.asarray(indices) @ affine[:3, :3].T + affine[:3, 3]


def all_indices(shape):
    """Indices (x, y, z, 3) of all voxels."""
    return numpy.stack(numpy.meshgrid(*map(numpy.arange, shape), indexing="ij"), axis=-1)


def write_volume(path, values, affine=None):
    affine = numpy.eye(4) if affine is None else affine
    if path.suffix in (".mha", ".mhd"):
        metaimage.write(path, values, affine)
    else:
        nibabel.save(nibabel.Nifti1Image(values, affine), path)


def read_volume(path):
    """Array (x, y, z[, more]) and RAS affine."""
    if path.suffix in (".mha", ".mhd"):
        return metaimage.read(path)
    image = nibabel.load(path)
    return numpy.asanyarray(image.dataobj), image.affine
