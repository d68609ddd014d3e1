"""Checks the borders that docs/design.md draws: what each folder may include, print, link to or name.

usage: check.py ROOT          lists every line of the source tree ROOT that crosses a border; exit 1 if there is one
       check.py --self-test   proves that every rule reports its own examples and passes its counter-examples
"""

import dataclasses
import pathlib
import re
import sys
import tempfile

CODE = r"\.(cpp|hpp|h|inl)$"
CMAKE = r"(CMakeLists\.txt|\.cmake|\.cmake\.in)$"
TEXT = r"(\.(cpp|hpp|h|inl|txt|cmake|in|json|jsonl|md|py|sh|supp)|/[a-z]+|^[^.]+|^\.[a-z-]+)$"

# Layers of lib/convt3d, and the layers that each may include beside itself.
LAYERS = {
    "base": [],
    "conv": ["base"],
    "nn": ["base", "conv"],
    "model": ["base", "conv", "nn"],
    "imaging": ["base", "conv"],
    "upsample": ["base", "conv", "nn", "model", "imaging"],
}


@dataclasses.dataclass
class Rule:
    """A pattern that only the files under `allowed` may match; `files` are those looked at (both regexes on the path)."""

    name: str
    files: str
    allowed: str
    pattern: str
    breaks: list  # (path, line): examples that the rule must report
    keeps: list  # (path, line): examples that it must pass

    def crosses(self, path, line):
        if self.files != TEXT:  # comments may speak of anything but a machine's paths
            line = re.sub(r"//.*" if re.search(CODE, path) else r"#.*", "", line)
        return re.search(self.pattern, line) is not None

    def looks_at(self, path):
        return re.search(self.files, path) is not None and re.search(self.allowed, path) is None


def layer_rule(layer, may_include):
    """A layer includes only itself and what stands below it; base includes nothing but the standard library's headers."""
    known = "|".join([layer, *may_include])
    above = next((other for other in LAYERS if other not in [layer, *may_include]), "nowhere")
    return Rule(
        name=f"layer-{layer}",
        files=rf"^lib/convt3d/{layer}/.*{CODE}",
        allowed=r"^$",
        pattern=rf'#include\s*"(?!convt3d/(?:{known})/)',
        breaks=[
            (f"lib/convt3d/{layer}/a.cpp", f'#include "convt3d/{above}/a.hpp"'),
            (f"lib/convt3d/{layer}/a.cpp", '#include "a.hpp"'),
            (f"lib/convt3d/{layer}/a.hpp", '#include "convt3d/convt3d.hpp"'),
        ],
        keeps=[(f"lib/convt3d/{layer}/a.cpp", f'#include "convt3d/{other}/a.hpp"') for other in [layer, *may_include]],
    )


