// Package conformance holds tests of the whole machine, from program text to trained weights: numbers that Keras computed, every
// example on every backend with every optional pass switched off in turn, weight files that go both ways, runs that are killed
// and resumed. It has no code of its own.
package conformance
