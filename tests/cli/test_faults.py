"""What goes wrong with files while a run has them: damaged inputs, a full disk, a folder that vanishes or is read-only.

Each run ends with the exit code and a message that names the file and the byte or field, and leaves nothing behind.
"""

import contextlib
import gzip
import os
import pathlib
import shutil
import signal
import struct
import subprocess
import tempfile
import time
import unittest

import nibabel
import numpy
from support import TOOL, ToolTest, conv, scale


def noise(shape, dtype=numpy.float32, seed=1):
    return (1000 * numpy.random.default_rng(seed).normal(size=shape)).astype(dtype)


def changed(data, offset, form, *values):
    """NIfTI-1 with other values at a byte of its header."""
    result = bytearray(data)
    struct.pack_into(form, result, offset, *values)
    return bytes(result)


class DamagedInput(ToolTest):
    """4, with what the header could be read for having been planned."""

    def test_names_the_file_and_the_byte_or_field(self):
        plain = nibabel.Nifti1Image(noise((40, 30, 20), numpy.int16), numpy.eye(4)).to_bytes()
        end = len(plain)  # 352 + 48,000
        packed = gzip.compress(plain)
        half = len(packed) // 2
        damaged = packed[:half] + b"\xff" * 64 + packed[half + 64:]
        flip = lambda data, at: data[:at] + bytes([data[at] ^ 1]) + data[at + 1:]
        cases = [
            ("wrong_offset.nii", changed(plain, 108, "<f", 4096), ["cut off", "from byte 4096 on", f"has {end - 4096}"]),
            ("offset_past_end.nii", changed(plain, 108, "<f", 1e6), ["vox_offset", "bytes 0 to 1000000", f"ends at {end}"]),
            ("offset_past_end.nii.gz", gzip.compress(changed(plain, 108, "<f", 1e6)), ["vox_offset", f"ends at {end}"]),
            ("offset_in_header.nii", changed(plain, 108, "<f", 100), ["vox_offset is 100"]),
            ("overflow.nii", changed(plain, 40, "<8h", 5, *[32767] * 5, 1, 1), ["dim[1] to dim[5]", "63 bits"]),
            ("short.nii", plain[:-1], ["asks for 48000 bytes from byte 352 on", "has 47999"]),
            ("long.nii", plain + b"garbage", ["7 bytes follow the voxel data", f"byte {end}"]),
            ("cut.nii.gz", packed[:half], ["cut off", f"with the file at its byte {half}"]),
            ("cut_trailer.nii.gz", packed[:-3], ["cut off in its checksum"]),
            ("damaged.nii.gz", damaged, ["damaged near byte"]),
            ("crc.nii.gz", flip(packed, len(packed) - 8), [f"near byte {len(packed) - 8}", "incorrect checksum"]),
            ("length.nii.gz", flip(packed, len(packed) - 4), [f"near byte {len(packed) - 4}", "incorrect length", str(end)]),
            ("short.nii.gz", gzip.compress(plain[:-100]), ["cut off", f"inflated content ends at {end - 100}\n"]),
            ("long.nii.gz", gzip.compress(plain + b"more"), ["more content follows the voxel data", f"byte {end}"]),
            ("garbage.nii.gz", packed + b"garbage", ["belong to nothing", f"at byte {len(packed)} of"]),
            ("members.nii.gz", packed + gzip.compress(b"more"), ["more content follows", f"byte {end}"]),
        ]
        names = [name for name, *_ in cases]
        for name, data, words in cases:
            for bound in [(), ("--max-memory", "1GB")]:
                with self.subTest(name, bound=bound):
                    path = self.folder / name
                    path.write_bytes(data)
                    arguments = (path, "-c", "trilinear_x2", "-o", self.folder / "up.nii.gz", *bound)
                    self.refused(4, [str(path), *words], *arguments)
                    self.assertFalse([file for file in self.files() if file not in names])

    def test_no_file_can_send_commands_to_the_terminal(self):
        path = self.folder / "a.mha"
        path.write_bytes(b"ObjectType = \x1b[2J\x07Tube\nNDims = 3\nElementDataFile = LOCAL\n")
        said = self.refused(4, ["?[2J?Tube"], path, "-c", "trilinear_x2", "-n")
        self.assertNotIn("\x1b", said)

    def test_cut_off_while_the_batch_runs_fails_alone(self):
        good, bad = self.volume("good.nii.gz"), self.volume("bad.nii.gz", noise((20, 20, 20)))
        bad.write_bytes(bad.read_bytes()[:-1000])
        self.refused(8, ["bad.nii.gz", "cut off"], bad, good, "-c", "trilinear_x2", "-o", self.folder / "up")
        self.assertEqual(self.files(), ["bad.nii.gz", "good.nii.gz", "up/good_up.nii.gz"])


