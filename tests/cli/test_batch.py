"""Many volumes at once: names, collisions, manifests, failing members, existing outputs."""

import json
import unittest

import numpy
from support import ToolTest, ramp, read_volume, scale, write_volume


class Folder(ToolTest):
    def test_names(self):
        sources = [self.volume(name) for name in ("in/a.nii.gz", "in/b.nii", "in/c.mha", "in/d.v2.nii.gz")]
        self.run_tool(*sources, "-c", "trilinear_x2", "-o", self.folder / "up")
        self.assertEqual([name for name in self.files() if name.startswith("up/")],
                         ["up/a_up.nii.gz", "up/b_up.nii", "up/c_up.mha", "up/d.v2_up.nii.gz"])

    def test_suffix_and_extension(self):
        sources = [self.volume("a.nii.gz"), self.volume("b.mha")]
        self.run_tool(*sources, "-c", "trilinear_x2", "-o", self.folder / "up", "--suffix", "-x2", "--ext", ".nii")
        self.assertTrue({"up/a-x2.nii", "up/b-x2.nii"} <= set(self.files()))

    def test_one_input_into_a_folder(self):
        source = self.volume("a.nii")
        (self.folder / "there").mkdir()
        self.run_tool(source, "-c", "trilinear_x2", "-o", self.folder / "there")
        self.run_tool(source, "-c", "trilinear_x2", "-o", f"{self.folder}/new/deep/")
        self.assertTrue({"there/a_up.nii", "new/deep/a_up.nii"} <= set(self.files()))

    def test_empty_suffix_into_another_folder(self):
        self.run_tool(self.volume("a.nii"), "-c", "trilinear_x2", "-o", f"{self.folder}/up/", "--suffix", "")
        self.assertIn("up/a.nii", self.files())

    def test_file_for_several_inputs(self):
        sources = [self.volume("a.nii"), self.volume("b.nii")]
        self.refused(2, ["up.nii", "2 inputs need a folder", "--channels files"], *sources, "-c", "trilinear_x2", "-o",
                     self.folder / "up.nii")
        (self.folder / "file").write_text("")
        self.refused(2, ["file", "2 inputs need a folder"], *sources, "-c", "trilinear_x2", "-o", self.folder / "file")

    def test_two_inputs_of_one_name(self):
        sources = [self.volume("x/a.nii"), self.volume("y/a.nii")]
        target = self.folder / "up"
        self.refused(2, ["a_up.nii", "x/a.nii", "y/a.nii", "twice"], *sources, "-c", "trilinear_x2", "-o", target)
        self.assertFalse((self.folder / "up").exists())

    def test_output_that_is_an_input(self):
        source = self.volume("a.nii")
        self.refused(2, ["a.nii", "input"], source, "-c", "trilinear_x2", "-o", source, "--force")
        self.refused(2, ["a.nii", "input"], source, "-c", "trilinear_x2", "-o", self.folder, "--suffix", "", "--force")
        (self.folder / "link.nii").symlink_to(source)
        self.refused(2, ["link.nii", "input"], source, "-c", "trilinear_x2", "-o", self.folder / "link.nii", "--force")

    def test_dry_run_creates_no_folder(self):
        self.run_tool(self.volume("a.nii"), "-c", "trilinear_x2", "-o", f"{self.folder}/up/", "-n")
        self.assertFalse((self.folder / "up").exists())


class Failing(ToolTest):
    def setUp(self):
        super().setUp()
        self.good = [self.volume("a.nii"), self.volume("c.nii")]
        self.bad = self.folder / "bad.nii"
        self.bad.write_text("no volume")
        self.arguments = [self.good[0], self.bad, self.good[1], "-c", "trilinear_x2", "-o", self.folder / "up"]

    def test_the_others_are_done(self):
        report = self.report(*self.arguments, code=8)
        self.assertEqual([job["status"] for job in report["jobs"]], ["done", "failed", "done"])
        self.assertIn("bad.nii", report["jobs"][1]["error"])
        self.assertEqual(report["jobs"][1]["exit_code"], 4)
        self.assertTrue({"up/a_up.nii", "up/c_up.nii"} <= set(self.files()))

    def test_is_told_on_stderr_and_in_the_summary(self):
        done = self.run_tool(*self.arguments, code=8)
        self.assertIn("bad.nii", done.stderr)
        self.assertIn("3 volumes: 2 done, 1 failed", done.stdout)

    def test_that_fails_only_while_running(self):
        self.bad.unlink()
        cut = self.volume("bad.nii", ramp((20, 20, 20)))
        cut.write_bytes(cut.read_bytes()[:-100])
        report = self.report(*self.arguments, code=8)
        self.assertEqual([job["status"] for job in report["jobs"]], ["done", "failed", "done"])
        self.assertIsNotNone(report["jobs"][1]["input"]["shape"])
        self.assertNotIn("up/bad_up.nii", self.files())

    def test_fail_fast_plans_all_before_it_writes(self):
        report = self.report(*self.arguments, "--fail-fast", code=8)
        self.assertEqual([job["status"] for job in report["jobs"]], ["planned", "failed", "planned"])
        self.assertFalse((self.folder / "up").exists())

    def test_fail_fast_stops_a_batch_that_runs(self):
        self.bad.unlink()
        cut = self.volume("bad.nii", ramp((20, 20, 20)))
        cut.write_bytes(cut.read_bytes()[:-100])
        report = self.report(*self.arguments, "--fail-fast", code=8)
        self.assertEqual([job["status"] for job in report["jobs"]], ["done", "failed", "planned"])
        self.assertNotIn("up/c_up.nii", self.files())

    def test_weights_are_loaded_once(self):
        """Random weights are warned of as they are made."""
        config = self.config({"type": "conv_transpose3d", "in_channels": 1, "out_channels": 1, "kernel_size": 2})
        done = self.run_tool(*self.good, "-c", config, "-o", self.folder / "up")
        self.assertEqual(done.stderr.count("warning"), 1)

    def test_alone_ends_with_its_own_code(self):
        self.run_tool(self.bad, "-c", "trilinear_x2", "-o", self.folder / "up.nii", code=4)
        report = self.report(self.bad, "-c", "trilinear_x2", "-o", self.folder / "up.nii", code=4)
        self.assertEqual([job["status"] for job in report["jobs"]], ["failed"])

    def test_dry_run_of_a_batch(self):
        report = self.report(*self.arguments, "-n", code=8)
        self.assertEqual([job["status"] for job in report["jobs"]], ["planned", "failed", "planned"])


