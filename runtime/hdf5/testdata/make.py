"""Writes the files of this folder with h5py 3.14 and HDF5 1.14. Run in this folder: python3 make.py"""

import ctypes
import glob
import os
import zlib

import h5py
import numpy as np


def fill(f):
    """The content that read_test.go expects of every file that it calls full."""
    f.attrs["title"] = "höhe"
    f.attrs.create("fixed", np.bytes_("abc"))
    f.attrs.create("names", ["one", "", "three"], dtype=h5py.string_dtype())
    f.attrs.create("fixednames", np.array([b"one", b"three"]))
    f.attrs["number"] = np.int64(-5)
    f.attrs["reals"] = np.array([0.5, -2.0])
    f.attrs["flag"] = True
    f.attrs.create("none", np.zeros(0, "f8"))
    g = f.create_group("a/b")
    g.attrs["deep"] = "yes"
    a = np.arange(35, dtype="f8").reshape(5, 7) - 3.5
    for name, dtype in [("f2", "<f2"), ("f4", "<f4"), ("f8", "<f8"), ("F2", ">f2"), ("F4", ">f4"), ("F8", ">f8")]:
        f.create_dataset("float/" + name, data=a.astype(dtype))
    i = np.array([0, 1, 100, 127])
    for name in ["i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8"]:
        f.create_dataset("int/" + name, data=(i if name[0] == "u" else -i).astype("<" + name))
        f.create_dataset("int/" + name.upper(), data=(i if name[0] == "u" else -i).astype(">" + name))
    f.create_dataset("scalar", data=np.float32(2.5))
    f.create_dataset("bool", data=np.array([True, False]))
    f.create_dataset("empty", data=np.zeros((0, 3), "f4"))
    f.create_dataset("strings", data=["x", "", "zürich"], dtype=h5py.string_dtype())
    f.create_dataset("fixedstrings", data=np.array([b"x", b"yyy"]))
    f.create_dataset("unwritten", (2, 2), "f4", fillvalue=1.5)


def chunked(f):
    """Chunks that do not divide the shape, with each filter."""
    a = np.arange(35, dtype="f4").reshape(5, 7) - 3.5
    for name, options in {
        "plain": {},
        "gzip": {"compression": "gzip"},
        "shuffle": {"shuffle": True},
        "fletcher": {"fletcher32": True},
        "all": {"compression": "gzip", "shuffle": True, "fletcher32": True},
    }.items():
        f.create_dataset(name, data=a, chunks=(2, 3), **options)
    part = f.create_dataset("part", (5, 7), "f4", chunks=(2, 3), fillvalue=9)
    part[2:4, 3:6] = a[2:4, 3:6]
    f.create_dataset("many", data=np.arange(200, dtype="i2"), chunks=(1,))
    f.create_dataset("three", data=np.arange(60).reshape(3, 4, 5), chunks=(2, 3, 2), compression="gzip")
    f.create_dataset("grows", data=a, chunks=(2, 3), maxshape=(None, None))


def indexes(f):
    """Each index of chunks that libver="latest" chooses, with the variants that it can have. All are 5 by 7, in chunks of 2 by 3 but for single."""
    a = np.arange(35, dtype="f4").reshape(5, 7) - 3.5
    packed = {"compression": "gzip", "shuffle": True, "fletcher32": True}
    for index, limits in {
        "single": [None],
        "fixed": [None, (11, 16)],
        "extensible": [(None, 7), (5, None), (None, 16)],
        "btree": [(None, None)],
    }.items():
        chunks = (5, 7) if index == "single" else (2, 3)
        for i, limit in enumerate(limits):
            f.create_dataset(f"{index}/plain{i}", data=a, chunks=chunks, maxshape=limit)
            f.create_dataset(f"{index}/packed{i}", data=a, chunks=chunks, maxshape=limit, **packed)
            part = f.create_dataset(f"{index}/part{i}", (5, 7), "f4", chunks=chunks, maxshape=limit, fillvalue=9, **packed)
            if index != "single":
                part[2:4, 3:6] = a[2:4, 3:6]
            masked(f.create_dataset(f"{index}/masked{i}", data=a, chunks=chunks, maxshape=limit, **packed), a, chunks)
            bare_edges(f, f"{index}/edges{i}", a, chunks, limit)
    implicit(f, "implicit/plain0", a, None)
    implicit(f, "implicit/plain1", a, (11, 16))


def sparse(f):
    """Arrays of chunks so long that they are cut into pages."""
    # A thousand entries are a page, those that were never written are not in the file.
    d = f.create_dataset("fixed", (3000,), "i1", chunks=(1,), fillvalue=5)
    d[2500:2510] = np.arange(10)
    # Data blocks of super blocks, from entry 131,060 on in pages.
    d = f.create_dataset("extensible", (150000,), "i1", chunks=(1,), maxshape=(None,), fillvalue=5)
    for at in [0, 3, 4, 5, 19, 20, 35, 36, 100, 1000, 20000, *range(131060, 150000, 2048)]:
        d[at] = at % 100


