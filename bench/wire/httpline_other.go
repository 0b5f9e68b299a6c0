//go:build !linux

package wire

import "errors"

const canExchangeRaw = false

func (l *line) exchangeRaw([]byte, *answer) error { return errors.ErrUnsupported }

func (l *line) rawStep(uintptr) bool { return true }

func peeked(uintptr) bool { return false }
