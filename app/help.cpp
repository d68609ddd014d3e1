#include "help.hpp"

#include <string_view>

#include "report.hpp"

namespace convt3d::app {
namespace {

constexpr std::string_view kHelp =
    R"(convt3d upsamples medical volumes through ConvTranspose3d layers: NIfTI (.nii, .nii.gz) and MetaImage
(.mha, .mhd) in and out, with the output where it belongs in space.

usage: convt3d [OPTIONS] INPUT...

  convt3d scan.nii.gz -c trilinear_x2 -o up.nii.gz         one volume, twice as fine on each axis
  convt3d scan.nii.gz -c net.json -n                       what would happen, from the header alone
  convt3d *.nii.gz -c cubic_x2 -o finer/ --skip-existing   many volumes into a folder
  convt3d t1.nii t2.nii -c net.json -o up.nii --channels files
  convt3d --manifest jobs.jsonl -c net.json --json >report.json
  convt3d inspect FILE.safetensors|FILE.npz|net.json       what it holds; convt3d inspect --help says more

what to do
  -c, --config FILE|NAME     layers and weights; a path, or the name of a shipped config
  -o, --output PATH          one input: a file, its extension picks the format. Several inputs, or PATH ends in / or
                             is a folder: a folder (created), each file named <stem><suffix><ext>
      --suffix TEXT          default _up
      --ext EXT              .nii.gz, .nii, .mha or .mhd; default: as the input
      --manifest FILE        instead of INPUT and -o: a line {"input": PATH, "output": PATH, "config": FILE|NAME} to
                             each volume; config may be left out where -c is given
      --channels MODE        which thing of the file is the channel axis: components (of vector voxels), time (the 4th
                             axis), files (each INPUT is one channel of one volume); auto (default): components if
                             there are any, else a 4th axis as long as the config has channels, else with 1 channel
                             every volume of the 4th axis on its own
      --origin MODE          kernel (default, exact), fov (keep the outer faces), keep (keep the first voxel's centre)
      --output-type TYPE     same (as the input), uint8, int8, uint16, int16, uint32, int32, float32 or float64;
                             default: what the config says, else float32
      --compression-level N  0 to 12 for .nii.gz, default 6; MetaImages are compressed where it is given
  -f, --force                replace outputs that exist
      --skip-existing        leave them
      --fail-fast            stop a batch at its first failure; default: go on, exit with 8
how
  -j, --threads N            default: the CPUs this process may use
      --max-memory SIZE      bound on the process's memory, such as 500MB or 2GiB: larger volumes are taken slab by slab
what to say
  -n, --dry-run              read headers only, print what would happen, write nothing
      --json                 the report as one JSON object on stdout
  -q, --quiet                only errors                 -v, --verbose   also algorithms and buffers
      --no-progress          no progress bar (only on a terminal, for work over a second)
      --list-configs         the shipped configs         --version       -h, --help

exit codes: 0 done; 1 unexpected error; 2 command line; 3 config or weights; 4 input; 5 shapes do not fit; 6 output;
7 memory; 8 some of a batch failed; 130 interrupted; 143 terminated. A failed run leaves no partial output.
)";

}  // namespace

std::string help_text() {
  const std::string configs = list_configs(false);
  return std::string(kHelp) + (configs.empty() ? "" : "\nshipped configs:\n" + configs);
}

}  // namespace convt3d::app
