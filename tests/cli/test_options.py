"""The command line itself: help, what is refused and how, and that flags may stand anywhere."""

import os
import pty
import re
import subprocess
import unittest

import numpy
from support import TOOL, ToolTest, ramp, read_volume, scale

OPTIONS = ["-c", "--config", "-o", "--output", "--suffix", "--ext", "-n", "--dry-run", "--json", "-f", "--force",
           "--skip-existing", "-j", "--threads", "--max-memory", "--output-type", "--channels", "--origin",
           "--compression-level", "--manifest", "--fail-fast", "-q", "--quiet", "-v", "--verbose", "--no-progress",
           "--list-configs", "--version", "-h", "--help"]
CONFIGS = ["nearest_x2", "trilinear_x2", "cubic_x2", "lanczos3_x2", "trilinear_z4", "decoder_64_32"]


class Help(ToolTest):
    def test_names_every_option_exit_code_and_config(self):
        for flag in ("-h", "--help"):
            text = self.run_tool(flag).stdout
            words = re.findall(r"(?<![\w-])--?[a-z][a-z-]*", text)
            self.assertEqual([option for option in OPTIONS if option not in words], [])
            for code in ("0", "1", "2", "3", "4", "5", "6", "7", "8", "130", "143"):
                self.assertRegex(text, rf"\b{code}\b")
            for config in CONFIGS:
                self.assertIn(config, text)

    def test_fits_two_screens(self):
        lines = self.run_tool("--help").stdout.splitlines()
        self.assertLess(len(lines), 75)
        self.assertLessEqual(max(map(len, lines)), 125)

    def test_help_wins_over_what_is_missing(self):
        self.assertIn("usage", self.run_tool("scan.nii.gz", "--help").stdout)

    def test_version(self):
        self.assertRegex(self.run_tool("--version").stdout, r"^convt3d \d+\.\d+\.\d+\n$")

    def test_list_configs(self):
        lines = self.run_tool("--list-configs").stdout.splitlines()
        names = [line.split()[0] for line in lines]
        self.assertEqual(names, sorted(names))
        self.assertTrue(set(CONFIGS) <= set(names), names)
        self.assertTrue(all(len(line.split()) > 3 for line in lines), "every config says what it is")

    def test_list_configs_as_json(self):
        configs = self.report("--list-configs")["configs"]
        self.assertGreaterEqual(len(configs), len(CONFIGS))
        for config in configs:
            self.assertTrue(config["name"] and config["description"] and os.path.isfile(config["path"]), config)


