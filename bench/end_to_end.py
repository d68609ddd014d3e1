"""Times whole commands, from file to file: convt3d against ITK's reading, linear resampling and writing, in turns.

Both upsample by 2 on each axis to float32 on the same grid; each command is a process of its own, from its start to its end,
with the input in the page cache and the output left to the system to bring to disk. Outputs are compared voxel by voxel.
"""

import argparse
import concurrent.futures
import filecmp
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

import nibabel
import numpy

TEMPLATES = pathlib.Path("/usr/share/mricron/templates")  # Debian's mricron-data
MAX_RATIO = {".nii.gz": 1 / 10, ".nii": 1 / 2}  # of our time to ITK's
BOUND_MB = 256
MAX_BOUND_RATIO = 1.3  # of our time with the bound to that without


class Run:
    """One contender: its command, and what its runs took."""

    def __init__(self, name, command, output):
        self.name, self.command, self.output = name, [*map(str, command)], output
        self.seconds, self.peak_bytes, self.file_bytes, self.failure = [], 0, 0, ""

    def once(self):
        """Runs the command, unless it failed before."""
        if self.failure:
            return
        self.output.unlink(missing_ok=True)
        began = time.monotonic()
        process = subprocess.Popen(self.command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        errors = process.stderr.read()
        _, status, usage = os.wait4(process.pid, 0)
        taken = time.monotonic() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != 0:
            self.failure = (errors.splitlines() or [f"ended with {process.returncode}"])[0]
            return
        self.seconds.append(taken)
        self.peak_bytes = max(self.peak_bytes, usage.ru_maxrss * 1024)
        self.file_bytes = self.output.stat().st_size

    def median(self):
        return statistics.median(self.seconds)


def largest_difference(a, b):
    """Of all voxels of two files. In a process of its own: what this one holds would count as its children's peak."""
    with concurrent.futures.ProcessPoolExecutor(1) as pool:
        return pool.submit(difference_here, a, b).result()


def difference_here(a, b):
    first, second = nibabel.load(a), nibabel.load(b)
    if first.shape != second.shape or not numpy.allclose(first.affine, second.affine, atol=1e-4):
        return float("inf")
    one, other = numpy.asanyarray(first.dataobj), numpy.asanyarray(second.dataobj)
    return max(float(numpy.abs(one[..., z] - other[..., z]).max()) for z in range(one.shape[-1]))


def line(run, ratio="", must="", unmet=False):
    if run.failure:
        return f"| {run.name} | failed: {run.failure} | | | | |"
    if ratio != "":
        ratio = f"**{ratio:.3f}**" if unmet else f"{ratio:.3f}"
    return (f"| {run.name} | {run.median():.3f} | {ratio} | {must} | {run.file_bytes / 1e6:.1f} | "
            f"{run.peak_bytes / 1e6:.0f} |")


def compare(source, extension, options, folder):
    """Measures one input to one format; prints its lines; gives what was not as it must be."""
    ours, bound, itk = (folder / f"{name}{extension}" for name in ("ours", "bound", "itk"))
    command = [options.tool, source, "-c", "trilinear_x2", "--output-type", "float32", "-q", "-f", "-j", options.threads]
    route = f"{source.name.split('.')[0]} {extension}"
    contenders = [Run(f"{route}, convt3d", [*command, "-o", ours], ours),
                  Run(f"{route}, convt3d --max-memory {BOUND_MB}MB",
                      [*command, "--max-memory", f"{BOUND_MB}MB", "-o", bound], bound)]
    theirs = Run(f"{route}, ITK", [options.itk, source, itk, options.threads], itk)
    for turn in range(options.repetitions):
        for contender in contenders[:: 1 if turn % 2 == 0 else -1]:  # who comes second finds the system busy writing
            contender.once()
        if turn < options.itk_repetitions:
            theirs.once()
    return print_lines(*contenders, theirs, MAX_RATIO[extension])


def print_lines(free, bound, theirs, max_ratio):
    wrong = []

    def require(right, what):
        if not right:
            wrong.append(f"{free.name}: {what}")

    if free.failure or (theirs.failure and theirs.seconds):
        print(line(free), line(theirs), sep="\n")
        return [f"{free.name}: no figures"]
    if not theirs.seconds:
        print(line(free), line(bound), sep="\n", flush=True)
        return wrong
    ratio = free.median() / theirs.median()
    print(line(free, ratio, f"{max_ratio:.1f} of ITK's", ratio > max_ratio))
    require(ratio <= max_ratio, f"{ratio:.3f} of ITK's time, more than {max_ratio}")
    require(free.file_bytes <= theirs.file_bytes, f"{free.file_bytes} bytes, more than ITK's {theirs.file_bytes}")
    if bound.failure:
        print(line(bound))
    else:
        slower = bound.median() / free.median()
        print(line(bound, slower, f"{MAX_BOUND_RATIO} of convt3d's", slower > MAX_BOUND_RATIO))
        require(slower <= MAX_BOUND_RATIO, f"{slower:.2f} times as long with the memory bound")
        require(bound.peak_bytes < BOUND_MB * 1e6, f"{bound.peak_bytes} bytes under the bound of {BOUND_MB} MB")
        require(filecmp.cmp(free.output, bound.output, shallow=False), "other bytes with the memory bound")
    print(line(theirs), flush=True)
    difference = largest_difference(free.output, theirs.output)
    require(difference <= 1e-3, f"voxels differ from ITK's by up to {difference}")
    return wrong


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tool", required=True, help="the convt3d to measure")
    parser.add_argument("--itk", required=True, help="the peer, convt3d_bench_itk")
    parser.add_argument("--volumes", default="ch2,ch2better", help="of mricron-data, or paths (default: %(default)s)")
    parser.add_argument("--formats", default=".nii.gz,.nii", help="of the output (default: %(default)s)")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--repetitions", type=int, default=5, help="turns of convt3d (default: %(default)s)")
    parser.add_argument("--itk-repetitions", type=int, default=1, help="turns of ITK, at most those (default: %(default)s)")
    parser.add_argument("--folder", type=pathlib.Path, help="where outputs go and vanish, on the disk to measure")
    options = parser.parse_args()
    print(f"{options.threads} threads; medians of {options.repetitions} turns, ITK's of {options.itk_repetitions}\n")
    print("| command | s | ratio | must be | MB | peak RSS, MB |\n| --- | --- | --- | --- | --- | --- |", flush=True)
    wrong = []
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        for volume in options.volumes.split(","):
            source = pathlib.Path(volume) if "." in volume else TEMPLATES / f"{volume}.nii.gz"
            for extension in options.formats.split(","):
                wrong += compare(source, extension, options, pathlib.Path(folder))
    print("\n".join(["", *wrong]) if wrong else "")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
