"""What convt3d reads from NIfTI files and writes to them, held against nibabel."""

import gzip
import subprocess
import unittest

import nibabel as nib
import numpy as np

from volume_tool import FolderTest, copy, counting, header

SHAPE = (5, 4, 3)
RAS_TO_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])


def rotation(axis, radians):
    x, y, z = np.asarray(axis) / np.linalg.norm(axis)
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    turn = np.eye(4)
    turn[:3, :3] += np.sin(radians) * cross + (1 - np.cos(radians)) * cross @ cross
    return turn


def affine(spacing=(0.5, 0.75, 2), origin=(-90, 126, -72.5), turn=np.eye(4)):
    result = turn @ np.diag([*spacing, 1.0])
    result[:3, 3] = origin
    return result


def halved(source):
    """The affine of a grid with half the voxel, whose first voxel lies a quarter of one outside: k4 s2 p1."""
    sampling = np.diag([0.5, 0.5, 0.5, 1])
    sampling[:3, 3] = -0.25
    return source @ sampling


HALVE = {"step": "0.5,0.5,0.5", "offset": "-0.25,-0.25,-0.25"}


class NiftiTest(FolderTest):
    def save(self, voxels, matrix=None, codes=(1, 1), name="in.nii.gz", qform=None, kind=nib.Nifti1Image, change=None):
        matrix = affine() if matrix is None else matrix
        image = kind(voxels, matrix)
        image.set_sform(matrix, code=codes[1])
        image.set_qform(matrix if qform is None else qform, code=codes[0])
        if change:
            change(image.header)
        nib.save(image, self.folder / name)
        return self.folder / name

    def copied(self, source, name="out.nii.gz", **options):
        copy(source, self.folder / name, **options)
        return nib.load(self.folder / name)

    def assert_same(self, found, expected, tolerance=1e-6):
        np.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance)


class Codes(NiftiTest):
    def test_are_kept(self):
        for codes in [(1, 1), (2, 2), (3, 3), (4, 4), (1, 4), (2, 3), (0, 1), (0, 2), (0, 4), (1, 0), (3, 0)]:
            with self.subTest(codes=codes):
                out = self.copied(self.save(counting(SHAPE), codes=codes), **HALVE)
                self.assertEqual((out.header["qform_code"], out.header["sform_code"]), codes)
                self.assert_same(out.affine, halved(affine()))

    def test_are_scanner_where_the_source_has_none(self):
        source = self.save(counting(SHAPE), codes=(0, 0))
        self.assertEqual(header(source)["direction"], [1, 0, 0, 0, 1, 0, 0, 0, 1])
        out = self.copied(source)
        self.assertEqual((out.header["qform_code"], out.header["sform_code"]), (1, 1))
        self.assert_same(RAS_TO_LPS @ out.affine, np.diag([0.5, 0.75, 2, 1]))

    def test_a_qform_of_its_own_follows_the_voxels(self):
        scanner = affine(origin=(1, 2, 3), turn=rotation((1, 0, 0), 0.3))
        source = self.save(counting(SHAPE), codes=(1, 4), qform=scanner)
        out = self.copied(source, **HALVE)
        self.assertEqual((out.header["qform_code"], out.header["sform_code"]), (1, 4))
        self.assert_same(out.get_sform(), halved(affine()))
        self.assert_same(out.get_qform(), halved(scanner), 1e-5)

    def test_both_forms_are_written_whatever_their_codes(self):
        for codes in [(0, 2), (2, 0)]:
            with self.subTest(codes=codes):
                out = self.copied(self.save(counting(SHAPE), codes=codes))
                self.assert_same(out.header.get_qform(coded=False), affine())
                self.assert_same(out.header.get_sform(coded=False), affine())


