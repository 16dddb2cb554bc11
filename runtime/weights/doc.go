// Package weights reads and writes files of trained weights: the HDF5 files of Keras, and safetensors.
//
// Files come from strangers. A reader here never allocates more than a small multiple of the bytes that the file really
// has, and what is wrong with a file is an error that says where.
package weights
