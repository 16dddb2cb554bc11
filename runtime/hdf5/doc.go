// Package hdf5 reads and writes the part of HDF5 that files of weights use.
//
// The reader is made for files from strangers: what it allocates and how long it runs is bounded by the size of the file
// and never by what the file claims, so a broken or malicious file gives an error. It knows superblocks 0 to 3, groups of
// the old kind (symbol tables) and of the new kind (links in the header or in a fractal heap), compact, contiguous and
// chunked datasets with the gzip, shuffle and fletcher32 filters, integers and floating point of either byte order, and
// strings of fixed and of variable length. It does not know compound types, external files and
// soft links, and does not check the checksums of metadata.
//
// The writer makes files of the oldest format, which every HDF5 library reads.
//
// Source: HDF5 File Format Specification Version 3.0, The HDF Group; section numbers in comments refer to it.
package hdf5
