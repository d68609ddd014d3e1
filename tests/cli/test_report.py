"""The report: keys and types by report.schema.json, numbers by what is in the files, memory by the kernel's account."""

import hashlib
import json
import os
import pathlib
import re
import subprocess
import sys
import unittest

import jsonschema
import nibabel
import numpy
from metaimage import LPS
from support import TOOL, ToolTest, conv, oblique, ramp, read_volume, scale

SCHEMA = json.loads(pathlib.Path(__file__).with_name("report.schema.json").read_text())

TOOL_BYTES = pathlib.Path(TOOL).read_bytes()

# A program of its own: the kernel counts what a process holds before it becomes the tool, and numpy holds a lot.
MEASURE = """
import os, sys
pid = os.spawnv(os.P_NOWAIT, sys.argv[1], sys.argv[1:])
_, status, usage = os.wait4(pid, 0)
print(usage.ru_maxrss, file=sys.stderr)
sys.exit(os.waitstatus_to_exitcode(status))
"""


class Report(ToolTest):
    def checked(self, *arguments, code=0):
        done = self.run_tool(*arguments, "--json", code=code)
        report = json.loads(done.stdout)
        jsonschema.Draft202012Validator(SCHEMA).validate(report)
        return report

    def test_every_status_has_every_key(self):
        sources = [self.volume(f"{name}.nii") for name in "abc"]
        sources[1].write_text("no volume")
        (self.folder / "up").mkdir()
        (self.folder / "up/c_up.nii").write_text("there")
        report = self.checked(*sources, "-c", "trilinear_x2", "-o", self.folder / "up", "--skip-existing", code=8)
        self.assertEqual([job["status"] for job in report["jobs"]], ["done", "failed", "skipped"])
        self.checked(*sources[::2], "-c", "trilinear_x2", "-n")

    def test_says_what_is_in_the_files(self):
        affine = oblique((0.5, 0.75, 2))
        source, target = self.volume("a.nii.gz", ramp(dtype=numpy.int16), affine), self.folder / "up.nii.gz"
        report = self.checked(source, "-c", "trilinear_x2", "-o", target, "-j", "2")
        job = report["jobs"][0]
        self.assertEqual((job["status"], job["error"], report["threads"]), ("done", None, 2))
        self.assertEqual((job["input"]["path"], job["output"]["path"]), (str(source), str(target)))
        self.assertEqual((job["input"]["shape"], job["output"]["shape"]), ([1, 1, 7, 6, 5], [1, 1, 14, 12, 10]))
        self.assertEqual((job["input"]["pixel_type"], job["output"]["pixel_type"]), ("int16", "int16"))
        self.assertEqual(job["output"]["bytes"], 2 * 14 * 12 * 10)
        self.assertEqual(job["output"]["file_bytes"], target.stat().st_size)
        for side, placed in (("input", affine), ("output", read_volume(target)[1])):
            lps = LPS @ placed
            spacing = numpy.linalg.norm(lps[:3, :3], axis=0)
            numpy.testing.assert_allclose(job[side]["spacing"], spacing, rtol=1e-6)
            numpy.testing.assert_allclose(job[side]["origin"], lps[:3, 3], atol=1e-5)
            numpy.testing.assert_allclose(numpy.reshape(job[side]["direction"], (3, 3)), lps[:3, :3] / spacing, atol=1e-6)
        seconds = job["seconds"]
        self.assertGreaterEqual(seconds["total"] + 1e-6, seconds["read"] + seconds["compute"] + seconds["write"])

    def test_speed_of_each_stage_and_what_bounded_the_run(self):
        source = self.volume("a.nii.gz", ramp((60, 70, 80)))
        arguments = (source, "-c", "trilinear_x2", "-o", self.folder / "up.nii.gz", "--output-type", "float32", "--force")
        report = self.checked(*arguments)
        job = report["jobs"][0]
        seconds, speeds = job["seconds"], job["mb_per_s"]
        for stage, count in (("read", 60 * 70 * 80), ("compute", 4 * 8 * 60 * 70 * 80), ("write", 4 * 8 * 60 * 70 * 80)):
            self.assertAlmostEqual(seconds[stage] * speeds[stage] * 1e6, count, delta=1e-6 * count)
        longest = max(("read", "compute", "write"), key=seconds.get)
        self.assertEqual((job["bound_by"], report["bound_by"]), (longest, longest))
        self.assertEqual([report["seconds"][stage] for stage in ("read", "compute", "write")],
                         [seconds[stage] for stage in ("read", "compute", "write")])
        self.assertGreaterEqual(report["seconds"]["total"], seconds["total"])
        self.assertRegex(self.run_tool(*arguments, "-v").stdout,
                         r"read .* MB/s, compute .* MB/s, write .* MB/s of voxels; bound by (read|compute|write)\n")
        planned = self.checked(*arguments, "-n")
        self.assertEqual({*planned["seconds"].values(), planned["bound_by"], planned["jobs"][0]["bound_by"]}, {None})

    def test_config_and_its_digest(self):
        config = self.config(scale(2))
        report = self.checked(self.volume("a.nii"), "-c", config, "-n")
        self.assertEqual(report["config"], {"path": str(config), "sha256": hashlib.sha256(config.read_bytes()).hexdigest()})

    def test_layers(self):
        config = self.config({**conv(3, in_channels=1, out_channels=4, stride=2, padding=1, output_padding=1), "name": "up"},
                             {"type": "relu"})
        layers = self.checked(self.volume("a.nii"), "-c", config, "-n")["jobs"][0]["layers"]
        self.assertEqual([layer["type"] for layer in layers], ["conv_transpose3d", "relu"])
        self.assertEqual(layers[0]["name"], "up")
        self.assertEqual(layers[0]["repr"],
                         "ConvTranspose3d(1, 4, kernel_size=(3, 3, 3), stride=(2, 2, 2), padding=(1, 1, 1), "
                         "output_padding=(1, 1, 1), bias=False)")
        self.assertEqual(layers[0]["output_shape"], [1, 4, 14, 12, 10])
        self.assertEqual(layers[1]["input_shape"], layers[0]["output_shape"])
        self.assertEqual((layers[0]["parameters"], layers[1]["parameters"]), (108, 0))
        self.assertTrue(layers[0]["algorithm"])
        self.assertIn(layers[0]["algorithm"], [row["algorithm"] for row in layers[0]["candidates"]])

    def test_flops_count_outputs_inside_the_volume(self):
        layers = self.checked(self.volume("a.nii"), "-c", self.config(conv(2, stride=2)), "-n")["jobs"][0]["layers"]
        self.assertEqual(layers[0]["flops"], 2 * 5 * 6 * 7 * 8)  # every input meets every tap

    def test_random_weights_are_warned_of(self):
        config = self.config({"type": "conv_transpose3d", "in_channels": 1, "out_channels": 1, "kernel_size": 2})
        source = self.volume("a.nii")
        done = self.run_tool(source, "-c", config, "-n")
        self.assertIn("convt3d: warning: ", done.stderr)
        self.assertTrue(self.checked(source, "-c", config, "-n")["jobs"][0]["warnings"])
        self.assertEqual(self.run_tool(source, "-c", config, "-n", "-q").stderr, "")

    def test_dry_run_writes_nothing_and_plans_the_same(self):
        source, target = self.volume("a.nii"), self.folder / "up.nii"
        planned = self.checked(source, "-c", "trilinear_x2", "-o", target, "-n")["jobs"][0]
        self.assertEqual(planned["status"], "planned")
        self.assertFalse(target.exists())
        done = self.checked(source, "-c", "trilinear_x2", "-o", target)["jobs"][0]
        self.assertEqual(planned["layers"], done["layers"])
        for key in ("path", "shape", "spacing", "origin", "direction", "pixel_type", "bytes"):
            self.assertEqual(planned["output"][key], done["output"][key])

    def test_path_that_is_no_utf8(self):
        source = os.fsencode(self.volume("a.nii"))
        odd = source.replace(b"a.nii", b"\xff\xfe.nii")
        os.rename(source, odd)
        done = subprocess.run([TOOL, odd, "-c", "trilinear_x2", "-n", "--json"], capture_output=True, check=True)
        json.loads(done.stdout.decode("utf-8"))


