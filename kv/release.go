//go:build !cgo || !linux

package kv

// ReleaseMemory does nothing: without cgo the stores' memory is Go's, which gives it back by itself, and elsewhere the C
// library is left to do it.
func ReleaseMemory() bool { return false }
