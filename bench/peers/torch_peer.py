"""The PyTorch peer of the benchmark: answers the requests of peer.hpp on stdin and stdout; threads come from OMP_NUM_THREADS."""

import os
import sys
import time

import numpy as np
import torch


class Problem:
    def __init__(self, words):
        *numbers, self.folder = words
        values = [int(number) for number in numbers]
        n, ci, co, groups = values[:4]
        size, output, kernel, stride, padding, dilation = (values[at : at + 3] for at in range(4, 22, 3))
        refuse_large_columns(co // groups, kernel, size)
        self.input = self.load("input", (n, ci, *size))
        self.weight = self.load("weight", (ci, co // groups, *kernel))
        self.bias = self.load("bias", (co,))
        least = [(i - 1) * s - 2 * p + d * (k - 1) + 1 for i, s, p, d, k in zip(size, stride, padding, dilation, kernel)]
        self.arguments = dict(
            stride=stride,
            padding=padding,
            dilation=dilation,
            groups=groups,
            output_padding=[o - one for o, one in zip(output, least)],
        )
        self.output = None

    def load(self, name, shape):
        return torch.from_numpy(np.fromfile(f"{self.folder}/{name}.f32", dtype=np.float32)).reshape(shape)

    def run(self):
        self.output = None  # its memory is the next output's
        self.output = torch.nn.functional.conv_transpose3d(self.input, self.weight, self.bias, **self.arguments)

    def measure(self, warmups, repetitions):
        for _ in range(warmups):
            self.run()
        start = time.perf_counter()
        for _ in range(repetitions):
            self.run()
        return 1000 * (time.perf_counter() - start) / repetitions

    def save_output(self):
        self.output.numpy().tofile(f"{self.folder}/output.f32")


def refuse_large_columns(channels, kernel, size):
    """PyTorch multiplies into one column per tap and output channel; half of the free memory is the most we let it take."""
    columns_bytes = 4 * channels * int(np.prod(kernel)) * int(np.prod(size))
    free_bytes = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    if columns_bytes > free_bytes / 2:
        raise MemoryError(f"its column buffer would take {columns_bytes / 2**30:.1f} GiB")


def answer(verb, words, problem):
    if verb == "problem":
        return "conv_transpose3d", Problem(words)
    if verb == "run":
        return str(problem.measure(int(words[0]), int(words[1]))), problem
    if verb == "output":
        problem.save_output()
        return "", problem
    raise ValueError(f"unknown request {verb}")


def main():
    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    print("ok PyTorch", torch.__version__, flush=True)
    problem = None
    with torch.inference_mode():
        for line in sys.stdin:
            verb, *words = line.split()
            try:
                if verb == "problem":
                    problem = None  # first give back the memory of the one before
                text, problem = answer(verb, words, problem)
                print("ok", text, flush=True)
            except Exception as error:  # every failure is an answer, and the next problem may do better
                print("no", " ".join(str(error).split()), flush=True)


main()
