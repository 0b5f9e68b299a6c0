//go:build !linux

package machine

import "errors"

var errNoUsage = errors.New("the use of CPU and memory can be measured on Linux only")

func ownUsage() (usage, error) { return usage{}, nil }

func processUsage(int) (usage, error) { return usage{}, errNoUsage }

func processName(int) string { return "" }
