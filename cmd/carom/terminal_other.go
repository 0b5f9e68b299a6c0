//go:build !unix

package main

import "os"

func isTerminal(*os.File) bool { return false }

func terminalWidth(*os.File) int { return otherWidth }
