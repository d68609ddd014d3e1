"""Every exit code that a failing run can have, with the essentials of its message, and nothing left behind."""

import gzip
import resource
import unittest

import nibabel
import numpy
from support import ToolTest, conv, ramp, scale


class Config(ToolTest):
    """3: the config or its weights are invalid."""

    def test_no_such_config(self):
        self.refused(3, ["trilinear_x3", "trilinear_x2"], self.volume("a.nii"), "-c", "trilinear_x3", "-n")

    def test_no_json(self):
        (self.folder / "bad.json").write_text("{")
        self.refused(3, ["bad.json"], self.volume("a.nii"), "-c", self.folder / "bad.json", "-o", self.folder / "b.nii")

    def test_wrong_key_names_its_place(self):
        config = self.config({"type": "conv_transpose3d", "kernel_size": 2, "strid": 2})
        self.refused(3, ["config.json", "/layers/0", "strid", "stride"], self.volume("a.nii"), "-c", config, "-n")

    def test_one_bad_config_stops_a_batch_at_once(self):
        (self.folder / "bad.json").write_text("{}")
        sources = [self.volume(f"{name}.nii") for name in "abc"]
        text = self.refused(3, ["bad.json"], *sources, "-c", self.folder / "bad.json", "-o", self.folder / "up")
        self.assertEqual(text.count("convt3d: "), 1)
        self.assertFalse((self.folder / "up").exists())


class Input(ToolTest):
    """4: an input cannot be read or is no valid volume."""

    def refused_input(self, path, *expected):
        self.refused(4, [str(path), *expected], path, "-c", "trilinear_x2", "-o", self.folder / "up.nii.gz")
        self.assertFalse((self.folder / "up.nii.gz").exists())

    def test_missing(self):
        self.refused_input(self.folder / "missing.nii.gz")

    def test_folder(self):
        (self.folder / "folder.nii").mkdir()
        self.refused_input(self.folder / "folder.nii")

    def test_no_volume(self):
        for name in ("text.nii", "text.nii.gz", "text.mha", "text.png", "text"):
            with self.subTest(name):
                (self.folder / name).write_text("hello world\n" * 100)
                self.refused_input(self.folder / name)

    def test_empty_file(self):
        for name in ("empty.nii", "empty.nii.gz", "empty.mha"):
            with self.subTest(name):
                (self.folder / name).write_bytes(b"")
                self.refused_input(self.folder / name)

    def test_cut_off_data_fails_the_run_but_not_the_dry_run(self):
        for name in ("cut.nii", "cut.mha"):
            with self.subTest(name):
                path = self.volume(name, ramp((20, 20, 20)))
                path.write_bytes(path.read_bytes()[:-4000])
                self.run_tool(path, "-c", "trilinear_x2", "-n")
                self.refused_input(path)

    def test_cut_off_gzip_fails_the_run_but_not_the_dry_run(self):
        path = self.volume("whole.nii", numpy.random.default_rng(1).integers(0, 255, (40, 40, 40)).astype(numpy.uint8))
        cut = self.folder / "cut.nii.gz"
        cut.write_bytes(gzip.compress(path.read_bytes())[:20000])
        self.run_tool(cut, "-c", "trilinear_x2", "-n")
        self.refused_input(cut)


class Shape(ToolTest):
    """5: shapes do not fit."""

    def test_channels(self):
        config = self.config(conv(2, in_channels=4, out_channels=2))
        expected = ["a.nii", "4 channels", "1 volume of 1 component", "--channels files"]
        self.refused(5, expected, self.volume("a.nii"), "-c", config, "-n")

    def test_mode_that_would_fit_is_named(self):
        config = self.config(conv(2, in_channels=3, out_channels=2))
        series = self.volume("series.nii", ramp((4, 5, 6, 3)))
        self.refused(5, ["--channels time takes this file"], series, "-c", config, "-n", "--channels", "components")

    def test_output_smaller_than_one(self):
        config = self.config(conv(1, padding=4))
        self.refused(5, ["a.nii", "padding"], self.volume("a.nii"), "-c", config, "-n")

    def test_past_63_bits(self):
        config = self.config(*[conv(1, stride=1 << 20)] * 3)
        self.refused(5, ["a.nii"], self.volume("a.nii"), "-c", config, "-n")

    def test_layers_that_cannot_take_the_volume(self):
        shuffle = [{"type": "concat", "from": "input"}, {"type": "pixel_shuffle3d", "upscale_factor": 2}]
        for layers, expected in (
            (shuffle, "layer 1 (pixel_shuffle3d): channels are shuffled into blocks of 8 voxels, but the input has 2 channels"),
            ([{"type": "upsample", "scale_factor": 0.1}], "a depth of 7 voxels would have none"),
            ([{"type": "upsample", "size": [2147483647, 1, 1]}], "a depth passes 2^20 voxels"),
            ([{"type": "upsample", "scale_factor": 2, "name": "u"}, {"type": "add", "from": "input"}], "(1, 1, 7, 6, 5)"),
            ([{"type": "normalize", "mean": [1, 2], "std": 1}], "the model takes 2 channels"),
            ([{"type": "normalize", "name": "n"}, {"type": "concat", "from": "n"}, {"type": "concat", "from": "n"},
              {"type": "denormalize", "from": "n"}], None),
            ([{"type": "concat", "from": "input", "name": "two"}, {"type": "normalize", "name": "n"},
              {"type": "concat", "from": "two"}, {"type": "denormalize", "from": "n"}], "2 normalised channels, but 4 channels"),
        ):
            with self.subTest(layers):
                command = [self.volume("a.nii"), "-c", self.config(*layers), "-n"]
                self.run_tool(*command) if expected is None else self.refused(5, ["a.nii", expected], *command)

    def test_norms_of_one_voxel(self):
        for layer in ({"type": "instance_norm3d", "num_features": 1}, {"type": "group_norm", "num_groups": 1, "num_channels": 1}):
            self.refused(5, ["more than one value"], self.volume("a.nii", ramp((1, 1, 1))), "-c", self.config(layer), "-n")

    def test_reflection_wider_than_the_volume(self):
        config = self.config({"type": "pad", "mode": "reflect", "padding": 5})
        self.refused(5, ["a.nii"], self.volume("a.nii", ramp((3, 3, 3))), "-c", config, "-n")


