"""Times a whole network in turns, in one run: convt3d, PyTorch and ONNX Runtime, with the most memory that each holds.

The network is nnU-Net's way up without its skips: transposed convolutions k2 s2, each with an InstanceNorm and a LeakyReLU,
320 -> 256 -> 128 -> 64 -> 32 channels, from 8 to 128 voxels on each axis. Weights, input and threads are the same, float32.
Each contender is a process of its own, stopped while it is not its turn; its first run, which packs weights and touches memory
for the first time, is told apart. Outputs are compared. What is missing on this machine is left out.
"""

import argparse
import json
import os
import pathlib
import signal
import statistics
import subprocess
import sys
import tempfile

import numpy

PEERS = pathlib.Path(__file__).resolve().parent / "peers"
CHANNELS = (320, 256, 128, 64, 32)
SHAPE = (1, CHANNELS[0], 8, 8, 8)
MOST_DIFFERENCE = 1e-4  # relative L2, from ours: ONNX Runtime sums an InstanceNorm's squares in single precision


class Contender:
    """A process that answers requests."""

    def __init__(self, name, command, environment=None):
        self.name, self.milliseconds = name, []
        self.process = subprocess.Popen([*map(str, command)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.DEVNULL, text=True, env=os.environ | (environment or {}))
        self.there = self.process.stdout.readline().strip() == "ready"
        self.stop()

    def stop(self):
        if self.there:
            self.process.send_signal(signal.SIGSTOP)

    def ask(self, request):
        self.process.send_signal(signal.SIGCONT)
        self.process.stdin.write(request + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline().strip()
        self.stop()
        return answer

    def run(self):
        self.milliseconds.append(float(self.ask("run")))

    def end(self):
        self.process.send_signal(signal.SIGCONT)
        self.process.stdin.close()
        self.process.wait()


def write_config(folder):
    layers = []
    for i in range(len(CHANNELS) - 1):
        layers += [{"type": "conv_transpose3d", "stride": 2, "weights": str(3 * i)},
                   {"type": "instance_norm3d", "weights": str(3 * i + 1)}, {"type": "leaky_relu", "negative_slope": 0.01}]
    config = {"version": 1, "weights": {"file": "weights.npz"}, "layers": layers}
    (folder / "network.json").write_text(json.dumps(config))


def contenders(options, folder):
    threads, shape = options.threads, [str(size) for size in SHAPE]
    torch = [sys.executable, "-B", PEERS / "network_torch.py", folder, threads, *CHANNELS]
    subprocess.run([*map(str, torch)], check=True, stderr=subprocess.DEVNULL)  # saves what all of them read
    write_config(folder)
    yield Contender("convt3d", [options.network, folder / "network.json", folder / "input.f32", *shape, threads])
    yield Contender("PyTorch", torch)
    yield Contender("ONNX Runtime", ["node", PEERS / "network_ort.cjs", folder, threads, *shape],
                    {"NODE_PATH": str(options.node_modules)})


def difference(contender, ours, folder):
    """Relative L2 of its output from ours."""
    theirs = output_of(contender, folder)
    return float(numpy.linalg.norm(theirs - ours) / numpy.linalg.norm(ours))


def output_of(contender, folder):
    path = folder / "output.f32"
    contender.ask(f"output {path}")
    return numpy.fromfile(path, "<f4").astype("float64")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--network", type=pathlib.Path, required=True, help="the program convt3d_bench_network")
    parser.add_argument("--node-modules", type=pathlib.Path, default=pathlib.Path("node_modules"))
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--repetitions", type=int, default=7)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        all_there = [contender for contender in contenders(options, folder) if contender.there]
        for _ in range(options.repetitions + 1):
            for contender in all_there:
                contender.run()
        peaks = [int(contender.ask("peak")) for contender in all_there]
        print("| | ms, median | ratio | first run, ms | peak RSS, MB | difference |")
        print("| --- | --- | --- | --- | --- | --- |")
        ours, best, disagrees = output_of(all_there[0], folder), statistics.median(all_there[0].milliseconds[1:]), False
        for contender, peak in zip(all_there, peaks):
            median, apart = statistics.median(contender.milliseconds[1:]), difference(contender, ours, folder)
            disagrees |= not apart <= MOST_DIFFERENCE
            print(f"| {contender.name} | {median:.0f} | {median / best:.2f} | {contender.milliseconds[0]:.0f} | "
                  f"{peak / 1e6:.0f} | {apart:.1e}{' DISAGREES' if not apart <= MOST_DIFFERENCE else ''} |")
            contender.end()
    sys.exit(1 if disagrees else 0)


main()