class Direction(NiftiTest):
    def test_is_kept(self):
        turns = {
            "oblique": rotation((1, 2, 3), 0.7),
            "near identity": rotation((0, 0, 1), 1e-4),
            "near half a turn": rotation((1, 2, 3), np.pi - 1e-4),
            "LPS, nearly": RAS_TO_LPS @ rotation((0, 1, 1), 2e-4),
            "left-handed": np.diag([-1.0, 1, 1, 1]) @ rotation((3, 1, 2), 1.1),
            "permuted": np.eye(4)[[2, 0, 1, 3]],
        }
        for name, turn in turns.items():
            for spacing in [(0.5, 0.75, 2), (0.1, 0.1, 0.1), (0.00065, 0.00065, 0.002)]:
                with self.subTest(direction=name, spacing=spacing):
                    matrix = affine(spacing, origin=(-1, 2, 3), turn=turn)
                    source = self.save(counting(SHAPE), matrix)
                    found = np.array(header(source)["direction"]).reshape(3, 3)
                    self.assert_same(found, (RAS_TO_LPS @ turn)[:3, :3])
                    self.assert_same(header(source)["spacing"], spacing)
                    out = self.copied(source, **HALVE)
                    self.assert_same(out.affine[:3, :3] / out.header.get_zooms(), turn[:3, :3])
                    self.assert_same(out.affine, halved(matrix))

    def test_is_kept_from_a_qform_alone(self):
        for turn in [rotation((1, 2, 3), 0.7), np.diag([-1.0, 1, 1, 1]) @ rotation((3, 1, 2), 1.1)]:
            source = self.save(counting(SHAPE), affine(turn=turn), codes=(1, 0))
            out = self.copied(source, **HALVE)
            self.assertEqual(out.header["sform_code"], 0)
            self.assert_same(out.affine, halved(nib.load(source).affine))

    def test_is_kept_when_sheared_in_the_sform(self):
        sheared = affine()
        sheared[0, 1] += 0.2
        out = self.copied(self.save(counting(SHAPE), sheared, codes=(0, 2)), **HALVE)
        self.assert_same(out.affine, halved(sheared))
        self.assertEqual((out.header["qform_code"], out.header["sform_code"]), (0, 2))

    def test_a_qform_beside_a_sheared_sform_is_its_own(self):
        sheared = affine()
        sheared[0, 1] += 0.2
        source = self.save(counting(SHAPE), sheared, codes=(1, 2))
        out = self.copied(source, **HALVE)
        self.assert_same(out.affine, halved(sheared))
        self.assert_same(out.get_qform(), halved(nib.load(source).get_qform()))
        self.assertEqual((out.header["qform_code"], out.header["sform_code"]), (1, 2))


class Fields(NiftiTest):
    def test_units_become_millimetres_and_seconds(self):
        for unit, millimetres in [("micron", 1e-3), ("meter", 1e3), ("mm", 1), ("unknown", 1)]:
            for time, seconds in [("msec", 1e-3), ("usec", 1e-6), ("sec", 1)]:
                with self.subTest(unit=unit, time=time):
                    def change(fields):
                        fields.set_xyzt_units(unit, time)
                        fields["pixdim"][4] = 4
                        fields["toffset"] = 8
                    out = self.copied(self.save(counting((*SHAPE, 2)), change=change))
                    self.assertEqual(out.header.get_xyzt_units(), ("mm", "sec"))
                    scale = np.diag([millimetres] * 3 + [1])
                    self.assert_same(out.affine, scale @ affine())
                    self.assert_same(out.header["pixdim"][4], 4 * seconds)
                    self.assert_same(out.header["toffset"], 8 * seconds)

    def test_scaling_is_applied_and_written_as_none(self):
        for dtype in [np.uint8, np.int16, np.int32, np.float32]:
            with self.subTest(dtype=dtype):
                source = self.save(counting(SHAPE, dtype), name="in.nii")
                raw = bytearray(source.read_bytes())
                raw[112:120] = np.array([0.5, -3], "<f4").tobytes()
                source.write_bytes(raw)
                out = self.copied(source, type="float32")
                self.assertEqual((out.dataobj.slope, out.dataobj.inter), (1, 0))
                self.assert_same(out.get_fdata(), counting(SHAPE) * 0.5 - 3)
                wide = dtype == np.int32
                self.assertEqual(header(source)["pixel_type"], "float64" if wide else "float32")

    def test_intents_of_values_are_kept(self):
        def change(fields):
            fields.set_intent("t test", (12,), name="contrast")
        out = self.copied(self.save(counting(SHAPE), change=change))
        self.assertEqual(out.header.get_intent(), ("t test", (12.0,), "contrast"))

    def test_intents_of_components_go_with_their_axis(self):
        def change(fields):
            fields.set_intent("vector")
        one = self.copied(self.save(counting((*SHAPE, 1, 3)), change=change))
        self.assertEqual((one.shape, one.header.get_intent()[0]), ((*SHAPE, 3), "none"))
        both = self.copied(self.save(counting((*SHAPE, 2, 3)), change=change))
        self.assertEqual((both.shape, both.header.get_intent()[0]), ((*SHAPE, 2, 3), "vector"))

    def test_frames_keep_their_order_and_duration(self):
        def change(fields):
            fields["pixdim"][4] = 2.5
        voxels = counting((*SHAPE, 7))
        source = self.save(voxels, change=change)
        self.assertEqual(header(source)["shape"], [7, 1, 3, 4, 5])
        out = self.copied(source)
        np.testing.assert_array_equal(out.get_fdata(), voxels)
        self.assertEqual(out.header["pixdim"][4], 2.5)

    def test_frames_and_components_keep_their_order(self):
        voxels = counting((*SHAPE, 2, 3))
        out = self.copied(self.save(voxels))
        np.testing.assert_array_equal(out.get_fdata(), voxels)

    def test_provenance_is_cut_to_what_descrip_holds(self):
        out = self.copied(self.save(counting(SHAPE)), provenance="x" * 78 + "é and more")
        self.assertEqual(out.header["descrip"].item(), b"x" * 78)

    def test_flat_images_are_volumes_of_depth_1(self):
        source = self.save(counting((5, 4)))
        self.assertEqual(header(source)["shape"], [1, 1, 1, 4, 5])
        self.assertEqual(self.copied(source).shape, (5, 4, 1))


