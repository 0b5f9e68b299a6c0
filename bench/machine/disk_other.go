//go:build !linux

package machine

import "os"

// fileSystem tells nothing: what statfs calls a file system is Linux's own.
func fileSystem(string) (string, error) { return "", nil }

func syncFile(f *os.File) error { return f.Sync() }