class Output(ToolTest):
    """6: the output exists, or cannot be written."""

    def refused_output(self, path, *expected):
        self.refused(6, [str(path), *expected], self.volume("a.nii"), "-c", "trilinear_x2", "-o", path)

    def test_exists(self):
        source = self.volume("a.nii")
        target = self.folder / "up.nii"
        target.write_text("precious")
        self.refused(6, ["up.nii: exists", "--force", "--skip-existing"], source, "-c", "trilinear_x2", "-o", target)
        self.assertEqual(target.read_text(), "precious")
        self.run_tool(source, "-c", "trilinear_x2", "-o", target, "--skip-existing")
        self.assertEqual(target.read_text(), "precious")
        self.run_tool(source, "-c", "trilinear_x2", "-o", target, "--force")
        self.assertGreater(target.stat().st_size, 1000)

    def test_exists_is_noticed_before_anything_is_read(self):
        (self.folder / "up.nii").write_text("precious")
        self.refused(6, ["exists"], self.folder / "missing.nii", "-c", "no_such_config", "-o", self.folder / "up.nii")

    def test_format(self):
        self.refused_output(self.folder / "up.png", ".nii.gz", ".mha")
        self.refused_output(self.folder / "up", ".nii.gz", ".mha")

    def test_no_folder(self):
        self.refused_output(self.folder / "no/up.nii", "does not exist")

    def test_file_as_folder(self):
        (self.folder / "file").write_text("")
        self.refused_output(self.folder / "file/up.nii", "no folder")

    def test_folder_nobody_can_write_to(self):
        self.refused_output("/proc/up.nii")

    def test_folder_that_cannot_be_created(self):
        sources = [self.volume("a.nii"), self.volume("b.nii")]
        self.refused(6, ["/proc/up"], *sources, "-c", "trilinear_x2", "-o", "/proc/up/")

    def test_nan_to_integer(self):
        values = numpy.full((4, 4, 4), numpy.nan, numpy.float32)
        source = self.volume("a.nii", values)
        common = (source, "-c", self.config(scale(2)), "-o", self.folder / "up.nii")
        self.refused(6, ["64 of 64 voxels are NaN", "--output-type float32"], *common, "--output-type", "uint8")
        self.assertEqual(self.files(), ["a.nii", "config.json"])

    def test_file_size_limit(self):
        """Stands for a full disk everywhere: a write past the limit fails as one to a full disk does."""
        limit = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
        source = self.volume("a.nii", numpy.random.default_rng(1).normal(size=(40, 40, 40)).astype(numpy.float32))
        for name in ("up.nii", "up.nii.gz", "up.mha", "up.mhd"):
            with self.subTest(name):
                self.refused(6, [f"{name}: ", "at byte"], source, "-c", "trilinear_x2", "-o", self.folder / name,
                             preexec_fn=limit)
                self.assertEqual(self.files(), ["a.nii"])


class Type(ToolTest):
    def test_same_of_a_type_that_is_not_written(self):
        image = nibabel.Nifti1Image(numpy.zeros((4, 4, 4), numpy.int64), numpy.eye(4), dtype="int64")
        nibabel.save(image, self.folder / "labels.nii")
        self.refused(6, ["int64", "--output-type"], self.folder / "labels.nii", "-c", "trilinear_x2", "-n")
        self.run_tool(self.folder / "labels.nii", "-c", "trilinear_x2", "-n", "--output-type", "int32")


class Memory(ToolTest):
    """7: the bound cannot be met."""

    def test_names_the_least_bound_that_can(self):
        source = self.volume("a.nii", ramp((64, 64, 64)))
        text = self.refused(7, ["a.nii", "1000000 bytes", "the least that can is"], source, "-c",
                            "trilinear_x2", "-n", "--max-memory", "1MB")
        least = int(text.split("the least that can is ")[1].split()[0])
        self.refused(7, [f"{least} bytes"], source, "-c", "trilinear_x2", "-n", "--max-memory", least - 1)
        self.run_tool(source, "-c", "trilinear_x2", "-o", self.folder / "up.nii", "--max-memory", least)

    def test_units(self):
        source = self.volume("a.nii")
        for size, accepted in (("100GB", True), ("100gib", True), ("0.1TiB", True), ("1 TB", True), ("99999999999", True),
                               ("1KiB", False), ("1kb", False), ("2MiB", False), ("1000b", False)):
            with self.subTest(size):
                self.run_tool(source, "-c", "trilinear_x2", "-n", "--max-memory", size, code=0 if accepted else 7)


if __name__ == "__main__":
    unittest.main()