class Refused(ToolTest):
    """Exit code 2, before any file is looked at."""

    def test_nothing_to_do(self):
        self.refused(2, ["no INPUT given", "--help"])

    def test_no_config(self):
        self.refused(2, ["no config given", "-c FILE", "--list-configs"], "a.nii", "-o", "b.nii")

    def test_no_output(self):
        self.refused(2, ["no output given", "-o FILE", "--dry-run"], "a.nii", "-c", "trilinear_x2")

    def test_unknown_option_with_a_guess(self):
        self.refused(2, ["--forse: no such option", "--force"], "a.nii", "-c", "trilinear_x2", "-o", "b.nii", "--forse")
        self.refused(2, ["--output-typ: no such option", "--output-type"], "a.nii", "--output-typ=uint8")

    def test_unknown_option_without_a_guess(self):
        text = self.refused(2, ["--xyzzyx: no such option"], "a.nii", "--xyzzyx")
        self.assertNotIn("did you mean", text)

    def test_values_out_of_range(self):
        common = ("a.nii", "-c", "trilinear_x2", "-o", "b.nii")
        for option, value, expected in (("--compression-level", "13", "12"), ("--compression-level", "-1", "0"),
                                        ("--compression-level", "best", "--compression-level"), ("-j", "0", "--threads"),
                                        ("-j", "two", "--threads"), ("--threads", "-3", "--threads"),
                                        ("--output-type", "int64", "float32"), ("--output-type", "float16", "float32"),
                                        ("--channels", "rgb", "components"), ("--ext", ".png", ".nii.gz"),
                                        ("--ext", "nii.gz", ".nii.gz")):
            with self.subTest(option=option, value=value):
                self.refused(2, [option.replace("-j", "--threads"), expected], *common, option, value)

    def test_sizes(self):
        common = ("a.nii", "-c", "trilinear_x2", "-o", "b.nii", "--max-memory")
        for size in ("lots", "2GiBs", "-5MB", "0", "0.1", "1e400", "99999999999TB", "MB", "1..5GB", "nan", "inf"):
            with self.subTest(size):
                self.refused(2, ["--max-memory"], *common, size)

    def test_missing_values(self):
        self.refused(2, ["--output", "one value"], "a.nii", "-c", "trilinear_x2", "-o")
        self.refused(2, ["--output", "--force", "./--force"], "a.nii", "-c", "trilinear_x2", "-o", "--force")
        self.refused(2, ["--config", "-n"], "a.nii", "-c", "-n", "-o", "b.nii")

    def test_empty_values(self):
        self.refused(2, ["--output", "empty"], "a.nii", "-c", "trilinear_x2", "-o", "")
        self.refused(2, ["--config", "empty"], "a.nii", "-c", "", "-o", "b.nii")
        self.refused(2, ["--max-memory", "empty"], "a.nii", "-c", "trilinear_x2", "-n", "--max-memory", "")
        self.refused(2, ["INPUT", "empty"], "", "-c", "trilinear_x2", "-o", "b.nii")

    def test_twice(self):
        self.refused(2, ["--output", "once"], "a.nii", "-c", "trilinear_x2", "-o", "b.nii", "-o", "c.nii")

    def test_flags_take_no_value(self):
        self.refused(2, ["--json: takes no value"], "a.nii", "-c", "trilinear_x2", "-n", "--json=false")

    def test_suffix_with_a_folder(self):
        self.refused(2, ["--suffix", "/"], "a.nii", "-c", "trilinear_x2", "-o", "up/", "--suffix", "/../x")

    def test_standard_streams(self):
        self.refused(2, ["standard input"], "-", "-c", "trilinear_x2", "-o", "b.nii")
        self.refused(2, ["standard input"], "a.nii", "-c", "trilinear_x2", "-o", "-")

    def test_contradictions(self):
        common = ("a.nii", "-c", "trilinear_x2", "-o", "b.nii")
        self.refused(2, ["--force", "--skip-existing"], *common, "--force", "--skip-existing")
        self.refused(2, ["--quiet", "--verbose"], *common, "-q", "-v")
        self.refused(2, ["--manifest", "INPUT"], "a.nii", "--manifest", "jobs.jsonl")
        self.refused(2, ["--manifest", "--output"], "-o", "up/", "--manifest", "jobs.jsonl")
        self.refused(2, ["--manifest", "--suffix"], "--suffix", "_x", "--manifest", "jobs.jsonl")
        self.refused(2, ["--suffix", "b.nii"], *common, "--suffix", "_x")
        self.refused(2, ["--ext", "b.nii"], *common, "--ext", ".mha")


class Anywhere(ToolTest):
    def test_flags_between_the_inputs(self):
        first, second = self.volume("a.nii.gz"), self.volume("b.nii.gz")
        config = self.config(scale(2))
        self.run_tool("-f", first, "--origin", "keep", "-c", config, second, "-o", f"{self.folder}/up/", "-j1")
        self.assertIn("up/a_up.nii.gz", self.files())
        self.assertIn("up/b_up.nii.gz", self.files())

    def test_equals_sign_and_joined_values(self):
        source = self.volume("a.nii.gz")
        self.run_tool(source, f"-c{self.config(scale(2))}", f"--output={self.folder}/up.nii", "--threads=2")
        self.assertEqual(read_volume(self.folder / "up.nii")[0][0, 0, 1], 2)

    def test_file_that_looks_like_an_option(self):
        self.volume("-odd.nii")
        self.run_tool("-c", self.config(scale(2)), "-o", "./-up.nii", "./-odd.nii", cwd=self.folder)
        self.assertIn("-up.nii", self.files())
        self.run_tool("-c", self.config(scale(2)), "-o", "up.nii", "--", "-odd.nii", cwd=self.folder)
        self.assertIn("up.nii", self.files())