@contextlib.contextmanager
def small_disk(test, options="size=1m"):
    """A folder that is a file system of its own; only root can have one."""
    with tempfile.TemporaryDirectory() as folder:
        made = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder], capture_output=True, text=True)
        if made.returncode != 0:
            test.skipTest(f"no file system can be mounted: {made.stderr.strip()}")
        try:
            yield pathlib.Path(folder)
        finally:
            subprocess.run(["umount", folder], check=True)


class FullDisk(ToolTest):
    """6. Where nothing can be mounted, Output.test_file_size_limit of test_exit_codes stands in."""

    def test_leaves_the_disk_as_it_was(self):
        source = self.volume("a.nii", noise((60, 60, 60)))
        channels = self.config(conv(2, out_channels=3, stride=2, weight=numpy.ones((1, 3, 2, 2, 2))))
        with small_disk(self) as disk:
            (disk / "other").write_bytes(bytes(100_000))
            for name, config, options in [("up.nii", "trilinear_x2", ()), ("up.nii.gz", "trilinear_x2", ()),
                                          ("channels.nii.gz", channels, ()), ("up.mha", "trilinear_x2", ()),
                                          ("up.mhd", "trilinear_x2", ()),
                                          ("packed.mha", "trilinear_x2", ("--compression-level", 1))]:
                with self.subTest(name):
                    said = self.refused(6, [f"{disk / name}: ", "at byte ", "No space left on device"], source, "-c", config,
                                        "-o", disk / name, *options)
                    self.assertEqual(said.count("\n"), 1)
                    self.assertEqual([path.name for path in disk.iterdir()], ["other"])

    def test_full_before_anything_is_written(self):
        with small_disk(self, "size=64k,nr_inodes=2") as disk:
            (disk / "other").write_bytes(b"")
            self.refused(6, ["up.nii", "No space left"], self.volume("a.nii"), "-c", "trilinear_x2", "-o", disk / "up.nii")


class ReadOnly(ToolTest):
    """6, before anything is read."""

    def test_file_system(self):
        with small_disk(self, "ro") as disk:
            self.refused(6, [f"{disk / 'up.nii'}: "], self.volume("a.nii"), "-c", "trilinear_x2", "-o", disk / "up.nii")

    def test_folder(self):
        """Root may write everywhere, so it runs the tool as nobody."""
        locked = self.folder / "locked"
        locked.mkdir(mode=0o555)
        source = self.volume("a.nii")
        settings = {}
        if os.geteuid() == 0:
            os.chmod(self.folder, 0o755)
            settings = {"user": "nobody", "cwd": "/"}
            try:
                subprocess.run([TOOL, "--version"], capture_output=True, check=True, **settings)
            except (OSError, KeyError, subprocess.CalledProcessError):
                self.skipTest("nobody may not run the tool from where it was built")
        self.refused(6, [f"{locked / 'up.nii'}: ", "may not write"], source, "-c", "trilinear_x2", "-o", locked / "up.nii",
                     **settings)
        self.assertEqual(list(locked.iterdir()), [])


class VanishingFolder(ToolTest):
    """6, and the folder is not made again."""

    def start(self, *arguments):
        process = subprocess.Popen([TOOL, *map(str, arguments)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for clean_up in (process.stderr.close, process.stdout.close, process.wait, process.kill):
            self.addCleanup(clean_up)
        return process

    def test_while_writing(self):
        source, config = self.volume("a.nii", noise((200, 200, 200), numpy.int16)), self.config(scale(1.0001))
        for name in ["up.nii.gz", "up.mha", "up.mhd"]:
            with self.subTest(name):
                folder = self.folder / "out"
                folder.mkdir()
                process = self.start(source, "-c", config, "-o", folder / name, "--compression-level", 9, "-j1")
                while not list(folder.iterdir()) and process.poll() is None:
                    time.sleep(0.005)
                self.assertIsNone(process.poll(), "ended before its folder could vanish")
                process.send_signal(signal.SIGSTOP)  # or it may make its files while they are removed
                shutil.rmtree(folder)
                process.send_signal(signal.SIGCONT)
                _, errors = process.communicate(timeout=60)
                self.assertEqual(process.returncode, 6, errors)
                self.assertIn(f"{folder / name}: ", errors)
                self.assertFalse(folder.exists())

    def test_before_writing(self):
        source = self.volume("a.nii", noise((100, 100, 100)))
        weights = {"weight": {"init": "kaiming_uniform", "seed": 1}}
        config = self.config({**conv(21, padding=10), "weights": weights})
        folder = self.folder / "out"
        folder.mkdir()
        process = self.start(source, "-c", config, "-o", folder / "up.nii.gz", "-j1")  # seconds on any machine
        time.sleep(0.3)
        shutil.rmtree(folder)
        _, errors = process.communicate(timeout=60)
        self.assertEqual(process.returncode, 6, errors)
        self.assertIn(f"{folder / 'up.nii.gz'}: there is no folder", errors)


if __name__ == "__main__":
    unittest.main()