RULES = [layer_rule(layer, may_include) for layer, may_include in LAYERS.items()] + [
    Rule(
        name="base-std-only",
        files=rf"^lib/convt3d/base/.*{CODE}",
        allowed=r"^$",
        pattern=r"#include\s*<(fmt|tbb|oneapi|hwy|itk|nlohmann|CLI|libdeflate|isa-l)",
        breaks=[("lib/convt3d/base/a.cpp", "#include <fmt/format.h>"), ("lib/convt3d/base/a.hpp", "#include <tbb/tbb.h>")],
        keeps=[("lib/convt3d/base/a.cpp", "#include <vector>"), ("lib/convt3d/conv/a.cpp", "#include <fmt/format.h>")],
    ),
    Rule(
        name="umbrella-without-third-parties",
        files=r"^lib/convt3d/[^/]+\.hpp$",
        allowed=r"^$",
        pattern=r'#include\s*(<|"(?!convt3d/(base|conv|nn)/))',
        breaks=[("lib/convt3d/convt3d.hpp", '#include "convt3d/model/model.hpp"')],
        keeps=[("lib/convt3d/convt3d.hpp", '#include "convt3d/nn/layer.hpp"')],
    ),
    Rule(
        name="kernels-private-to-conv",
        files=CODE,
        allowed=r"^lib/convt3d/conv/",
        pattern=r'#include\s*"convt3d/conv/kernels/',
        breaks=[("lib/convt3d/nn/a.cpp", '#include "convt3d/conv/kernels/a.hpp"')],
        keeps=[("lib/convt3d/conv/a.cpp", '#include "convt3d/conv/kernels/a.hpp"')],
    ),
    Rule(
        name="command-line-in-app",
        files=rf"({CODE}|{CMAKE})",
        allowed=r"^(app|tests|bench)/",
        pattern=r"CLI/|CLI11|CLI::",
        breaks=[("lib/convt3d/model/a.cpp", "#include <CLI/CLI.hpp>"), ("lib/convt3d/model/CMakeLists.txt", "CLI11::CLI11")],
        keeps=[("app/main.cpp", "#include <CLI/CLI.hpp>"), ("lib/convt3d/base/a.cpp", "// CLI11 is app's")],
    ),
    Rule(
        name="printing-in-app",
        files=rf"^lib/.*{CODE}",
        allowed=r"^$",
        pattern=r"std::(cout|cerr|clog)\b|<(iostream|print)>|\b(v|f|vf)?printf\s*\(|\bf?put(s|c|char)\s*\(|fmt::print|\bperror\s*\(",
        breaks=[
            ("lib/convt3d/nn/a.cpp", 'std::cerr << "oops";'),
            ("lib/convt3d/nn/a.cpp", 'std::puts("oops");'),
            ("lib/convt3d/nn/a.cpp", 'fprintf(stderr, "oops");'),
            ("lib/convt3d/nn/a.cpp", 'fmt::print("oops");'),
        ],
        keeps=[
            ("app/console.cpp", 'std::cerr << "oops";'),
            ("lib/convt3d/nn/a.cpp", 'std::snprintf(text, size, "%d", 1);'),
            ("lib/convt3d/nn/a.cpp", "output(d)"),
        ],
    ),
    Rule(
        name="itk-in-imaging",
        files=rf"({CODE}|{CMAKE})",
        allowed=r"^(lib/convt3d/imaging/|tests/|bench/(peers/|CMakeLists)|cmake/convt3dConfig)",
        pattern=r'#include\s*[<"]itk|\bitk::|find_(package|dependency)\(ITK',
        breaks=[("lib/convt3d/upsample/a.cpp", "#include <itkImage.h>"), ("app/a.cpp", "itk::Image<float, 3> image;"),
                ("bench/a.cpp", "#include <itkImage.h>")],
        keeps=[("lib/convt3d/imaging/a.cpp", "#include <itkImage.h>"), ("lib/convt3d/nn/a.cpp", "// ITK's z")],
    ),
    Rule(
        name="json-in-model-and-app",
        files=rf"({CODE}|{CMAKE})",
        allowed=r"^(lib/convt3d/model/|app/(report|manifest|inspect_report)|app/CMakeLists\.txt|tests/|bench/|cmake/convt3dConfig)",
        pattern=r"nlohmann",
        breaks=[("app/batch.cpp", "#include <nlohmann/json.hpp>"), ("lib/convt3d/nn/a.hpp", "nlohmann::json value;")],
        keeps=[
            ("app/report_json.cpp", "#include <nlohmann/json.hpp>"),
            ("app/manifest.cpp", "nlohmann::json line;"),
            ("lib/convt3d/model/a.cpp", "nlohmann::json value;"),
        ],
    ),
    Rule(
        name="simd-in-kernels",
        files=CODE,
        allowed=r"^(lib/convt3d/conv/kernels/|bench/limits\.cpp$)",  # the machine's peak is measured, too
        pattern=r'#include\s*[<"]hwy/|\bHWY_|\bhwy::|(imm|x86|emm)intrin\.h|arm_(neon|sve)\.h|\b_mm\d*_|\b__m\d{3}',
        breaks=[
            ("lib/convt3d/conv/a.cpp", '#include "hwy/highway.h"'),
            ("lib/convt3d/nn/a.cpp", "#include <immintrin.h>"),
            ("app/a.cpp", "__m512 sum = _mm512_setzero_ps();"),
        ],
        keeps=[("lib/convt3d/conv/kernels/a.cpp", '#include "hwy/highway.h"'), ("lib/convt3d/conv/a.cpp", "mm_per_voxel")],
    ),
    Rule(
        name="no-isa-flags",
        files=CMAKE,
        allowed=r"^$",
        pattern=r"-m(arch|tune|cpu|avx|sse|fma|f16c)",
        breaks=[("lib/convt3d/conv/CMakeLists.txt", "target_compile_options(convt3d_conv PRIVATE -mavx2)")],
        keeps=[("lib/convt3d/conv/CMakeLists.txt", "target_link_libraries(convt3d_conv PRIVATE hwy::hwy)")],
    ),
    Rule(
        name="target-based-cmake",
        files=CMAKE,
        allowed=r"^$",
        pattern=r"file\(GLOB|^\s*(add_compile_options|add_definitions|include_directories|link_libraries|link_directories)\(|"
        r"set\(CMAKE_CXX_FLAGS",
        breaks=[
            ("lib/convt3d/conv/CMakeLists.txt", "file(GLOB sources *.cpp)"),
            ("CMakeLists.txt", "add_compile_options(-O3)"),
            ("app/CMakeLists.txt", "include_directories(${ITK_INCLUDE_DIRS})"),
        ],
        keeps=[("CMakeLists.txt", "target_include_directories(convt3d PRIVATE app)")],
    ),
    Rule(
        name="no-dead-code",
        files=CODE,
        allowed=r"^$",
        pattern=r"^\s*#\s*if\s+(0|false)\b",
        breaks=[("lib/convt3d/conv/a.cpp", "#if 0")],
        keeps=[("lib/convt3d/conv/a.cpp", "#if 0x10 < VALUE")],
    ),
    Rule(
        name="no-path-of-a-machine",
        files=TEXT,
        allowed=r"^tests/firewalls/",
        pattern=r"(?<![\w.$}])/(home|root|Users|work|farm|mnt|media|tmp|var/tmp)/[\w.]",
        breaks=[("docs/a.md", "see /home/ann/scan.nii"), ("scripts/setup", "cd /root/convt3d"), ("cmake/a.cmake", '"/mnt/a"')],
        keeps=[("docs/a.md", "see ./work/a, lib/home/b and /usr/share/c"), ("scripts/demo", 'cd "$root/work/out"')],
    ),
]