class Voxels(NiftiTest):
    def test_nan_and_infinity_survive(self):
        for dtype in [np.float32, np.float64]:
            voxels = counting(SHAPE, dtype)
            voxels[0, 0, :3] = [np.nan, np.inf, -np.inf]
            out = self.copied(self.save(voxels))
            np.testing.assert_array_equal(out.get_fdata(), voxels)

    def test_every_type_is_read_and_written(self):
        for kind, names in [(nib.Nifti1Image, "u1 i1 u2 i2 u4 i4 u8 i8 f4 f8"), (nib.Nifti2Image, "u1 i2 u8 f8")]:
            for order in "<>":
                for name in names.split():
                    with self.subTest(kind=kind.__name__, order=order, dtype=name):
                        voxels = counting(SHAPE, name)
                        if name[0] == "i":
                            voxels[0, 0, 0] = -77
                        fields = kind.header_class(endianness=order)
                        fields.set_data_dtype(name)
                        image = kind(voxels, affine(), fields)
                        nib.save(image, self.folder / "in.nii")
                        out = self.copied(self.folder / "in.nii", dtype="float64")
                        self.assertEqual(out.get_data_dtype(), np.dtype(name))
                        np.testing.assert_array_equal(np.asarray(out.dataobj), voxels)
                        self.assert_same(out.affine, affine())

    def test_pairs_are_read_by_either_name(self):
        for kind in [nib.Nifti1Pair, nib.Nifti2Pair]:
            source = self.save(counting(SHAPE), name="pair.img", kind=kind)
            for name in [source, source.with_suffix(".hdr")]:
                np.testing.assert_array_equal(self.copied(name).get_fdata(), counting(SHAPE))

    def test_extensions_are_passed_over(self):
        def change(fields):
            fields.extensions.append(nib.nifti1.Nifti1Extension("comment", b"voxels start later" * 9))
        out = self.copied(self.save(counting(SHAPE), change=change))
        np.testing.assert_array_equal(out.get_fdata(), counting(SHAPE))

    def test_long_axes_make_it_nifti_2(self):
        for length, kind in [(32767, nib.Nifti1Image), (32768, nib.Nifti2Image)]:
            voxels = counting((length, 2, 1), np.uint8)
            out = self.copied(self.save(voxels, kind=nib.Nifti2Image))
            self.assertEqual(type(out), kind)
            np.testing.assert_array_equal(np.asarray(out.dataobj), voxels)
            self.assert_same(out.affine, affine())

    def test_integers_are_rounded_half_to_even_and_clipped_ones_counted(self):
        values = [-0.5, 0.5, 1.5, 2.5, -1.3, 254.5, 255.4, 255.5, 300, -np.inf, np.inf, 7]
        source = self.save(np.array(values, np.float32).reshape(12, 1, 1))
        report = copy(source, self.folder / "out.nii", type="uint8")
        found = np.asarray(nib.load(self.folder / "out.nii").dataobj).ravel()
        np.testing.assert_array_equal(found, [0, 0, 2, 2, 0, 254, 255, 255, 255, 0, 255, 7])
        self.assertEqual(report["clipped"], 5)

    def test_wide_integers_are_clipped_at_their_ends(self):
        values = np.array([2.0**63, -(2.0**63), -1e300, 2.0**31, 2.0**32, 5e9]).reshape(6, 1, 1)
        source = self.save(values)
        for dtype, clipped in [("int64", 2), ("uint32", 5), ("int32", 6)]:
            report = copy(source, self.folder / "out.nii", type=dtype, dtype="float64")
            info = np.iinfo(dtype)
            expected = [int(min(max(value, info.min), info.max)) for value in map(int, values.ravel())]
            self.assertEqual(np.asarray(nib.load(self.folder / "out.nii").dataobj).ravel().tolist(), expected)
            self.assertEqual(report["clipped"], clipped, dtype)

    def test_nan_needs_a_value_among_integers(self):
        voxels = counting(SHAPE)
        voxels[2, 1, 1] = np.nan
        source = self.save(voxels)
        self.assert_refused(["out.nii", "(0, 0, 1, 1, 2)", "NaN", "int16"], copy, source, self.folder / "out.nii", type="int16")
        self.assertFalse((self.folder / "out.nii").exists())
        self.assertEqual(self.copied(source, type="int16", nan=-1).get_fdata()[2, 1, 1], -1)
        self.assert_refused(["outside the range of uint8"], copy, source, self.folder / "out.nii", type="uint8", nan=-1)


