// Package weights reads files of trained weights, Keras's (.h5, .weights.h5, .keras), safetensors, among them PyTorch's, and NumPy's .npz,
// and writes .h5 and safetensors.
//
// Files come from strangers. A reader here never allocates more than a small multiple of the bytes that the file really
// has, and what is wrong with a file is an error that says where.
package weights
