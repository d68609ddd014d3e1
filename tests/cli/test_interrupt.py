"""A signal ends the run within seconds, with the shell's exit code, and leaves the folder as it was."""

import json
import signal
import subprocess
import time
import unittest

import numpy
from support import TOOL, ToolTest, conv, scale

SIGNALS = {signal.SIGINT: 130, signal.SIGTERM: 143}
SOON = 5  # seconds


class Interrupted(ToolTest):
    def start(self, *arguments):
        process = subprocess.Popen([TOOL, *map(str, arguments)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for clean_up in (process.stderr.close, process.stdout.close, process.wait, process.kill):
            self.addCleanup(clean_up)  # the last is the first
        return process

    def stop(self, process, number, code, seconds=SOON):
        """Sends the signal; the process must end in that time, with that code. Gives stdout and stderr."""
        self.assertIsNone(process.poll(), "ended before it could be interrupted")
        process.send_signal(number)
        began = time.monotonic()
        output, errors = process.communicate(timeout=60)
        self.assertLess(time.monotonic() - began, seconds)
        self.assertEqual(process.returncode, code, errors)
        self.assertIn("no partial output", errors)
        return output, errors

    def slow_to_compute(self):
        """31³ random weights: no algorithm makes that quick."""
        weights = {"weight": {"init": "kaiming_uniform", "seed": 1}}
        return self.config({**conv(31, padding=15), "weights": weights}, name="slow")

    def noise(self, name, size=200):
        values = numpy.random.default_rng(1).integers(0, 60000, (size,) * 3).astype(numpy.uint16)
        return self.volume(name, values)

    def test_while_computing(self):
        source, config = self.noise("a.nii"), self.slow_to_compute()
        before = self.files()
        for number, code in SIGNALS.items():
            with self.subTest(number):
                process = self.start(source, "-c", config, "-o", self.folder / "up.nii.gz")
                time.sleep(1)
                self.stop(process, number, code)
                self.assertEqual(self.files(), before)

    def test_while_writing(self):
        """Noise at level 12 is slow to compress; the temporary file shows that writing has begun."""
        source, config = self.noise("a.nii", 300), self.config(scale(1.0001))
        before = self.files()
        # MetaImages are compressed by ITK in one piece, which ends when it ends; but nothing may be left then either.
        for name, seconds in (("up.nii.gz", SOON), ("up.mha", 60)):
            for number, code in SIGNALS.items():
                with self.subTest(name, number=number):
                    process = self.start(source, "-c", config, "-o", self.folder / name, "--compression-level", "12", "-j1")
                    while self.files() == before and process.poll() is None:
                        time.sleep(0.01)
                    time.sleep(0.3)
                    self.stop(process, number, code, seconds)
                    self.assertEqual(self.files(), before)

    def test_existing_output_stays_as_it_was(self):
        source, config = self.noise("a.nii"), self.slow_to_compute()
        (self.folder / "up.nii").write_text("precious")
        process = self.start(source, "-c", config, "-o", self.folder / "up.nii", "--force")
        time.sleep(1)
        self.stop(process, signal.SIGINT, 130)
        self.assertEqual((self.folder / "up.nii").read_text(), "precious")

    def test_batch_stops_at_once_and_says_how_far_it_came(self):
        slow = self.slow_to_compute()
        lines = [{"input": str(self.volume("a.nii")), "config": "trilinear_x2", "output": str(self.folder / "a_up.nii")},
                 {"input": str(self.noise("b.nii")), "config": str(slow), "output": str(self.folder / "b_up.nii")},
                 {"input": str(self.volume("c.nii")), "config": "trilinear_x2", "output": str(self.folder / "c_up.nii")}]
        manifest = self.folder / "jobs.jsonl"
        manifest.write_text("".join(json.dumps(line) + "\n" for line in lines))
        process = self.start("--manifest", manifest, "--json")
        while not (self.folder / "a_up.nii").exists() and process.poll() is None:
            time.sleep(0.01)
        time.sleep(1)
        output, _ = self.stop(process, signal.SIGTERM, 143)
        self.assertEqual([job["status"] for job in json.loads(output)["jobs"]], ["done", "failed", "planned"])
        self.assertEqual([name for name in self.files() if "_up" in name], ["a_up.nii"])

    def test_a_second_signal_changes_nothing(self):
        source, config = self.noise("a.nii"), self.slow_to_compute()
        before = self.files()
        process = self.start(source, "-c", config, "-o", self.folder / "up.nii.gz")
        time.sleep(1)
        process.send_signal(signal.SIGINT)
        self.stop(process, signal.SIGINT, 130)
        self.assertEqual(self.files(), before)


if __name__ == "__main__":
    unittest.main()