class Nifticlib(NiftiTest):
    """The reference implementation, through its command nifti_tool."""

    def run_tool(self, *arguments):
        return subprocess.run(["nifti_tool", *map(str, arguments)], capture_output=True, text=True, check=True).stdout

    def test_finds_headers_good_and_reads_the_same_voxels(self):
        blocks = counting((160, 150, 90)) % 251  # 8 MiB of float32: 9 gzip members
        long_axis = counting((32768, 2, 2), np.uint8)
        for voxels, kind, name in [(blocks, nib.Nifti1Image, "a.nii.gz"), (blocks, nib.Nifti1Image, "b.nii"),
                                   (long_axis, nib.Nifti2Image, "c.nii.gz"), (long_axis, nib.Nifti2Image, "d.nii")]:
            with self.subTest(kind=kind.__name__, name=name):
                path = self.folder / name
                copy(self.save(voxels, name="in.nii", kind=nib.Nifti2Image), path)
                self.assertEqual(type(nib.load(path)), kind)
                if kind == nib.Nifti1Image:  # its checks read every header as NIfTI-1
                    said = self.run_tool("-check_hdr", "-check_nim", "-infiles", path)
                    self.assertIn("header IS GOOD", said)
                    self.assertIn("nifti_image IS GOOD", said)
                copied = self.folder / "copied.nii"
                copied.unlink(missing_ok=True)
                self.run_tool("-cbl", "-prefix", copied, "-infiles", path)
                np.testing.assert_array_equal(np.asarray(nib.load(copied).dataobj), voxels)
                self.assert_same(nib.load(copied).affine, affine())


class Gzip(NiftiTest):
    def test_members_are_read_by_all(self):
        voxels = np.random.default_rng(1).integers(0, 60, (160, 150, 140)).astype(np.float32)  # 12.8 MiB: 4 members
        source = self.save(voxels, name="in.nii")
        for level in [0, 1, 6, 12]:
            path = self.folder / f"out{level}.nii.gz"
            copy(source, path, level=level)
            with self.subTest(level=level):
                np.testing.assert_array_equal(np.asarray(nib.load(path).dataobj), voxels)
                plain = gzip.decompress(path.read_bytes())
                self.assertEqual(plain, subprocess.run(["zcat", path], capture_output=True, check=True).stdout)
                self.assertEqual(len(plain), 352 + voxels.nbytes)
                copy(path, self.folder / "back.nii")
                np.testing.assert_array_equal(np.asarray(nib.load(self.folder / "back.nii").dataobj), voxels)

    def test_bytes_do_not_depend_on_threads(self):
        source = self.save(np.random.default_rng(2).normal(size=(160, 150, 90)).astype(np.float32), name="in.nii")
        files = []
        for threads in [1, 2, 5]:
            copy(source, self.folder / "out.nii.gz", threads=threads)
            files.append((self.folder / "out.nii.gz").read_bytes())
        self.assertEqual(files[0], files[1])
        self.assertEqual(files[0], files[2])

    def test_is_told_by_content(self):
        source = self.save(counting(SHAPE), name="in.nii.gz")
        named_plain = source.rename(self.folder / "really_gzip.nii")
        np.testing.assert_array_equal(self.copied(named_plain).get_fdata(), counting(SHAPE))
        plain = self.save(counting(SHAPE), name="in.nii").rename(self.folder / "really_plain.nii.gz")
        np.testing.assert_array_equal(self.copied(plain).get_fdata(), counting(SHAPE))


if __name__ == "__main__":
    unittest.main()