class Streams(ToolTest):
    """stdout carries the report alone; the bar and colours are a terminal's."""

    def run_on_terminal(self, *arguments, environment=None):
        """What the tool writes to a terminal as stderr."""
        primary, secondary = pty.openpty()
        variables = {**os.environ, "TERM": "xterm", **(environment or {})}
        process = subprocess.Popen([TOOL, *map(str, arguments)], stdout=subprocess.DEVNULL, stderr=secondary, env=variables)
        os.close(secondary)
        seen = b""
        try:
            while chunk := os.read(primary, 4096):
                seen += chunk
        except OSError:  # the other end is closed
            pass
        os.close(primary)
        process.wait(timeout=60)
        return seen.decode()

    def long_job(self):
        """Arguments of a run that takes over a second: noise is slow to compress at level 12."""
        noise = numpy.random.default_rng(1).integers(0, 60000, (250, 250, 250)).astype(numpy.uint16)
        return [self.volume("noise.nii", noise), "-c", self.config(scale(1.001)), "-o", self.folder / "up.nii.gz", "-f",
                "--compression-level", "12", "-j", "1"]

    def test_bar_on_a_terminal_for_long_work(self):
        job = self.long_job()
        self.assertRegex(self.run_on_terminal(*job), r"\[#* *\] +\d+ %")
        for silent in ("--no-progress", "-q"):
            self.assertNotIn("%", self.run_on_terminal(*job, silent))

    def test_no_bar_for_short_work_nor_without_a_terminal(self):
        job = [self.volume("a.nii"), "-c", self.config(scale(1)), "-o", self.folder / "up.nii", "-f"]
        self.assertEqual(self.run_on_terminal(*job), "")
        self.assertEqual(self.run_tool(*job).stderr, "")

    def test_colours(self):
        wrong = ["missing.nii", "-c", "trilinear_x2", "-n"]
        self.assertIn("\033[", self.run_on_terminal(*wrong))
        self.assertNotIn("\033[", self.run_on_terminal(*wrong, environment={"NO_COLOR": "1"}))
        self.assertNotIn("\033[", self.run_tool(*wrong, code=4).stderr)

    def test_quiet_prints_errors_only(self):
        source = self.volume("a.nii.gz")
        clipping = ("-c", self.config(scale(500)), "-o", self.folder / "up.nii", "--output-type", "uint8")
        done = self.run_tool(source, *clipping, "-q")
        self.assertEqual((done.stdout, done.stderr), ("", ""))
        done = self.run_tool(source, "-c", self.config(scale(2)), "-o", self.folder / "up.nii", "-q", code=6)
        self.assertEqual(done.stdout, "")
        self.assertIn("up.nii: exists", done.stderr)

    def test_report_that_cannot_be_written_is_an_error(self):
        with open("/dev/full", "w", encoding="utf-8") as full:
            done = subprocess.run([TOOL, "--help"], stdout=full, stderr=subprocess.PIPE, text=True, check=False)
        self.assertEqual(done.returncode, 6)
        self.assertIn("standard output", done.stderr)

    def test_report_for_people(self):
        source = self.volume("a.nii.gz", ramp())
        done = self.run_tool(source, "-c", "trilinear_x2", "-o", self.folder / "up.nii.gz")
        for text in ("a.nii.gz -> ", "up.nii.gz", "(1, 1, 7, 6, 5) uint8", "(1, 1, 14, 12, 10) uint8", "thread", "read"):
            self.assertIn(text, done.stdout)
        self.assertEqual(done.stderr, "")

    def test_verbose_report_for_people(self):
        text = self.run_tool(self.volume("a.nii"), "-c", "trilinear_x2", "-o", self.folder / "up.nii", "-v").stdout
        for expected in ("ConvTranspose3d(", "memory", "process: program", "read "):
            self.assertIn(expected, text)

    def test_dry_run_for_people(self):
        source = self.volume("a.nii.gz")
        text = self.run_tool(source, "-c", "trilinear_x2", "-n").stdout
        for expected in ("ConvTranspose3d(", "kernel_size=(4, 4, 4)", "stride=(2, 2, 2)", "(-0.25, -0.25, -0.25) voxels",
                         "mm (LPS)", "memory", "spacing 0.5 x 0.5 x 0.5 mm"):
            self.assertIn(expected, text)
        verbose = self.run_tool(source, "-c", "trilinear_x2", "-n", "-v").stdout
        self.assertGreater(len(verbose.splitlines()), len(text.splitlines()) + 3)
        self.assertEqual(self.files(), ["a.nii.gz"])


if __name__ == "__main__":
    unittest.main()