def source_files(root):
    """Path (with slashes, relative to `root`) and lines of every text file that is not hidden, built or binary."""
    for file in sorted(root.rglob("*")):
        path = file.relative_to(root).as_posix()
        hidden = path.startswith(".") and not path.startswith((".ci/", ".clang"))
        if hidden or path.startswith("build/") or "__pycache__" in path or not file.is_file():
            continue
        if re.search(TEXT, path):
            yield path, file.read_text(encoding="utf-8", errors="replace").splitlines()


def crossings(root):
    """"path:line: [rule] text" of every line under `root` that crosses a border."""
    found = []
    for path, lines in source_files(root):
        rules = [rule for rule in RULES if rule.looks_at(path)]
        for number, line in enumerate(lines, start=1):
            found += [f"{path}:{number}: [{rule.name}] {line.strip()}" for rule in rules if rule.crosses(path, line)]
    return found


def reports(rule, path, line):
    """Whether a tree that holds only this line in this file is reported by this rule."""
    with tempfile.TemporaryDirectory() as folder:
        file = pathlib.Path(folder) / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(line + "\n", encoding="utf-8")
        return any(f"[{rule.name}]" in crossing for crossing in crossings(pathlib.Path(folder)))


def self_test():
    wrong = [f"{rule.name} misses {example}" for rule in RULES for example in rule.breaks if not reports(rule, *example)]
    wrong += [f"{rule.name} reports {example}" for rule in RULES for example in rule.keeps if reports(rule, *example)]
    print("\n".join(wrong) if wrong else f"{len(RULES)} rules report what they must, and nothing else")
    return 1 if wrong else 0


def check(root):
    if not (root / "lib/convt3d").is_dir():
        print(f"{root} is no source tree of convt3d: it has no lib/convt3d", file=sys.stderr)
        return 2
    found = crossings(root)
    print("\n".join(found) if found else f"{len(RULES)} rules, no border crossed")
    return 1 if found else 0


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    sys.exit(self_test() if sys.argv[1] == "--self-test" else check(pathlib.Path(sys.argv[1])))
