//go:build cgo && linux

package kv

// #include <stddef.h>
// extern int malloc_trim(size_t) __attribute__((weak)); // a C library need not have it: musl's has not
// static int release(void) { return malloc_trim ? malloc_trim(0) : 0; }
import "C"

// ReleaseMemory gives the system what the C library's allocator keeps of memory that the stores have freed, and says
// whether there was any. In a build with cgo Pebble's block cache and memtables come from there.
func ReleaseMemory() bool { return C.release() != 0 }
