"""What is in the output's voxels: rounding and clipping, channels from every axis, output types."""

import unittest

import metaimage
import nibabel
import numpy
from support import ToolTest, conv, oblique, ramp, read_volume, scale


class Integers(ToolTest):
    def test_rounds_half_to_even(self):
        values = numpy.arange(-10, 11, dtype=numpy.int16).reshape(1, 1, 21)
        output, _ = self.upsample(values, self.config(scale(0.5)), "--output-type", "int16")
        self.assertEqual(output.dtype, numpy.int16)
        numpy.testing.assert_array_equal(output, numpy.rint(values * 0.5))

    def test_clamps_and_counts(self):
        values = numpy.array([-200, -129, -128.5, -128, 0, 127, 127.4, 127.5, 128, 1e30, -1e30, numpy.inf, -numpy.inf],
                             numpy.float32).reshape(1, 1, -1)
        expected = [-128, -128, -128, -128, 0, 127, 127, 127, 127, 127, -128, 127, -128]
        source = self.volume("a.nii", values)
        config = self.config(scale(1))
        done = self.run_tool(source, "-c", config, "-o", self.folder / "up.nii", "--output-type", "int8")
        numpy.testing.assert_array_equal(read_volume(self.folder / "up.nii")[0].ravel(), expected)
        self.assertIn("warning", done.stderr)
        self.assertIn("8 of 13 voxels", done.stderr)  # -128.5 rounds to -128, which fits; 127.5 rounds to 128
        report = self.report(source, "-c", config, "-o", self.folder / "up.nii", "--output-type", "int8", "-f")
        self.assertEqual(report["jobs"][0]["output"]["clipped_voxels"], 8)

    def test_no_warning_where_nothing_is_clipped(self):
        done = self.run_tool(self.volume("a.nii"), "-c", "trilinear_x2", "-o", self.folder / "up.nii")
        self.assertEqual(done.stderr, "")

    def test_every_type(self):
        values = ramp((3, 4, 5))
        for name in ("uint8", "int8", "uint16", "int16", "uint32", "int32", "float32", "float64"):
            for extension in (".nii", ".mha"):
                with self.subTest(name, extension=extension):
                    output, _ = self.upsample(values, self.config(scale(2)), "--output-type", name, extension=extension)
                    self.assertEqual(output.dtype, numpy.dtype(name))
                    numpy.testing.assert_array_equal(output, values.astype(int) * 2)


class OutputType(ToolTest):
    def type_of(self, dtype, config, *options):
        output, _ = self.upsample(ramp(dtype=dtype), config, *options)
        return output.dtype.name

    def test_float32_by_default(self):
        self.assertEqual(self.type_of(numpy.uint8, self.config(scale(1))), "float32")

    def test_config_says(self):
        self.assertEqual(self.type_of(numpy.uint8, self.config(scale(1), output={"type": "int16"})), "int16")
        self.assertEqual(self.type_of(numpy.int16, self.config(scale(1), output={"type": "same"})), "int16")

    def test_command_line_overrides_the_config(self):
        config = self.config(scale(1), output={"type": "int16"})
        self.assertEqual(self.type_of(numpy.uint8, config, "--output-type", "float64"), "float64")
        self.assertEqual(self.type_of(numpy.uint8, config, "--output-type", "same"), "uint8")

    def test_shipped_configs_keep_the_type(self):
        for dtype in (numpy.uint8, numpy.int16, numpy.float32, numpy.float64):
            self.assertEqual(self.type_of(dtype, "trilinear_x2"), numpy.dtype(dtype).name)

    def test_scaled_integers_are_floats(self):
        image = nibabel.Nifti1Image(ramp(dtype=numpy.int16), numpy.eye(4))
        image.header.set_slope_inter(0.5, 3)
        nibabel.save(image, self.folder / "scaled.nii")
        config = self.config(scale(1), output={"type": "same"})
        self.run_tool(self.folder / "scaled.nii", "-c", config, "-o", self.folder / "up.nii")
        output = nibabel.load(self.folder / "up.nii")
        self.assertEqual(output.get_data_dtype(), numpy.float32)
        expected = nibabel.load(self.folder / "scaled.nii").get_fdata()
        numpy.testing.assert_allclose(output.get_fdata(), expected, rtol=1e-6)

    def test_nan_and_infinity_survive_in_floats(self):
        values = numpy.array([1, numpy.nan, numpy.inf, -numpy.inf, 0], numpy.float32).reshape(1, 1, 5)
        for extension in (".nii.gz", ".mha"):
            output, _ = self.upsample(values, self.config(scale(1)), extension=extension)
            numpy.testing.assert_array_equal(output, values)

    def test_float64_is_computed_in_where_a_layer_says_so(self):
        values = (1 + ramp((3, 4, 5)) * 1e-12).astype(numpy.float64)
        output, _ = self.upsample(values, self.config({**scale(3), "dtype": "float64"}), "--output-type", "float64")
        numpy.testing.assert_allclose(output, 3 * values, rtol=1e-15)