class Overlapping(ToolTest):
    """With two threads jobs overlap; nothing but the time may tell."""

    def sources(self, count):
        return [self.volume(f"{i}.nii.gz", ramp((20 + i, 30, 40))) for i in range(count)]

    def test_outputs_are_those_of_one_after_the_other(self):
        sources = self.sources(7)
        for threads, folder in ((1, "alone"), (2, "overlapping")):
            report = self.report(*sources, "-c", "trilinear_x2", "-o", self.folder / folder, "-j", threads)
            self.assertEqual([job["input"]["path"] for job in report["jobs"]], [str(source) for source in sources])
        for file in (self.folder / "alone").iterdir():
            self.assertEqual(file.read_bytes(), (self.folder / "overlapping" / file.name).read_bytes())

    def test_text_is_in_the_order_of_the_inputs(self):
        sources = self.sources(7)
        text = self.run_tool(*sources, "-c", "trilinear_x2", "-o", self.folder / "up", "-j", 2).stdout
        places = [text.index(f"{source} -> ") for source in sources]
        self.assertEqual(places, sorted(places))
        self.assertRegex(text, r"7 volumes: 7 done; .* in all, bound by (read|compute|write)\n$")

    def test_a_failure_after_computing_with_fail_fast_lets_nothing_behind_it_be_written(self):
        sources = self.sources(5)
        write_volume(sources[2], numpy.full((20, 30, 40), numpy.nan, numpy.float32))
        config = self.config(scale(2))
        for _ in range(5):
            report = self.report(*sources, "-c", config, "-o", self.folder / "up", "--force", "--fail-fast", "-j", 2,
                                 "--output-type", "uint8", code=8)
            statuses = [job["status"] for job in report["jobs"]]
            self.assertEqual(statuses, ["done", "done", "failed", "planned", "planned"])
            self.assertIn("NaN", report["jobs"][2]["error"])
            self.assertEqual([name for name in self.files() if name.startswith("up/")], ["up/0_up.nii.gz", "up/1_up.nii.gz"])

    def test_a_failure_without_it_stops_nothing(self):
        sources = self.sources(5)
        sources[1].write_bytes(sources[1].read_bytes()[:-50])
        write_volume(sources[2], numpy.full((20, 30, 40), numpy.nan, numpy.float32))
        report = self.report(*sources, "-c", "trilinear_x2", "-o", self.folder / "up", "-j", 2, "--output-type", "uint8",
                             code=8)
        self.assertEqual([job["exit_code"] for job in report["jobs"]], [0, 4, 6, 0, 0])