def conv3d(in_channels, out_channels, **members):
    return {**conv(3, 0.01, in_channels, out_channels, padding=1, **members), "type": "conv3d"}


def upsampling(in_channels, out_channels):
    return conv(4, 0.01, in_channels, out_channels, stride=2, padding=1)


def activated(*layers):
    return [step for layer in layers for step in (layer, {"type": "relu"})]


SANITIZED = b"__asan_init" in TOOL_BYTES or b"__tsan_init" in TOOL_BYTES


class Memory(ToolTest):
    """The plan's peak against what the process held at most, and the bound that is promised."""

    def peak(self, *arguments):
        """The report, and the most bytes that the process held, by the kernel's account."""
        done = subprocess.run([sys.executable, "-S", "-c", MEASURE, TOOL, *map(str, arguments), "--json"], capture_output=True,
                              text=True, check=True)
        return json.loads(done.stdout)["jobs"][0], int(done.stderr) * 1024

    def least(self, *arguments):
        """The bound in bytes that a refusal names."""
        refusal = self.run_tool(*arguments, "-n", "--max-memory", "1MB", code=7).stderr
        return int(re.search(r"the least that can is (\d+) bytes", refusal).group(1))

    @unittest.skipIf(SANITIZED, "sanitizers hold memory of their own")
    def test_jobs_that_overlap_hold_no_more_than_the_bound_together(self):
        noise = numpy.random.default_rng(5).normal(100, 20, (120, 120, 120)).astype(numpy.uint8)
        sources = [self.volume(f"{i}.nii.gz", noise) for i in range(6)]
        arguments = ("-c", "trilinear_x2", "--output-type", "float32", "--force", "-j", "2")
        alone, _ = self.peak(sources[0], *arguments, "-o", self.folder / "up.nii.gz")
        bound = alone["memory"]["peak_bytes"] + (24 << 20)
        _, measured = self.peak(*sources, *arguments, "-o", self.folder / "up", "--max-memory", bound)
        self.assertLess(measured, bound)

    @unittest.skipIf(SANITIZED, "sanitizers hold memory of their own")
    def test_what_a_volume_leaves_in_the_layers_counts_for_the_next(self):
        """Large volumes first, heavy weights last: the second volume's first layers meet the weights that the first left."""
        config = self.config(conv3d(1, 32), conv3d(32, 8, stride=4), conv3d(8, 256, stride=2), conv3d(256, 256), upsampling(256, 1))
        rng = numpy.random.default_rng(8)
        for sizes in ((80, 80), (76, 80, 84)):
            sources = [self.volume(f"{i}.nii", rng.normal(size=(size,) * 3).astype("float32")) for i, size in enumerate(sizes)]
            arguments = (*sources, "-c", config, "-o", self.folder / "up", "--force")
            planned = self.report(*arguments, "-n")["jobs"]
            bound = max(job["memory"]["peak_bytes"] for job in planned)
            _, unbounded = self.peak(*arguments)
            self.assertGreater(unbounded, bound, "kept, where there is room")
            _, measured = self.peak(*arguments, "--max-memory", bound)
            self.assertLessEqual(measured, bound)

    @unittest.skipIf(SANITIZED, "sanitizers hold memory of their own")
    def test_layers_with_heavy_weights_keep_to_the_plan(self):
        rng = numpy.random.default_rng(9)
        latent = self.volume("latent.nii", rng.normal(size=(8, 8, 8, 256)).astype("float32"))
        generator = self.config(*activated(upsampling(256, 128), upsampling(128, 64), upsampling(64, 32)), name="generator")
        scan = self.volume("scan.nii", rng.normal(size=(64, 64, 64)).astype("float32"))
        decoder = self.config(*activated(conv3d(1, 64), conv3d(64, 64), conv3d(64, 64)), upsampling(64, 1), name="decoder")
        for source, config, channels in ((latent, generator, "time"), (scan, decoder, "auto")):
            arguments = (source, "-c", config, "-o", self.folder / "up.nii", "--force", "--channels", channels)
            least = self.least(*arguments)
            for bound in ((), ("--max-memory", least)):
                with self.subTest(config.stem, bound=bound):
                    job, measured = self.peak(*arguments, *bound)
                    planned = job["memory"]["peak_bytes"]
                    self.assertLess(abs(planned - measured), 0.1 * measured + (32 << 20), job["memory"])
                    self.assertEqual(job["memory"]["tiles"] > 1, bool(bound))
            self.assertLessEqual(measured, least)

    @unittest.skipIf(SANITIZED, "sanitizers hold memory of their own")
    def test_estimate_is_near_the_truth(self):
        noise = numpy.random.default_rng(5).normal(100, 20, (150, 150, 150))
        layer = conv(3, 0.01, in_channels=1, out_channels=8, padding=1)
        wide, relu = self.config(layer, name="wide"), self.config(layer, {"type": "relu"}, name="relu")
        double, same = self.config({**layer, "dtype": "float64"}, name="double"), self.config(scale(1), name="same")
        for name, dtype, config in (("trilinear.nii.gz", "uint8", "trilinear_x2"),
                                    ("floats.nii.gz", "float32", "trilinear_x2"),
                                    ("raw.nii", "float32", "cubic_x2"),
                                    ("spline.nii", "float32", "bspline3_x2"),
                                    ("meta.mha", "int16", "nearest_x2"),
                                    ("large.nii.gz", "float64", same),
                                    ("wide.nii", "uint8", wide),
                                    ("relu.nii", "uint8", relu),
                                    ("double.nii", "float64", double)):
            with self.subTest(name):
                source = self.volume(name, noise.astype(dtype))
                job, measured = self.peak(source, "-c", config, "-o", self.folder / f"up_{name}")
                planned = job["memory"]["peak_bytes"]
                self.assertEqual(planned, sum(entry["bytes"] for entry in job["memory"]["ledger"]))
                self.assertLess(abs(planned - measured), 0.1 * measured + (32 << 20),
                                f"planned {planned >> 20} MiB ({job['memory']['stage']}), measured {measured >> 20} MiB")
                source.unlink()

    @unittest.skipIf(b"__asan_init" in TOOL_BYTES or b"__tsan_init" in TOOL_BYTES, "sanitizers hold memory of their own")
    def test_bounds_are_kept_and_change_no_bit(self):
        """Norms need passes of their own; the process's peak keeps to the bound, and near to the plan."""
        noise = numpy.random.default_rng(6).integers(0, 255, (120, 140, 150)).astype(numpy.uint8)
        source, output = self.volume("noise.nii.gz", noise), self.folder / "up.nii"
        norm = {"type": "instance_norm3d", "num_features": 1}
        norms = self.config(conv(3, 0.01, padding=1), norm, conv(2, 0.5, stride=2), norm, name="norms")
        for config, bounds in (("trilinear_x2", ("100MB", "60MB")), ("bspline3_x2", ("70MB",)), (norms, ("70MB",))):
            with self.subTest(config):
                arguments = (source, "-c", config, "-o", output, "--output-type", "float32", "--force")
                self.peak(*arguments)
                expected = output.read_bytes()
                least = self.least(*arguments)
                for bound, size in [(bound, int(bound[:-2]) * 1000 * 1000) for bound in bounds] + [(least, least)]:
                    job, measured = self.peak(*arguments, "--max-memory", bound)
                    planned = job["memory"]["peak_bytes"]
                    self.assertGreater(job["memory"]["tiles"], 1)
                    self.assertLessEqual(measured, size)
                    self.assertLess(abs(planned - measured), 0.1 * measured + (32 << 20), job["memory"])
                    self.assertEqual(output.read_bytes(), expected)

    @unittest.skipUnless(os.environ.get("CONVT3D_LONG_TESTS"), "takes half a minute and 10 GB; set CONVT3D_LONG_TESTS to run it")
    def test_a_volume_of_a_thousand_cubed(self):
        source, output = self.folder / "large.nii", self.folder / "up.nii"
        header = nibabel.Nifti1Header()
        header.set_data_shape((1024,) * 3)
        header.set_data_dtype(numpy.uint8)
        header.set_sform(numpy.eye(4), 1)
        header["vox_offset"] = 352
        plane = numpy.random.default_rng(7).integers(0, 255, (1024, 1024)).astype(numpy.uint8)
        with open(source, "wb") as file:
            file.write(header.binaryblock + bytes(4))
            for z in range(1024):
                file.write(numpy.roll(plane, 7 * z, axis=0).tobytes())
        job, measured = self.peak(source, "-c", "trilinear_x2", "-o", output, "--output-type", "uint8", "--max-memory", "1GB")
        self.assertLess(measured, 10**9)
        self.assertEqual(output.stat().st_size, 352 + 2048**3)
        self.assertGreater(job["memory"]["tiles"], 1)


if __name__ == "__main__":
    unittest.main()
