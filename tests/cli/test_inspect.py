"""convt3d inspect: what weight files and configs hold, and configs drafted from weight files."""

import json
import struct

import numpy

from support import ToolTest, conv, ramp


def write_safetensors(path, arrays):
    header, data = {"__metadata__": {"made": "here"}}, b""
    for key, array in arrays.items():
        content = array.astype("<f4").tobytes()
        header[key] = {"dtype": "F32", "shape": array.shape, "data_offsets": [len(data), len(data) + len(content)]}
        data += content
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)
    return path


def weight(*shape):
    return numpy.random.default_rng(sum(shape)).standard_normal(shape)


class Inspect(ToolTest):
    def decoder(self):
        arrays = {f"decoder.transpconvs.{i}.weight": weight(8 >> i, 4 >> i, 2, 2, 2) for i in range(3)}
        arrays |= {f"decoder.transpconvs.{i}.bias": weight(4 >> i) for i in range(3)}
        return write_safetensors(self.folder / "net.safetensors", arrays | {"encoder.weight": weight(4, 1, 3, 3, 3)})

    def inspect(self, *arguments, code=0):
        return self.run_tool("inspect", *arguments, code=code)

    def inspected(self, *arguments):
        return json.loads(self.inspect(*arguments, "--json").stdout)

    def test_lists_the_tensors_of_both_formats(self):
        arrays = {"up.10.weight": weight(1, 2, 2, 2, 2), "up.2.weight": weight(2, 1, 3, 3, 3), "scalar": numpy.float64(3)}
        numpy.savez(self.folder / "m.npz", **arrays)
        write_safetensors(self.folder / "m.safetensors", {key: numpy.asarray(array) for key, array in arrays.items()})
        for name, dtype in (("m.npz", "float64"), ("m.safetensors", "float32")):
            report = self.inspected(self.folder / name, "-v")
            self.assertEqual([tensor["key"] for tensor in report["tensors"]], ["scalar", "up.2.weight", "up.10.weight"])
            self.assertEqual(report["tensors"][1]["shape"], [2, 1, 3, 3, 3])
            self.assertEqual(report["tensors"][1]["dtype"], dtype)
            self.assertEqual(report["parameters"], 1 + 54 + 16)
            self.assertAlmostEqual(report["tensors"][2]["mean"], float(arrays["up.10.weight"].mean()), 5)
            self.assertEqual((report["tensors"][0]["min"], report["tensors"][0]["max"]), (3, 3))
            text = self.inspect(self.folder / name).stdout
            self.assertIn("3 tensors, 71 values", text)
            self.assertIn("(2, 1, 3, 3, 3)", text)
        self.assertEqual(report["metadata"], {"made": "here"})

    def test_tells_of_a_config(self):
        config = self.config({"type": "conv_transpose3d", "name": "up", "in_channels": 2, "out_channels": 3, "kernel_size": 3,
                              "stride": 2, "padding": 1, "bias": False, "weights": {"weight": {"init": "constant", "value": 1}}},
                             {"type": "relu"}, conv([2, 4, 4], in_channels=3, stride=2))
        report = self.inspected(config, "--shape", "4,5,6")
        self.assertEqual(report["in_channels"], 2)
        self.assertEqual(report["parameters"], 2 * 3 * 27 + 3 * 32)
        up = report["layers"][0]
        self.assertEqual((up["name"], up["type"], up["input_shape"], up["output_shape"]),
                         ("up", "conv_transpose3d", [1, 2, 4, 5, 6], [1, 3, 7, 9, 11]))
        self.assertTrue(up["repr"].startswith("ConvTranspose3d(2, 3, kernel_size=(3, 3, 3), stride=(2, 2, 2), padding=(1, 1, 1)"))
        # One output of k [2, 4, 4] s2 reads 1 x 2 x 2; those of k3 s2 then at most (0 + 2)/2 + 1 = 2 and (1 + 2)/2 + 1 = 2.
        self.assertEqual(up["receptive_field"], [1, 2, 2])
        self.assertEqual(report["receptive_field"], [2, 2, 2])
        self.assertEqual(self.inspected(config, "--shape", "2,4,5,6")["layers"], report["layers"])
        self.assertEqual(self.inspected(config, "--shape", "7,2,4,5,6")["layers"][2]["output_shape"][0], 7)
        self.assertIsNone(self.inspected(config)["layers"][0]["output_shape"])

    def test_sees_checkerboards(self):
        # k3 s2 of ones: 1 tap reaches the even outputs of an axis (p = 1), 2 the odd ones.
        uneven = self.config(conv(3, stride=2, padding=1), name="uneven")
        sums = self.inspected(uneven)["layers"][0]["kernel_sums"]
        self.assertEqual(sums["phases"], [2, 2, 2])
        self.assertEqual(sums["mean"], [1, 2, 2, 4, 2, 4, 4, 8])
        self.assertTrue(sums["checkerboard"])
        self.assertIn("makes checkerboards of period 2 x 2 x 2", self.inspect(uneven).stdout)
        even = self.inspected("trilinear_x2")["layers"][1]["kernel_sums"]
        self.assertFalse(even["checkerboard"])
        numpy.testing.assert_allclose(even["mean"], numpy.ones(8), rtol=1e-6)

    def test_drafts_a_config_that_runs(self):
        config = self.folder / "decoder.json"
        notes = self.inspect("--make-config", self.decoder(), "--prefix", "decoder.transpconvs.", "-o", config).stderr
        self.assertIn("taken to double its axes", notes)
        report = self.inspected(config, "--shape", "2,3,4")
        self.assertEqual([layer["name"] for layer in report["layers"]], ["0", "1", "2"])
        self.assertEqual(report["layers"][2]["output_shape"], [1, 1, 16, 24, 32])
        self.assertIn("taken to double", report["config"]["description"])
        self.run_tool(self.volume("input.nii", ramp((4, 3, 2, 8))), "-c", config, "-o", self.folder / "out.nii")
        self.assertIn("exists already", self.inspect("--make-config", self.decoder(), "-o", config, code=6).stderr)
        self.assertEqual(self.files(), ["decoder.json", "input.nii", "net.safetensors", "out.nii"])

    def test_drafts_to_standard_output(self):
        draft = json.loads(self.inspect("-q", "--make-config", self.decoder(), "--prefix", "decoder.").stdout)
        self.assertEqual(draft["weights"], {"file": str(self.folder / "net.safetensors"), "prefix": "decoder."})
        self.assertEqual([layer["weights"] for layer in draft["layers"]], [f"transpconvs.{i}" for i in range(3)])

    def test_says_what_it_takes_where_it_is_given_a_volume(self):
        path = self.folder / "scan.nii.gz"
        path.write_bytes(b"")
        self.refused(3, ["scan.nii.gz", "is a volume", ".safetensors", "--dry-run"], "inspect", path)

    def test_leaves_out_what_makes_no_layer(self):
        path = write_safetensors(self.folder / "m.safetensors",
                                 {"up1.weight": weight(4, 2, 4, 4, 4), "linear.weight": weight(3, 3), "up2.weight": weight(7, 5, 2, 2, 2)})
        done = self.inspect("--make-config", path, "-o", self.folder / "c.json")
        self.assertIn("left out linear", done.stderr)
        self.assertIn("left out up2: 2 channels arrive", done.stderr)
        self.assertEqual(json.loads((self.folder / "c.json").read_text())["weights"]["unused"], "ignore")
        self.refused(3, ["no tensor under", "linear"], "inspect", "--make-config", path, "--prefix", "linear.")

    def test_tells_convolutions_by_their_channels_and_names(self):
        path = write_safetensors(self.folder / "m.safetensors",
                                 {"up.conv.weight": weight(6, 4, 2, 2, 2), "up.conv2.weight": weight(3, 4, 3, 3, 3),
                                  "up.conv2.bias": weight(3), "up.act.weight": weight(1)})
        draft = json.loads(self.inspect("--make-config", path).stdout)
        self.assertEqual([layer["type"] for layer in draft["layers"]], ["prelu", "conv_transpose3d", "conv3d"])
        self.assertEqual(draft["layers"][2]["padding"], 1)
        (self.folder / "draft.json").write_text(json.dumps(draft))
        report = self.inspected(self.folder / "draft.json", "--shape", "4,4,4")
        self.assertEqual(report["layers"][2]["output_shape"], [1, 3, 8, 8, 8])

    def test_tells_norms_by_their_tensors_and_names(self):
        norm = {"weight": weight(24), "bias": weight(24)}
        running = {"running_mean": weight(24), "running_var": weight(24) ** 2}
        modules = {"0.conv": {"weight": weight(24, 2, 3, 3, 3)}, "0.gn": norm, "1.norm": norm, "2.norm": norm | running,
                   "3.instance": norm | running, "4.act": {"weight": weight(24)}, "5.conv": {"weight": weight(1, 3, 3, 3, 3)}}
        arrays = {f"{name}.{state}": array for name, states in modules.items() for state, array in states.items()}
        path = write_safetensors(self.folder / "m.safetensors", arrays)
        done = self.inspect("--make-config", path, "-o", self.folder / "draft.json")
        self.assertIn("number of groups is a guess", done.stderr)
        self.assertIn("a pixel_shuffle3d by 2", done.stderr)
        layers = json.loads((self.folder / "draft.json").read_text())["layers"]
        self.assertEqual([layer["type"] for layer in layers],
                         ["conv3d", "group_norm", "instance_norm3d", "batch_norm3d", "instance_norm3d", "prelu", "pixel_shuffle3d",
                          "conv3d"])
        self.assertEqual(layers[1]["num_groups"], 8)
        report = self.inspected(self.folder / "draft.json", "--shape", "4,4,4")
        self.assertEqual(report["layers"][-1]["output_shape"], [1, 1, 8, 8, 8])
        self.assertIn("track_running_stats=True", report["layers"][4]["repr"])

    def test_drafts_a_module_whose_keys_the_prefix_takes_whole(self):
        draft = json.loads(self.inspect("--make-config", self.decoder(), "--prefix", "decoder.transpconvs.0.").stdout)
        self.assertEqual(draft["layers"][0]["weights"], {"bias": "bias", "weight": "weight"})

    def test_refuses(self):
        self.refused(2, ["one file"], "inspect")
        self.refused(2, ["one file"], "inspect", "a.npz", "b.npz")
        for shape in ("1,2", "1,2,3,4,5,6", "a,b,c", "1,2,3,", "0,1,1", "1 2 3"):
            self.refused(2, ["--shape"], "inspect", "trilinear_x2", "--shape", shape)
        self.refused(2, ["--make-config"], "inspect", "trilinear_x2", "--prefix", "a")
        self.refused(2, ["--json"], "inspect", "m.npz", "--make-config", "--json")
        self.refused(3, ["none.npz", "no such file"], "inspect", "none.npz")
        self.refused(3, ["none.json"], "inspect", "none.json")
        self.refused(5, ["channels"], "inspect", self.config(conv(2, in_channels=3)), "--shape", "2,4,4,4")
        (self.folder / "bad.npz").write_bytes(b"PK")
        self.refused(3, ["bad.npz", "zip"], "inspect", self.folder / "bad.npz")

    def test_help_and_a_volume_of_that_name(self):
        self.assertIn("usage: convt3d inspect", self.inspect("--help").stdout)
        self.volume("inspect.nii").rename(self.folder / "inspect")
        self.refused(4, ["inspect"], "./inspect", "-c", "trilinear_x2", "-o", "out.nii", cwd=self.folder)


if __name__ == "__main__":
    import unittest

    unittest.main()