class Channels(ToolTest):
    """A model of 3 channels in, 2 out: (a + 10 b + 100 c, c)."""

    def setUp(self):
        super().setUp()
        self.values = ramp((3, 4, 5, 3)).astype(numpy.float32)
        weight = numpy.array([[1, 0], [10, 0], [100, 1]], float).reshape(3, 2, 1, 1, 1)
        self.mix = self.config(conv(1, weight, in_channels=3, out_channels=2), name="mix")
        a, b, c = numpy.moveaxis(self.values, 3, 0)
        self.expected = numpy.stack([a + 10 * b + 100 * c, c], axis=-1)

    def run_mix(self, *arguments):
        target = self.folder / "mixed.nii"
        report = self.report(*arguments, "-c", self.mix, "-o", target, "-f")
        numpy.testing.assert_array_equal(read_volume(target)[0].squeeze(), self.expected)
        return report["jobs"][0]["input"]["channels"]

    def test_fourth_axis(self):
        series = self.volume("series.nii.gz", self.values)
        self.assertEqual(self.run_mix(series), "auto:time")
        self.assertEqual(self.run_mix(series, "--channels", "time"), "time")

    def test_components_of_metaimage(self):
        path = self.folder / "vector.mha"
        metaimage.write(path, self.values, numpy.eye(4), components=True)
        self.assertEqual(self.run_mix(path), "auto:components")
        self.assertEqual(self.run_mix(path, "--channels", "components"), "components")

    def test_components_of_nifti(self):
        image = nibabel.Nifti1Image(self.values[:, :, :, None, :], numpy.eye(4))
        image.header.set_intent("vector")
        nibabel.save(image, self.folder / "vector.nii")
        self.assertEqual(self.run_mix(self.folder / "vector.nii"), "auto:components")

    def test_files(self):
        files = [self.volume(f"{name}.nii.gz", self.values[..., index]) for index, name in enumerate("abc")]
        self.assertEqual(self.run_mix(*files, "--channels", "files"), "files")

    def test_metaimage_output_has_vector_pixels(self):
        self.run_tool(self.volume("series.nii", self.values), "-c", self.mix, "-o", self.folder / "mixed.mha")
        output, _ = metaimage.read(self.folder / "mixed.mha")
        numpy.testing.assert_array_equal(output, self.expected)

    def test_files_into_a_folder_and_through_a_manifest(self):
        files = [self.volume(f"{name}.nii", self.values[..., index]) for index, name in enumerate("abc")]
        self.run_tool(*files, "-c", self.mix, "-o", f"{self.folder}/out/", "--channels", "files")
        self.assertIn("out/a_up.nii", self.files())
        manifest = self.folder / "jobs.jsonl"
        names = ", ".join(f'"{file}"' for file in files)
        manifest.write_text(f'{{"input": [{names}], "output": "{self.folder}/m.nii"}}\n')
        self.run_tool("--manifest", manifest, "-c", self.mix, "--channels", "files")
        numpy.testing.assert_array_equal(read_volume(self.folder / "m.nii")[0].squeeze(), self.expected)

    def test_files_must_be_as_many_as_channels(self):
        files = [self.volume(f"{name}.nii") for name in "ab"]
        self.refused(5, ["2 files", "3 channels"], *files, "-c", self.mix, "-n", "--channels", "files")

    def test_files_must_lie_on_one_grid(self):
        files = [self.volume("a.nii"), self.volume("b.nii"), self.volume("c.nii", affine=oblique((1, 1, 1)))]
        self.refused(5, ["c.nii", "not on the grid of", "resample"], *files, "-c", self.mix, "-n", "--channels", "files")
        files[2] = self.volume("d.nii", ramp((5, 6, 8)))
        self.refused(5, ["d.nii", "not on the grid of"], *files, "-c", self.mix, "-n", "--channels", "files")

    def test_files_must_be_single_scalar_volumes(self):
        files = [self.volume("a.nii"), self.volume("b.nii"), self.volume("series.nii", ramp((5, 6, 7, 2)))]
        self.refused(5, ["series.nii", "2 volumes"], *files, "-c", self.mix, "-n", "--channels", "files")

    def test_files_must_agree_on_the_type_that_is_kept(self):
        files = [self.volume("a.nii"), self.volume("b.nii"), self.volume("c.nii", ramp(dtype=numpy.int16))]
        common = (*files, "-c", self.mix, "-n", "--channels", "files")
        self.refused(6, ["uint8", "int16", "--output-type"], *common, "--output-type", "same")
        self.run_tool(*common, "--output-type", "int32")

    def test_wrong_number_of_components(self):
        path = self.folder / "vector.mha"
        metaimage.write(path, self.values[..., :2], numpy.eye(4), components=True)
        self.refused(5, ["3 channels", "2 components"], path, "-c", self.mix, "-n")

    def test_time_of_a_vector_file(self):
        path = self.folder / "vector.mha"
        metaimage.write(path, self.values, numpy.eye(4), components=True)
        self.refused(5, ["--channels components"], path, "-c", self.mix, "-n", "--channels", "time")

    def test_each_volume_of_a_series_on_its_own(self):
        series = self.volume("series.nii", self.values)
        report = self.report(series, "-c", "trilinear_x2", "-o", self.folder / "up.nii")["jobs"][0]
        self.assertEqual(report["input"]["shape"], [3, 1, 5, 4, 3])
        self.assertEqual(report["input"]["channels"], "auto:volumes")
        output, _ = read_volume(self.folder / "up.nii")
        for index in range(3):
            alone, _ = self.upsample(self.values[..., index], "trilinear_x2")
            numpy.testing.assert_array_equal(output[..., index], alone)

    def test_components_pass_an_interpolation_each_alone(self):
        path = self.folder / "vector.mha"
        metaimage.write(path, self.values, numpy.eye(4), components=True)
        self.run_tool(path, "-c", "trilinear_x2", "-o", self.folder / "up.mha")
        output, _ = metaimage.read(self.folder / "up.mha")
        for index in range(3):
            alone, _ = self.upsample(self.values[..., index], "trilinear_x2")
            numpy.testing.assert_array_equal(output[..., index], alone)