class Existing(ToolTest):
    def setUp(self):
        super().setUp()
        self.arguments = [self.volume("a.nii"), self.volume("b.nii"), "-c", "trilinear_x2", "-o", self.folder / "up"]
        (self.folder / "up").mkdir()
        (self.folder / "up/b_up.nii").write_text("precious")

    def test_stops_a_batch_before_anything_is_computed(self):
        self.refused(6, ["b_up.nii: exists"], *self.arguments)
        self.assertNotIn("up/a_up.nii", self.files())

    def test_all_are_named(self):
        (self.folder / "up/a_up.nii").write_text("precious")
        self.refused(6, ["a_up.nii: exists", "b_up.nii: exists"], *self.arguments)

    def test_is_skipped_and_counted(self):
        done = self.run_tool(*self.arguments, "--skip-existing")
        self.assertIn("2 volumes: 1 done, 1 skipped", done.stdout)
        self.assertIn("b.nii", done.stdout)
        self.assertEqual((self.folder / "up/b_up.nii").read_text(), "precious")

    def test_skipped_job_in_the_report(self):
        jobs = self.report(*self.arguments, "--skip-existing")["jobs"]
        self.assertEqual([job["status"] for job in jobs], ["done", "skipped"])
        self.assertIsNone(jobs[1]["error"])

    def test_nothing_left_to_do(self):
        self.run_tool(*self.arguments, "--skip-existing")
        done = self.run_tool(*self.arguments, "--skip-existing")
        self.assertIn("2 volumes: 2 skipped", done.stdout)

    def test_data_file_of_a_metaimage_counts_as_well(self):
        source = self.volume("a.nii")
        (self.folder / "scan.raw").write_text("precious")
        target = self.folder / "scan.mhd"
        self.refused(6, ["scan.raw: exists"], source, "-c", "trilinear_x2", "-o", target)
        self.run_tool(source, "-c", "trilinear_x2", "-o", target, "--force")
        self.assertEqual(read_volume(target)[0].shape, (10, 12, 14))

    def test_is_replaced(self):
        self.run_tool(*self.arguments, "--force")
        self.assertEqual(read_volume(self.folder / "up/b_up.nii")[0].shape, (10, 12, 14))


class Manifest(ToolTest):
    def manifest(self, *lines):
        path = self.folder / "jobs.jsonl"
        path.write_text("".join((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in lines))
        return path

    def line(self, name, **members):
        source = self.volume(f"{name}.nii")
        return {"input": str(source), "output": str(self.folder / f"{name}_out.nii"), **members}

    def test_each_line_with_its_config(self):
        twice, thrice = self.config(scale(2), name="twice"), self.config(scale(3), name="thrice")
        manifest = self.manifest(self.line("a"), "", self.line("b", config=str(thrice)), "   ",
                                 self.line("c", config="trilinear_x2"))
        report = self.report("--manifest", manifest, "-c", twice)
        self.assertEqual([job["status"] for job in report["jobs"]], ["done"] * 3)
        self.assertEqual([job["config"]["path"].split("/")[-1] for job in report["jobs"]],
                         ["twice.json", "thrice.json", "trilinear_x2.json"])
        self.assertEqual(read_volume(self.folder / "a_out.nii")[0][0, 0, 1], 2)
        self.assertEqual(read_volume(self.folder / "b_out.nii")[0][0, 0, 1], 3)

    def test_no_line_is_nothing_to_do(self):
        self.run_tool("--manifest", self.manifest("", " "))
        self.assertEqual(self.report("--manifest", self.manifest())["jobs"], [])

    def test_dry_run_needs_no_output(self):
        source = self.volume("a.nii")
        report = self.report("--manifest", self.manifest({"input": str(source)}), "-c", "trilinear_x2", "-n")
        self.assertIsNone(report["jobs"][0]["output"]["path"])

    def test_bad_config_of_one_line_fails_that_line(self):
        manifest = self.manifest(self.line("a", config="trilinear_x2"), self.line("b", config="no_such_config"))
        report = self.report("--manifest", manifest, code=8)
        self.assertEqual([job["status"] for job in report["jobs"]], ["done", "failed"])
        self.assertEqual(report["jobs"][1]["exit_code"], 3)

    def test_errors_name_the_line(self):
        good = self.line("a", config="trilinear_x2")
        for bad, expected in (("{", "JSON"),
                              ("[]", "expected an object"),
                              ({"input": 3, "output": "x.nii"}, '"input"'),
                              ({"output": "x.nii"}, '"input"'),
                              ({"input": "a.nii"}, '"output"'),
                              ({**good, "suffix": "x"}, '"suffix"'),
                              ({**good, "confg": "x"}, 'did you mean "config"'),
                              ({**good, "input": ["a.nii", "b.nii"]}, "--channels files"),
                              ('{"input": "a.nii", "input": "b.nii", "output": "c.nii"}', "twice"),
                              ({**good, "input": "-"}, "standard input"),
                              ({**good, "output": ""}, '"output"')):
            with self.subTest(bad):
                manifest = self.manifest(good, "", bad)
                self.refused(2, ["jobs.jsonl:3: ", expected], "--manifest", manifest, "-c", "trilinear_x2")
                self.assertNotIn("a_out.nii", self.files())

    def test_config_is_needed(self):
        self.refused(2, ["jobs.jsonl:1: ", '"config"', "--config"], "--manifest", self.manifest(self.line("a")))

    def test_collisions_name_the_line(self):
        a, b = self.line("a"), self.line("b")
        twice = self.manifest(a, {**b, "output": a["output"]})
        self.refused(2, ["jobs.jsonl:2: ", "twice"], "--manifest", twice, "-c", "trilinear_x2")
        onto_input = self.manifest(a, {**b, "output": a["input"]})
        self.refused(2, ["jobs.jsonl:2: ", "input"], "--manifest", onto_input, "-c", "trilinear_x2", "--force")

    def test_no_manifest(self):
        self.refused(2, ["--manifest", "missing.jsonl", "cannot be read"], "--manifest", self.folder / "missing.jsonl")


if __name__ == "__main__":
    unittest.main()
