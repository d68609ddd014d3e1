"""Where the output lies: bright voxels, blobs and ramps keep their place in the world through every layer."""

import itertools
import unittest

import nibabel
import numpy
from support import ToolTest, all_indices, conv, oblique, read_volume, world

# The layers of semantics.md's geometry table, with the shift of the first voxel's centre in input voxels.
LAYERS = {
    "k2 s2": ({"kernel_size": 2, "stride": 2}, -1 / 4),
    "k4 s2 p1": ({"kernel_size": 4, "stride": 2, "padding": 1}, -1 / 4),
    "k4 s4": ({"kernel_size": 4, "stride": 4}, -3 / 8),
    "k9 s3 p3": ({"kernel_size": 9, "stride": 3, "padding": 3}, -1 / 3),
    "k3 s2 p1 op1": ({"kernel_size": 3, "stride": 2, "padding": 1, "output_padding": 1}, 0),
    "k3 s2": ({"kernel_size": 3, "stride": 2}, -1 / 2),
    "k3 s2 p2 d2 op1": ({"kernel_size": 3, "stride": 2, "padding": 2, "dilation": 2, "output_padding": 1}, 0),
    "k(3,4,5) s(1,2,3) p(1,1,1)": ({"kernel_size": [3, 4, 5], "stride": [1, 2, 3], "padding": 1}, (-1 / 3, -1 / 4, 0)),
}

AFFINES = {
    "identity": numpy.eye(4),
    "oblique": oblique((1, 1.2, 2.5)),
    "0.1 mm": oblique((0.1, 0.1, 0.1), origin=(3.2, -1.7, 0.05)),
    "2 um": oblique((0.002, 0.002, 0.002), origin=(0.1, 0.2, 0.3), angles=(1, 2, 3)),
    "left-handed": numpy.diag([-0.7, 0.8, 0.9, 1]),
}


def centroid(values, affine):
    """Centre of mass in the world."""
    weights = values.astype(float)
    return (world(affine, all_indices(values.shape)) * weights[..., None]).sum(axis=(0, 1, 2)) / weights.sum()


class Place(ToolTest):
    def check(self, values, layer, affine, extension):
        """The kernels are symmetric, so the output's centre of mass is the input's."""
        output, placed = self.upsample(values, self.config(conv(**layer)), extension=extension, affine=affine)
        voxel = numpy.linalg.norm(affine[:3, :3], axis=0).min()
        numpy.testing.assert_allclose(centroid(output, placed), centroid(values, affine), atol=2e-5 * voxel + 2e-6)

    def test_bright_voxel_stays(self):
        values = numpy.zeros((7, 8, 9), numpy.float32)
        values[3, 4, 5] = 1
        for (name, (layer, _)), extension in itertools.product(LAYERS.items(), (".nii.gz", ".mha")):
            with self.subTest(name, extension=extension):
                self.check(values, layer, AFFINES["oblique"], extension)

    def test_sphere_stays(self):
        index = all_indices((16, 15, 14))
        values = (((index - [7.3, 6.9, 6.6]) ** 2).sum(axis=-1) < 9).astype(numpy.float32)
        for (name, (layer, _)), (place, affine) in itertools.product(LAYERS.items(), AFFINES.items()):
            with self.subTest(name, affine=place):
                self.check(values, layer, affine, ".nii")

    def test_shift_spacing_and_direction_are_the_formulas(self):
        source = self.volume("input.nii.gz", affine=AFFINES["oblique"])
        for name, (layer, shift) in LAYERS.items():
            with self.subTest(name):
                job = self.report(source, "-c", self.config(conv(**layer)), "-n")["jobs"][0]
                stride = numpy.broadcast_to(layer["stride"], 3)[::-1]  # (x, y, z)
                numpy.testing.assert_allclose(job["output"]["shift_voxels"], numpy.broadcast_to(shift, 3), atol=1e-12)
                numpy.testing.assert_allclose(job["output"]["spacing"], numpy.array(job["input"]["spacing"]) / stride)
                self.assertEqual(job["output"]["direction"], job["input"]["direction"])
                direction = numpy.reshape(job["input"]["direction"], (3, 3))
                moved = direction @ (numpy.array(job["input"]["spacing"]) * shift)
                numpy.testing.assert_allclose(job["output"]["shift_mm"], moved, atol=1e-9)
                origins = numpy.array(job["output"]["origin"]) - job["input"]["origin"]
                numpy.testing.assert_allclose(origins, moved, atol=1e-9)

    def test_pad_and_crop_move_the_origin(self):
        pad = {"type": "pad", "mode": "replicate", "padding": [1, 2, 3, 4, 5, 6]}
        crop = {"type": "crop", "padding": [0, 1, 1, 0, 2, 2]}
        source = self.volume("input.nii.gz")
        for layer, shift in ((pad, [-5, -3, -1]), (crop, [2, 1, 0])):
            output = self.report(source, "-c", self.config(layer), "-n")["jobs"][0]["output"]
            self.assertEqual(output["shift_voxels"], shift)

    def test_stack_composes(self):
        values = numpy.zeros((7, 8, 9), numpy.float32)
        values[3, 4, 5] = 1
        stack = self.config(conv(2, stride=2), {"type": "pad", "padding": [1, 0, 2, 0, 0, 1]}, conv(3, stride=2, padding=1))
        output, placed = self.upsample(values, stack, affine=AFFINES["oblique"])
        numpy.testing.assert_allclose(centroid(output, placed), world(AFFINES["oblique"], [3, 4, 5]), atol=1e-5)