class Repeatable(ToolTest):
    def test_any_number_of_threads_gives_the_same_file(self):
        source = self.volume("a.nii", numpy.random.default_rng(3).normal(size=(33, 34, 35)).astype(numpy.float32))
        outputs = []
        for threads in (1, 2, 5):
            self.run_tool(source, "-c", "cubic_x2", "-o", self.folder / "up.nii.gz", "-f", "-j", threads)
            outputs.append((self.folder / "up.nii.gz").read_bytes())
        self.assertEqual(outputs[0], outputs[1])
        self.assertEqual(outputs[0], outputs[2])

    def test_compression_level_changes_the_size_only(self):
        source = self.volume("a.nii", ramp((40, 40, 40), numpy.uint16))
        sizes, arrays = [], []
        for level in (0, 1, 12):
            self.run_tool(source, "-c", "trilinear_x2", "-o", self.folder / "up.nii.gz", "-f", "--compression-level", level)
            sizes.append((self.folder / "up.nii.gz").stat().st_size)
            arrays.append(read_volume(self.folder / "up.nii.gz")[0])
        self.assertEqual(sizes, sorted(sizes, reverse=True))
        self.assertLess(sizes[2], sizes[0])
        numpy.testing.assert_array_equal(arrays[0], arrays[1])
        numpy.testing.assert_array_equal(arrays[0], arrays[2])


if __name__ == "__main__":
    unittest.main()