def masked(d, a, chunks):
    """Stores the first chunks again, without some of the filters shuffle, gzip and fletcher32."""

    def whole(at):
        piece = np.zeros(chunks, "<f4")
        part = a[at[0] : at[0] + chunks[0], at[1] : at[1] + chunks[1]]
        piece[: part.shape[0], : part.shape[1]] = part
        return piece.tobytes()

    def shuffled(b):
        return np.frombuffer(b, "u1").reshape(-1, 4).T.tobytes()

    for at, mask, pack in [((0, 0), 0b111, bytes), ((0, 3), 0b101, zlib.compress), ((0, 6), 0b110, shuffled)]:
        if at[1] < 7 and at[1] % chunks[1] == 0:
            d.id.write_direct_chunk(at, pack(whole(at)), mask)


def bare_edges(f, name, a, chunks, limit):
    """Chunks over the edge are not packed, which h5py has no function for."""
    library = ctypes.CDLL(glob.glob(os.path.dirname(h5py.__file__) + ".libs/libhdf5-*")[0])
    plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    plist.set_chunk(chunks)
    plist.set_deflate(4)
    H5D_CHUNK_DONT_FILTER_PARTIAL_CHUNKS = 2
    assert library.H5Pset_chunk_opts(ctypes.c_int64(plist.id), H5D_CHUNK_DONT_FILTER_PARTIAL_CHUNKS) >= 0
    create(f, name, a, limit, plist)


def implicit(f, name, a, limit):
    plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    plist.set_chunk((2, 3))
    plist.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
    create(f, name, a, limit, plist)


def create(f, name, a, limit, plist):
    limit = limit and tuple(h5py.h5s.UNLIMITED if n is None else n for n in limit)
    space = h5py.h5s.create_simple(a.shape, limit)
    links = h5py.h5p.create(h5py.h5p.LINK_CREATE)
    links.set_create_intermediate_group(True)
    h5py.Dataset(h5py.h5d.create(f.id, name.encode(), h5py.h5t.IEEE_F32LE, space, plist, links))[...] = a


with h5py.File("old.h5", "w") as f:
    fill(f)
with h5py.File("new.h5", "w", libver="latest") as f:
    fill(f)
with h5py.File("userblock.h5", "w", userblock_size=1024) as f:
    f["x"] = np.array([1, 2], "f4")
with h5py.File("chunked.h5", "w") as f:
    chunked(f)
with h5py.File("chunked_new.h5", "w", libver="latest") as f:
    chunked(f)
    a = np.arange(35, dtype="f4").reshape(5, 7) - 3.5
    f.create_dataset("single", data=a, chunks=(5, 7), compression="gzip")
    f.create_dataset("row", data=a, chunks=(2, 3), maxshape=(None, 7), compression="gzip")
    f.create_dataset("paged", data=np.arange(3000, dtype="i2"), chunks=(2,))
    f.create_dataset("deep", data=np.arange(1500, dtype="i2").reshape(50, 30), chunks=(2, 1), maxshape=(None, None))
    implicit(f, "implicit", a, None)
with h5py.File("indexes.h5", "w", libver="latest") as f:
    indexes(f)
with h5py.File("sparse.h5", "w", libver="latest") as f:
    sparse(f)
with h5py.File("groups.h5", "w") as f:
    f.create_group("g000")
    for i in range(1, 300):
        f[f"g{i:03}"] = f["g000"]
with h5py.File("ordered.h5", "w", track_order=True) as f:
    for i in [3, 1, 2]:
        f.create_group(f"g{i}")
    f["soft"] = h5py.SoftLink("/g1")
    f["hard"] = f["g2"]
    f["g2/up"] = f["/"]
with h5py.File("dense.h5", "w", libver="latest", track_order=True) as f:
    f.create_group("g000")
    for i in range(1, 300):
        f[f"g{i * 7 % 300:03}"] = f["g000"]
    for i in range(40):
        f["g000"].attrs[f"attr{i:02}"] = np.arange(i)
    f["g000"].attrs["huge"] = np.arange(5000)
with h5py.File("attributes.h5", "w") as f:
    # More than one block of the object header.
    for i in range(40):
        f.attrs[f"attr{i:02}"] = np.arange(i)
    f["type"] = np.dtype("<f4")
    f.create_dataset("committed", data=np.array([1, 2], "f4"), dtype=f["type"])
    f["compound"] = np.zeros(2, [("a", "f4"), ("b", "i4")])
    f["vlen"] = np.zeros(0, h5py.vlen_dtype(np.int32))
