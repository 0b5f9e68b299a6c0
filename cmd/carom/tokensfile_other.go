//go:build !unix

package main

import (
	"io/fs"
	"os"
)

func lockFolder(string) (unlock func(), err error) { return func() {}, nil }

func keepOwner(*os.File, fs.FileInfo) error { return nil }
