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

    def stop(self, process, number, code):
        """Sends the signal; the process must end soon, with that code. Gives stdout and stderr."""
        self.assertIsNone(process.poll(), "ended before it could be interrupted")
        process.send_signal(number)
        began = time.monotonic()
        output, errors = process.communicate(timeout=60)
        self.assertLess(time.monotonic() - began, SOON)
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
        for name in ("up.nii.gz", "up.mha"):
            for number, code in SIGNALS.items():
                with self.subTest(name, number=number):
                    process = self.start(source, "-c", config, "-o", self.folder / name, "--compression-level", "12", "-j1")
                    while self.files() == before and process.poll() is None:
                        time.sleep(0.01)
                    time.sleep(0.3)
                    self.stop(process, number, code)
                    self.assertEqual(self.files(), before)

    def test_at_any_moment(self):
        """From before the program has begun until after it has ended: the output is whole, or there is nothing of it."""
        source = self.noise("a.nii.gz", 60)
        outputs = {"up.nii.gz": (), "up.mhd": ("--compression-level", "1")}
        before, steps = self.files(), 12
        for name, options in outputs.items():
            arguments = (source, "-c", "trilinear_x2", "-o", self.folder / name, "--output-type", "float32", *options)
            began = time.monotonic()
            self.run_tool(*arguments)
            duration = time.monotonic() - began
            whole = self.take_outputs(before)
            for step in range(steps):
                for number, code in SIGNALS.items():
                    with self.subTest(name, number=number, step=step):
                        process = self.start(*arguments)
                        time.sleep(1.1 * duration * step / (steps - 1))
                        process.send_signal(number)
                        _, errors = process.communicate(timeout=60)
                        # Before the program has put its handlers up the system ends it, which a shell calls the same code.
                        self.assertIn(process.returncode, (0, code, -number), errors)
                        left = self.take_outputs(before)
                        self.assertIn(left, ({}, whole))
                        if process.returncode == 0:
                            self.assertEqual(left, whole)

    def test_a_batch_at_any_moment(self):
        """Volumes overlap, but outputs come in order: the first ones are whole, and of the others there is nothing."""
        sources = [self.noise(f"{i}.nii.gz", 40 + i) for i in range(5)]
        before, steps = self.files(), 12
        arguments = (*sources, "-c", "trilinear_x2", "-o", self.folder, "--output-type", "float32", "-j", "2")
        began = time.monotonic()
        self.run_tool(*arguments)
        duration = time.monotonic() - began
        whole = self.take_outputs(before)
        for step in range(steps):
            with self.subTest(step=step):
                process = self.start(*arguments)
                time.sleep(1.1 * duration * step / (steps - 1))
                process.send_signal(signal.SIGTERM)
                _, errors = process.communicate(timeout=60)
                self.assertIn(process.returncode, (0, 143, -signal.SIGTERM), errors)
                left = self.take_outputs(before)
                self.assertEqual(list(left), list(whole)[: len(left)])
                for name, content in left.items():
                    self.assertEqual(content, whole[name])

    def take_outputs(self, before):
        """Contents of all files that were not there before, by name; they are removed."""
        names = [name for name in self.files() if name not in before]
        contents = {name: (self.folder / name).read_bytes() for name in names}
        for name in names:
            (self.folder / name).unlink()
        self.assertEqual([path.name for path in self.folder.iterdir() if path.is_dir()], [])
        return contents

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