class OriginModes(ToolTest):
    def output_of(self, mode, layer):
        source = self.volume("input.nii.gz", affine=oblique((1, 1.2, 2.5)))
        return self.report(source, "-c", self.config(conv(**layer)), "-n", "--origin", mode)["jobs"][0]

    def test_keep_leaves_the_first_voxel(self):
        job = self.output_of("keep", {"kernel_size": 4, "stride": 2, "padding": 1})
        self.assertEqual(job["output"]["origin"], job["input"]["origin"])
        self.assertEqual(job["output"]["shift_mm"], [0, 0, 0])

    def test_fov_leaves_the_outer_faces(self):
        job = self.output_of("fov", {"kernel_size": 3, "stride": 2, "padding": 1, "output_padding": 1})
        numpy.testing.assert_allclose(job["output"]["shift_voxels"], [-0.25] * 3)

    def test_default_is_kernel(self):
        layer = {"kernel_size": 3, "stride": 2, "padding": 1, "output_padding": 1}
        self.assertEqual(self.output_of("kernel", layer)["output"]["shift_voxels"], [0, 0, 0])
        source = self.folder / "input.nii.gz"
        default = self.report(source, "-c", self.config(conv(**layer)), "-n")["jobs"][0]["output"]
        self.assertEqual(default["shift_voxels"], [0, 0, 0])

    def test_wrong_mode_is_refused(self):
        self.refused(2, ["--origin", "middle", "kernel"], "a.nii", "-c", "trilinear_x2", "-n", "--origin", "middle")


class Ramp(ToolTest):
    def test_linear_ramp_in_the_world_stays_the_same(self):
        affine = oblique((0.9, 1.1, 2.3))
        value_at = lambda place: place @ [0.31, -0.17, 0.23] + 5
        values = value_at(world(affine, all_indices((9, 10, 8)))).astype(numpy.float32)
        for config, margin in (("trilinear_x2", 1), ("trilinear_z4", 2)):
            for extension in (".nii.gz", ".mha"):
                with self.subTest(config, extension=extension):
                    output, placed = self.upsample(values, config, extension=extension, affine=affine)
                    expected = value_at(world(placed, all_indices(output.shape)))
                    inside = (slice(margin, -margin),) * 3
                    numpy.testing.assert_allclose(output[inside], expected[inside], atol=2e-5)


class Header(ToolTest):
    def test_codes_and_units_stay(self):
        image = nibabel.Nifti1Image(numpy.zeros((4, 5, 6), numpy.int16), oblique((1, 1, 2)))
        image.set_qform(image.affine, 3)
        image.set_sform(image.affine, 4)
        image.header.set_xyzt_units("mm", "sec")
        source = self.folder / "mni.nii.gz"
        nibabel.save(image, source)
        self.run_tool(source, "-c", "trilinear_x2", "-o", self.folder / "up.nii.gz")
        header = nibabel.load(self.folder / "up.nii.gz").header
        self.assertEqual((int(header["qform_code"]), int(header["sform_code"])), (3, 4))
        self.assertEqual(header.get_xyzt_units()[0], "mm")

    def test_micrometres_become_millimetres(self):
        image = nibabel.Nifti1Image(numpy.zeros((4, 5, 6), numpy.float32), numpy.diag([10, 20, 30, 1]))
        image.header.set_xyzt_units("micron")
        nibabel.save(image, self.folder / "small.nii")
        self.run_tool(self.folder / "small.nii", "-c", "trilinear_x2", "-o", self.folder / "up.nii")
        zooms = nibabel.load(self.folder / "up.nii").header.get_zooms()
        numpy.testing.assert_allclose(zooms, [0.005, 0.01, 0.015], rtol=1e-6)

    def test_formats_convert_into_each_other(self):
        affine = oblique((1, 1.5, 2))
        values = numpy.arange(210, dtype=numpy.float32).reshape(5, 6, 7)
        source = self.volume("input.mha", values, affine)
        for extension in (".nii", ".nii.gz", ".mha", ".mhd"):
            with self.subTest(extension):
                target = self.folder / f"output{extension}"
                self.run_tool(source, "-c", self.config(conv(1)), "-o", target)
                output, placed = read_volume(target)
                numpy.testing.assert_array_equal(output, values)
                numpy.testing.assert_allclose(placed, affine, atol=1e-5)


if __name__ == "__main__":
    unittest.main()
